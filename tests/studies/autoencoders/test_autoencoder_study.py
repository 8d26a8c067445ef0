from __future__ import annotations

import csv
import json
import math
import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.errors import DataError, StorageError, StudyStopped
from opticdesign.studies.autoencoders.figure import autoencoder_figure
from opticdesign.studies.autoencoders.networks import PAIRS
from opticdesign.studies.autoencoders.running import run_autoencoder_study
from opticdesign.studies.autoencoders.schema import load_autoencoder_study
from opticdesign.studies.autoencoders.table import CONSTANT, PCA, AutoencoderResult
from opticdesign.studies.scheduling import StudyOptions
from tests.support.design_texts import ROOT

SHIPPED = ROOT / "designs" / "studies" / "autoencoders.toml"
GRID = 8 * 2 * 2  # pairs, latent sizes, seeds


def run(
    folder: Path,
    *changes: str,
    quick: bool = False,
    workers: int = 1,
    news: Callable[[str], None] = lambda line: None,
    stop: Callable[[], bool] = lambda: False,
) -> AutoencoderResult:
    """The shipped study with changes, in a folder."""
    options = StudyOptions(torch.device("cpu"), folder, quick, workers)
    return run_autoencoder_study(load_autoencoder_study(SHIPPED, changes), options, news, stop)


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all trainings; the finished study, which is of the module, has its picture."""
    monkeypatch.setattr("opticdesign.studies.autoencoders.running.draw_autoencoders", lambda *args: None)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of 12 × 12 grey values as an idx file."""
    grey = np.random.default_rng(0).integers(0, 256, (40, 12, 12), dtype=np.uint8)
    path = tmp_path_factory.mktemp("digits") / "few-images-idx3-ubyte"
    path.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, *grey.shape) + grey.tobytes())
    return path


@pytest.fixture(scope="module")
def changes(digits: Path) -> tuple[str, ...]:
    """A study that takes a second."""
    budget = ("training.steps=3", "training.batch=4", "hidden=8", "latents=[4, 2]", "seeds=[3, 5]")
    return ("data.kind=idx", f"data.path={json.dumps(str(digits))}", *budget)


@pytest.fixture(scope="module")
def finished(changes: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AutoencoderResult]:
    """Folder and result of the study; nothing changes the folder."""
    folder = tmp_path_factory.mktemp("study")
    return folder, run(folder, *changes)


def contents(folder: Path) -> dict[str, bytes]:
    """Every filed result by the name of its file."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("results/*/*"))}


def test_rows_are_floors_and_pairs_by_rising_latent_size(finished: tuple[Path, AutoencoderResult]) -> None:
    _, result = finished
    names = {domain: [pair.name for pair in PAIRS if pair.domain == domain] for domain in ("image", "phase")}
    expected = [("image", CONSTANT, None)]
    expected += [("image", name, latent) for latent in (2, 4) for name in (PCA, *names["image"])]
    expected += [("phase", CONSTANT, None)]
    expected += [("phase", name, latent) for latent in (2, 4) for name in names["phase"]]
    assert [(row.domain, row.name, row.latent) for row in result.rows] == expected
    assert {row.seeds for row in result.rows if row.name in (CONSTANT, PCA)} == {0}
    assert {row.seeds for row in result.rows if row.name not in (CONSTANT, PCA)} == {2}
    assert result.images == (32, 4, 4)


def test_intervals_hold_their_means(finished: tuple[Path, AutoencoderResult]) -> None:
    for row in finished[1].rows:
        for score in (row.psnr_db, row.ssim):
            assert score.low <= score.mean <= score.high
            assert score.low < score.high


def test_constant_phase_scores_as_the_constant_image_on_a_smaller_scale(
    finished: tuple[Path, AutoencoderResult],
) -> None:
    """Targets of half a wave instead of 1 have a quarter of the squared error: 6 dB."""
    (image,), (phase,) = (finished[1].of(domain, CONSTANT) for domain in ("image", "phase"))
    assert phase.psnr_db.mean - image.psnr_db.mean == pytest.approx(20.0 * math.log10(2.0), abs=1e-4)


def test_constant_image_scores_as_worked_out_by_hand(finished: tuple[Path, AutoencoderResult], digits: Path) -> None:
    """Uniform noise about its mean has the variance 1/12."""
    (row,) = finished[1].of("image", CONSTANT)
    assert row.psnr_db.mean == pytest.approx(10.0 * math.log10(12.0), abs=0.3)
    assert row.validation_psnr_db == pytest.approx(10.0 * math.log10(12.0), abs=0.3)


def test_files_hold_what_was_returned(finished: tuple[Path, AutoencoderResult]) -> None:
    folder, result = finished
    stored = json.loads((folder / "autoencoders.json").read_text("utf-8"))
    assert stored["rows"] == json.loads(json.dumps([asdict(row) for row in result.rows]))
    assert stored["study"]["seeds"] == [3, 5]
    assert "torch" in stored["environment"]["packages"]
    with (folder / "autoencoders.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["ssim_low"]) for row in rows] == [row.ssim.low for row in result.rows]
    assert {row["quick"] for row in rows} == {"False"}
    assert (folder / "autoencoders.png").read_bytes().startswith(b"\x89PNG")
    lines = (folder / "autoencoders.md").read_text("utf-8").splitlines()
    headings, cells = result.table()
    assert lines[2] == "| " + " | ".join(headings) + " |"
    notes = ["", "**Notes**", "", *(f"- {note}" for note in result.notes)]
    assert lines[4:] == [*("| " + " | ".join(row) + " |" for row in cells), *notes]


def test_row_is_the_mean_over_the_seeds_that_are_filed(finished: tuple[Path, AutoencoderResult]) -> None:
    folder, result = finished
    filed = [
        json.loads(content)["scores"]
        for name, content in contents(folder).items()
        if name.startswith("phase-linear-nonlinear-latent4-")
    ]
    row = result.of("phase", "CLE + NLD")[1]
    assert len(filed) == 2
    assert row.psnr_db.mean == pytest.approx(np.mean([scores["psnr_db"] for scores in filed]))
    assert row.ssim.mean == pytest.approx(np.mean([scores["ssim"] for scores in filed]))
    assert np.shape(filed[0]["examples"]) == (4, 12, 12)  # no more test images than there are


def test_two_workers_file_the_same_bytes(
    finished: tuple[Path, AutoencoderResult], changes: tuple[str, ...], tmp_path: Path
) -> None:
    result = run(tmp_path, *changes, workers=2)
    assert contents(tmp_path) == contents(finished[0])
    assert result == finished[1]


def test_threads_of_the_caller_are_left_as_they_were(changes: tuple[str, ...], tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        run(tmp_path, *changes, "latents=[2]", "seeds=[3]", quick=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_second_run_trains_only_what_is_missing_or_damaged(
    finished: tuple[Path, AutoencoderResult], changes: tuple[str, ...], tmp_path: Path
) -> None:
    heard: list[str] = []
    expected = contents(finished[0])
    place = tmp_path / "results" / next(finished[0].glob("results/*")).name
    place.mkdir(parents=True)
    for name, content in expected.items():
        (place / name).write_bytes(content)
    absent, swapped, flipped, cut = list(expected)[::8]
    (place / absent).unlink()
    (place / swapped).write_bytes(expected[flipped])
    (place / flipped).write_text(expected[flipped].decode().replace('"ssim": [0.', '"ssim": [1.'))
    (place / cut).write_bytes(expected[cut][:100])
    run(tmp_path, *changes, news=heard.append)
    assert heard[0] == f"{GRID - 4} of {GRID} trainings are filed already"
    assert len(heard) == 5
    assert contents(tmp_path) == expected


def test_another_seed_is_added_to_what_is_there(changes: tuple[str, ...], tmp_path: Path) -> None:
    heard: list[str] = []
    small = [*changes, "latents=[2]", "seeds=[3]"]
    run(tmp_path, *small)
    run(tmp_path, *small, "seeds=[3, 4]", news=heard.append)
    assert heard[0] == "8 of 16 trainings are filed already"
    assert len(contents(tmp_path)) == 16


def test_results_of_another_budget_are_kept_apart(changes: tuple[str, ...], tmp_path: Path) -> None:
    small = [*changes, "latents=[2]", "seeds=[3]"]
    run(tmp_path, *small)
    heard: list[str] = []
    run(tmp_path, *small, "training.steps=4", news=heard.append)
    assert len(heard) == 8
    assert len(list(tmp_path.glob("results/*"))) == 2


def test_study_stopped_files_what_is_trained_and_goes_on_from_there(
    finished: tuple[Path, AutoencoderResult], changes: tuple[str, ...], tmp_path: Path
) -> None:
    heard: list[str] = []
    with pytest.raises(StudyStopped):
        run(tmp_path, *changes, news=heard.append, stop=lambda: len(heard) >= 3)
    filed = contents(tmp_path)
    assert 3 <= len(filed) < GRID
    assert not (tmp_path / "autoencoders.json").exists()
    result = run(tmp_path, *changes)
    assert filed.items() <= contents(tmp_path).items()
    assert result == finished[1]


def test_a_quick_table_leaves_that_of_the_whole_study(changes: tuple[str, ...], tmp_path: Path) -> None:
    small = [*changes, "latents=[2]", "seeds=[3]"]
    run(tmp_path, *small)
    before = (tmp_path / "autoencoders.json").read_bytes()
    run(tmp_path, *small, quick=True)
    assert (tmp_path / "autoencoders.json").read_bytes() == before


def test_quick_study_is_marked_everywhere(changes: tuple[str, ...], tmp_path: Path) -> None:
    result = run(tmp_path, *changes, "seeds=[3]", quick=True)
    assert result.quick
    assert result.notes[0] == "quick: smoke budget, no result"
    assert "- quick: smoke budget, no result" in (tmp_path / "autoencoders-quick.md").read_text("utf-8")
    assert ",True\n" in (tmp_path / "autoencoders-quick.csv").read_text("utf-8")
    strips = {domain: {"true": torch.zeros(1, 12, 12)} for domain in ("image", "phase")}
    assert "quick (smoke budget)" in autoencoder_figure(result, strips, 2).get_suptitle()


def test_figure_has_a_line_for_every_pair_and_floor(finished: tuple[Path, AutoencoderResult]) -> None:
    names = {domain: [pair.name for pair in PAIRS if pair.domain == domain] for domain in ("image", "phase")}
    strips = {domain: {name: torch.zeros(4, 12, 12) for name in ("true", *own)} for domain, own in names.items()}
    axes = autoencoder_figure(finished[1], strips, 4).axes
    assert len(axes) == 6
    for place, domain in ((axes[0], "image"), (axes[3], "phase")):
        _, labels = place.get_legend_handles_labels()
        assert set(labels) == {CONSTANT, *names[domain], *([PCA] if domain == "image" else [])}
    for place, domain in ((axes[2], "image"), (axes[5], "phase")):
        assert [text.get_text() for text in place.get_yticklabels()] == ["true", *names[domain]]
        assert place.images[0].get_array().shape == (5 * 12, 4 * 12)


def test_too_few_digits_for_the_split_are_refused(changes: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"40 digits for a split of \(0.98, 0.01, 0.01\)"):
        run(tmp_path, *changes, "split=[0.98, 0.01, 0.01]")


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(
    changes: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr("opticdesign.studies.autoencoders.running._train", lambda *args: begun.append(args))
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError, match="out: "):
        run(tmp_path / "out", *changes)
    assert not begun


def test_shipped_study_runs_on_its_own_digits_at_the_smoke_budget(tmp_path: Path) -> None:
    """More numbers in the code give better images, and every pair does better than the constant image."""
    changes = ["latents=[2, 16]", "seeds=[0]", "training.steps=40"]
    result = run(tmp_path, *changes, quick=True)
    assert sum(result.images) == 1797
    for pair in PAIRS:
        (floor,), (small, large) = result.of(pair.domain, CONSTANT), result.of(pair.domain, pair.name)
        assert floor.psnr_db.high < small.psnr_db.low
        assert small.psnr_db.mean < large.psnr_db.mean
    for component, linear in zip(result.of("image", PCA), result.of("image", "LE + LD"), strict=True):
        assert linear.psnr_db.mean < component.psnr_db.mean + 0.05
