from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from opticdesign.errors import DesignError, RunError, StudyStopped, UsageError
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.runs.export import export, made_stages
from opticdesign.runs.run_folder import Run, changed_run, open_run
from opticdesign.storage import read_record, write_json, write_record
from opticdesign.tolerance.result import ToleranceResult
from opticdesign.tolerance.running import files, study_run, worker
from opticdesign.tolerance.running.plan import ToleranceOptions, prepare
from opticdesign.tolerance.running.study_run import replay, tolerate
from tests.support.tolerance_fakes import Toy, toy_benches

CPU = torch.device("cpu")
FEW = ToleranceOptions(CPU, samples=12, workers=1, quick=True)
ERRORS = ("tolerance.images=2", "tolerance.gap.sigma=0.1 um", "tolerance.tilt.range=1 mrad")


@pytest.fixture(autouse=True)
def toys() -> Iterator[list[Toy]]:
    """The benches that a test has built, toys all of them."""
    with toy_benches() as made:
        yield made


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures and no report, which take most of the time, but where a test asks for `drawn`."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(study_run, "draw_comparison", lambda *_: None)
        monkeypatch.setattr(files, "write_report", lambda *_: None)


@pytest.fixture
def drawn() -> None:
    """Pictures and report are wanted."""


@pytest.fixture
def run(trained_run: Run, tmp_path: Path) -> Run:
    return open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run")))


def study(run: Run, stop: Callable[[], bool] = lambda: False, **options: object) -> tuple[ToleranceResult, Path]:
    chosen = replace(FEW, changes=ERRORS)
    return tolerate(run, replace(chosen, **options), lambda *_: None, lambda news: None, stop)


@pytest.mark.usefixtures("drawn")
def test_a_study_writes_its_result_draws_pictures_and_report(run: Run) -> None:
    result, folder = study(run)
    assert folder.parent == run.folder / "tolerance"
    assert {path.name for path in folder.iterdir()} == {"result.json", "draws.csv", "report.html", "pictures"}
    stored = json.loads((folder / "result.json").read_text("utf-8"))
    assert stored["samples"] == 12 and stored["images"] == 2 and stored["quick"] is True
    assert stored["summaries"]["psnr_db"]["nominal"] == result.summaries["psnr_db"].nominal
    assert "</html>" in (folder / "report.html").read_text("utf-8")
    for draw in result.worst:
        assert draw.picture is not None
        assert (folder / draw.picture).read_bytes().startswith(b"\x89PNG")


def test_draws_csv_holds_every_draw_with_units(run: Run) -> None:
    result, folder = study(run)
    rows = list(csv.DictReader((folder / "draws.csv").read_text("utf-8").splitlines()))
    assert [row["draw"] for row in rows] == [str(index) for index in range(12)]
    assert {"gap 1 / m", "psnr_db"} <= rows[0].keys()
    assert [float(row["psnr_db"]) for row in rows] == list(result.draws.metrics["psnr_db"])
    assert [float(row["gap 1 / m"]) for row in rows] == list(result.draws.values["gap 1"])


def test_a_result_says_where_it_is_from(run: Run) -> None:
    result, _ = study(run)
    facts = result.provenance
    assert facts["checkpoint_sha256"] == run.load()[2] and facts["design_sha256"] == run.design.digest()
    assert facts["threads"] == 1 and facts["packages"]["torch"]
    assert facts["command"].endswith(
        f"{run.folder} --samples 12 --seed 0 --device cpu --quick --set tolerance.images=2 "
        "--set 'tolerance.gap.sigma=0.1 um' --set 'tolerance.tilt.range=1 mrad'"
    )
    assert {parameter.group for parameter in result.parameters} == {"gap", "tilt"}
    (gap, *_) = result.parameters
    assert (gap.unit, gap.nominal) == ("m", 0.0) and gap.high == pytest.approx(1.96e-7, rel=1e-3)


def test_the_same_study_is_read_from_its_shards(run: Run, toys: list[Toy]) -> None:
    first, folder = study(run)
    judged = toys[0].judged
    again, same = study(run)
    assert same == folder and toys[0].judged == judged and len(toys) == 1
    assert again.draws == first.draws and again.inverse == first.inverse


def test_more_draws_go_to_their_own_folder_and_take_up_what_is_there(run: Run, toys: list[Toy]) -> None:
    first, folder = study(run, samples=16)
    judged = toys[0].judged
    more, other = study(run, samples=24)
    assert other != folder and (folder / "result.json").exists()
    assert more.draws.metrics["ssim"][:16] == first.draws.metrics["ssim"]
    # eight draws more, and the compensators of other draws; curves, limits and nominal are there
    assert toys[0].judged - judged < 8 + 2 * 40


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"samples": 13}, {"quick": False}, {"sobol": 2}, {"changes": (*ERRORS, "tolerance.spec=19")}],
    ids=str,
)
def test_other_settings_have_another_folder(run: Run, changes: dict[str, object]) -> None:
    base = replace(FEW, changes=ERRORS)
    assert prepare(run, base).folder == prepare(run, base).folder
    assert prepare(run, replace(base, **changes)).folder != prepare(run, base).folder


def test_workers_and_memory_change_no_folder(run: Run) -> None:
    base = replace(FEW, changes=ERRORS)
    assert prepare(run, replace(base, workers=2, memory_gib=4.0)).folder == prepare(run, base).folder


def test_another_checkpoint_is_another_study(run: Run) -> None:
    before = prepare(run, FEW).folder
    tensors, position, _ = run.load()
    tensors = {name: value * 1.01 if value.is_floating_point() else value for name, value in tensors.items()}
    run.save(tensors, {**position, "total": position["total"] + 1})
    run.finish()
    worker.load_subject.cache_clear()
    assert prepare(run, FEW).folder != before


def test_a_stopped_study_goes_on_to_the_same_result(run: Run, tmp_path: Path) -> None:
    asked = iter([False] * 6 + [True] * 1000)
    with pytest.raises(StudyStopped):
        study(run, lambda: next(asked))
    assert not list((run.folder / "tolerance").glob("*/result.json"))
    first, _ = study(run, output=tmp_path / "elsewhere")
    again, _ = study(run)
    assert again.draws == first.draws and again.worst == first.worst and again.budget == first.budget


def test_a_damaged_shard_is_told_and_judged_again(run: Run) -> None:
    first, _ = study(run)
    for path in (run.folder / "tolerance" / "shards").glob("*.json"):
        path.write_bytes(path.read_bytes()[:-30])
    news: list[str] = []
    again, _ = tolerate(run, replace(FEW, changes=ERRORS), lambda *_: None, news.append, lambda: False)
    assert again.draws == first.draws
    assert news and all("set aside" in line for line in news)


def test_stages_go_from_float_to_monte_carlo_on_the_images_of_the_study(run: Run) -> None:
    result, _ = study(run)
    stages = {stage.name: stage for stage in result.stages}
    assert list(stages) == ["float", "quantised", "read back", "Monte Carlo, mean", "Monte Carlo, worst 5 %"]
    assert stages["read back"].note == "not exported" and not stages["read back"].metrics
    expected = made_stages(run, CPU, 2, accuracy=worker.study_accuracy(run.design))
    assert stages["float"].metrics == expected[0].metrics and stages["quantised"].metrics == expected[1].metrics
    found = result.summaries["mae_rad"]
    assert stages["Monte Carlo, worst 5 %"].metrics["mae_rad"] == found.percentiles["95"].value


def test_stages_hold_what_is_read_back_from_exports(run: Run) -> None:
    export(run, ("heightmap",), None)
    result, _ = study(run)
    stages = {stage.name: stage for stage in result.stages}
    assert stages["read back, heightmap"].metrics == stages["quantised"].metrics


def test_exports_that_are_damaged_or_of_another_checkpoint_are_told(run: Run) -> None:
    export(run, ("heightmap",), None)
    manifest = run.folder / "exports" / "manifest.json"
    record = json.loads(manifest.read_text("utf-8"))
    record["provenance"]["checkpoint_sha256"] = "0" * 64
    write_json(manifest, record)
    result, _ = study(run)
    (stage,) = [stage for stage in result.stages if stage.name.startswith("read back")]
    assert "another checkpoint" in stage.note and stage.metrics
    manifest.write_text("{")
    result, _ = study(run)
    (stage,) = [stage for stage in result.stages if stage.name.startswith("read back")]
    assert "damaged manifest" in stage.note and not stage.metrics


def test_a_draw_replays_alone_to_the_same_metrics_with_a_picture(run: Run, toys: list[Toy]) -> None:
    result, folder = study(run)
    worst = result.worst[3]
    judged = toys[0].judged
    found = replay(run, replace(FEW, changes=ERRORS), worst.index)
    assert found.same and found.draw == worst and toys[0].judged == judged + 1
    assert found.units["gap 1"] == "m" and found.folder == folder


def test_a_draw_that_is_not_what_the_study_holds_is_told(run: Run) -> None:
    _, folder = study(run)
    stored = read_record(folder / "result.json")
    stored["draws"]["metrics"]["ssim"][2] += 1e-12
    write_record(folder / "result.json", stored)
    assert not replay(run, replace(FEW, changes=ERRORS), 2).same
    assert replay(run, replace(FEW, changes=ERRORS), 1).same


@pytest.mark.parametrize("index", [-1, 12])
def test_a_draw_that_is_none_is_refused(run: Run, index: int) -> None:
    with pytest.raises(UsageError, match="the study has 12 draws"):
        replay(run, FEW, index)


def test_a_replay_without_a_study_is_refused(run: Run) -> None:
    with pytest.raises(RunError, match="no finished study") as caught:
        replay(run, FEW, 0)
    assert "same options" in caught.value.remedy


@pytest.mark.parametrize("base", [1, 3, 100])
def test_sobol_base_points_are_a_power_of_two(run: Run, base: int) -> None:
    with pytest.raises(UsageError, match=f"--sobol {base}"):
        prepare(run, replace(FEW, sobol=base))


def test_only_tolerances_can_be_changed(run: Run) -> None:
    assert changed_run(run, (), "tolerance") is run
    assert changed_run(run, ERRORS, "tolerance").design.tolerance.images == 2
    with pytest.raises(UsageError, match="trained with its design as it is"):
        prepare(run, replace(FEW, changes=("optics.layers=3",)))
    with pytest.raises(DesignError, match="gapp"):
        prepare(run, replace(FEW, changes=("tolerance.gapp.sigma=1 um",)))


def test_other_images_or_sources_are_judged_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    key = prepare(run, FEW).subject.key
    assert prepare(run, replace(FEW, changes=("tolerance.spec=3",))).subject.key == key  # asked of the same metrics
    assert prepare(run, replace(FEW, changes=("tolerance.images=3",))).subject.key != key
    worker.load_subject.cache_clear()
    monkeypatch.setattr(worker, "_source_sha256", lambda: "changed")
    assert prepare(run, FEW).subject.key != key


def test_a_worker_that_outlives_a_study_follows_a_run_that_has_changed(run: Run) -> None:
    prepared = prepare(run, FEW)
    tensors, position, _ = run.load()
    tensors = {name: value * 1.01 if value.is_floating_point() else value for name, value in tensors.items()}
    run.save(tensors, {**position, "total": position["total"] + 1})
    run.finish()
    changed = worker.load_subject.__wrapped__(prepared.request).key
    assert worker.load_subject(prepared.request).key == prepared.subject.key != changed
    task = {"request": vars(prepared.request), "study": changed, "kind": "evaluate", "indices": [NO_PATTERN]}
    task["values"] = prepared.subject.space.nominal[None].tolist()
    assert "metrics" in json.loads(worker.judge_shard(json.dumps(task)))


def test_a_worker_with_another_checkpoint_is_refused(run: Run) -> None:
    prepared = prepare(run, FEW)
    task = {
        "request": vars(prepared.request),
        "study": "0" * 64,
        "kind": "evaluate",
        "values": prepared.subject.space.nominal[None].tolist(),
        "indices": [NO_PATTERN],
    }
    answer = json.loads(worker.judge_shard(json.dumps(task)))
    assert "another run, device or version" in answer["error"]["message"] and answer["exit_code"] == 2


def test_judging_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with worker.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_processes_are_one_a_thread_on_a_cpu_and_one_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert ToleranceOptions(CPU).processes == 6
    assert ToleranceOptions(torch.device("cuda")).processes == 1
    assert ToleranceOptions(CPU, workers=3).processes == 3
    assert ToleranceOptions(CPU, workers=3, scheduler="tcp://127.0.0.1:1").processes == 1
