from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from opticdesign import storage
from opticdesign.data import source
from opticdesign.design import Design
from opticdesign.errors import RunError, UsageError
from opticdesign.processes import choose_device
from opticdesign.runs.optimise import Options, Stopped, optimise, rehearse
from opticdesign.runs.planning import plan_optimisation, quick_design
from opticdesign.runs.run_folder import Run, create_run, open_run
from opticdesign.runs.start import load_trained
from opticdesign.storage import load_checkpoint, sha256_file
from tests.support.run_json import edit_run

CPU = torch.device("cpu")


def run_to_end(design: Design, folder: Path, **options: bool | Path) -> Run:
    return optimise(design, Options(CPU, folder, **options), lambda progress: None, lambda: False)


def stop_after(steps: int):
    """A listener and a stop request that becomes true after some steps."""
    seen = []
    return seen.append, lambda: len(seen) >= steps


def tensors_of(run: Run) -> dict[str, torch.Tensor]:
    return run.load()[0]


def test_run_folder_holds_everything_the_contract_names(trained_run: Run) -> None:
    names = {
        path.relative_to(trained_run.folder).as_posix() for path in trained_run.folder.rglob("*") if path.is_file()
    }
    figures = {"figures/masks.png", "figures/training.png", "figures/validation.png"}
    assert {"design.toml", "run.json", "metrics.jsonl", "metrics.csv", *figures} <= names
    assert trained_run.complete and not trained_run.quick
    environment = trained_run.info["environment"]
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["threads"] == torch.get_num_threads()


def test_metrics_are_the_same_in_both_files_and_cover_all_stages(trained_run: Run) -> None:
    records = trained_run.records()
    assert [record["total"] for record in records] == list(range(1, 16))
    assert list(dict.fromkeys(record["stage"] for record in records)) == ["optics", "decoder", "joint"]
    assert "psnr_db" in records[-1]
    assert len((trained_run.folder / "metrics.csv").read_text().splitlines()) == 1 + len(records)


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    again = tensors_of(run_to_end(tiny_design, tmp_path / "again"))
    other_training = tiny_design.training.model_copy(update={"seed": 1})
    other = tensors_of(run_to_end(tiny_design.model_copy(update={"training": other_training}), tmp_path / "other"))
    first = tensors_of(trained_run)
    assert all(torch.equal(first[key], again[key]) for key in first)
    weight = "microscope.decoder.head.0.weight"
    assert not torch.equal(first[weight], other[weight])


@pytest.mark.parametrize("steps", [2, 3, 8, 14])
def test_resumed_run_ends_bit_for_bit_like_an_uninterrupted_one(
    tiny_design: Design, trained_run: Run, tmp_path: Path, steps: int
) -> None:
    listen, stop = stop_after(steps)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "run"), listen, stop)
    assert open_run(tmp_path / "run").info["status"] == "stopped"
    resumed = run_to_end(tiny_design, tmp_path / "run", resume=True)
    first, second = tensors_of(trained_run), tensors_of(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert resumed.records() == trained_run.records()


def test_resume_falls_back_when_the_newest_checkpoint_is_damaged(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    listen, stop = stop_after(12)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "run"), listen, stop)
    *_, path = sorted((tmp_path / "run" / "checkpoints").glob("step-*/tensors.safetensors"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    resumed = run_to_end(tiny_design, tmp_path / "run", resume=True)
    first, second = tensors_of(trained_run), tensors_of(resumed)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_reads_its_checkpoint_once(trained_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(storage, "load_checkpoint", lambda place: read.append(place) or load_checkpoint(place))
    tensors, position, digest = trained_run.load()
    assert len(read) == 1 and position["total"] == 15 and tensors
    assert digest == sha256_file(read[0] / "tensors.safetensors")


def test_resume_refuses_another_design(tiny_design: Design, tmp_path: Path) -> None:
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "run"), listen, stop)
    other = tiny_design.model_copy(update={"training": tiny_design.training.model_copy(update={"seed": 5})})
    with pytest.raises(RunError, match="another design"):
        run_to_end(other, tmp_path / "run", resume=True)


def test_output_folder_with_files_is_never_touched(tiny_design: Design, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(RunError, match="already there"):
        run_to_end(tiny_design, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_second_process_on_a_run_folder_is_refused(tiny_design: Design, tmp_path: Path) -> None:
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "run"), listen, stop)
    with open_run(tmp_path / "run").locked(), pytest.raises(RunError, match="another process"):
        run_to_end(tiny_design, tmp_path / "run", resume=True)


def test_default_folder_is_named_by_time_and_hash_and_latest_finds_it(tiny_design: Design, tmp_path: Path) -> None:
    options = Options(CPU, parent=tmp_path, quick=True)
    run = optimise(quick_design(tiny_design), options, lambda progress: None, lambda: False)
    assert run.folder.parent == tmp_path / "d2nn5"
    assert run.folder.name.endswith(run.design.digest()[:8])
    for path in (run.folder, tmp_path / "d2nn5", tmp_path / "d2nn5" / "latest"):
        assert open_run(path).folder == run.folder


def test_quick_is_marked_and_small(tiny_design: Design, tmp_path: Path) -> None:
    run = run_to_end(tiny_design, tmp_path / "run", quick=True)
    assert run.quick
    assert json.loads((run.folder / "run.json").read_text())["quick"] is True
    assert max(stage.steps for stage in run.design.training.stages.values()) <= 12


def test_plan_writes_nothing_and_grows_with_the_steps(
    tiny_design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    short = plan_optimisation(tiny_design, CPU)
    stages = {name: stage.model_copy(update={"steps": 100_000}) for name, stage in tiny_design.training.stages.items()}
    training = tiny_design.training.model_copy(update={"stages": stages})
    long = plan_optimisation(tiny_design.model_copy(update={"training": training}), CPU)
    assert list(tmp_path.iterdir()) == []
    assert long.seconds > 100 * short.seconds
    assert short.parameters["optics"] == 2 * 64 * 64


def test_a_rehearsal_makes_one_synthetic_field_for_each_part_and_writes_nothing(
    tiny_design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = []
    synthetic_field = source.synthetic_field
    monkeypatch.setattr(source, "synthetic_field", lambda *how: made.append(how) or synthetic_field(*how))
    rehearse(tiny_design)
    assert len(made) == 3
    assert list(tmp_path.iterdir()) == []


def test_trained_masks_need_a_finished_run(tiny_design: Design, tmp_path: Path) -> None:
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "run"), listen, stop)
    with pytest.raises(UsageError, match="has not finished"):
        load_trained(open_run(tmp_path / "run"), CPU)


@pytest.mark.parametrize("written", [1, 2, None])
def test_a_run_of_another_optical_model_is_refused(trained_run: Run, tmp_path: Path, written: int | None) -> None:
    """Its masks were trained for light that the present model does not compute."""
    shutil.copytree(trained_run.folder, tmp_path / "before")
    edit_run(tmp_path / "before", format=written)
    with pytest.raises(RunError, match="another version"):
        open_run(tmp_path / "before")


def test_changed_design_file_of_a_run_is_noticed(trained_run: Run, tmp_path: Path) -> None:
    for name in ("design.toml", "run.json"):
        (tmp_path / name).write_text((trained_run.folder / name).read_text())
    text = (tmp_path / "design.toml").read_text()
    (tmp_path / "design.toml").write_text(text.replace("layers = 2", "layers = 3"))
    with pytest.raises(RunError, match="not the design this run was made with"):
        open_run(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_a_device_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="no CUDA device"):
        choose_device("cuda")


def decoder_alone(design: Design, **decoder: object) -> Design:
    """The design with the stage of the decoder as its only one, and a decoder changed so."""
    stages = {"decoder": design.training.stages["decoder"]}
    spec = design.decoder.model_copy(update=decoder)
    return design.model_copy(
        update={"training": design.training.model_copy(update={"stages": stages}), "decoder": spec}
    )


def test_a_run_started_from_another_goes_on_with_its_masks_and_decoder(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    design = decoder_alone(tiny_design)
    started = run_to_end(design, tmp_path / "started", start_from=trained_run.folder)
    fresh = run_to_end(design, tmp_path / "fresh")
    source, ours, theirs = (tensors_of(run) for run in (trained_run, started, fresh))
    for key in (key for key in source if key.startswith("microscope.optics")):
        assert torch.equal(ours[key], source[key]), key
        assert not torch.equal(theirs[key], source[key]), key
    assert started.records()[-1]["psnr_db"] > fresh.records()[-1]["psnr_db"] + 1.0  # 6 steps do not make up for 12
    assert started.info["environment"]["start_from"] == {
        "run": trained_run.folder.name,
        "checkpoint_sha256": trained_run.load()[2],
        "parts": ["optics", "decoder"],
    }
    assert "start_from" not in fresh.info["environment"]


def test_another_decoder_starts_untrained_behind_the_masks_of_the_source(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    design = decoder_alone(tiny_design, channels=16)
    started = run_to_end(design, tmp_path / "started", start_from=trained_run.folder)
    assert started.info["environment"]["start_from"]["parts"] == ["optics"]
    source, ours = tensors_of(trained_run), tensors_of(started)
    assert torch.equal(ours["microscope.optics.elements.0.phase_rad"], source["microscope.optics.elements.0.phase_rad"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 1}, "not of the kind and size"),
        ({"neurons": (64, 128)}, "not of the kind and size"),
        ({"cell": 16}, "do not repeat as this design's do"),
    ],
)
def test_a_source_of_other_optics_is_refused_and_nothing_is_written(
    tiny_design: Design, trained_run: Run, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    other = tiny_design.model_copy(update={"optics": tiny_design.optics.model_copy(update=change)})
    with pytest.raises(UsageError, match=message):
        run_to_end(other, tmp_path / "run", start_from=trained_run.folder)
    assert not (tmp_path / "run").exists()


def test_a_plan_refuses_a_source_that_does_not_fit(tiny_design: Design, trained_run: Run, tmp_path: Path) -> None:
    other = tiny_design.model_copy(update={"optics": tiny_design.optics.model_copy(update={"layers": 1})})
    with pytest.raises(UsageError, match="not of the kind and size"):
        plan_optimisation(other, CPU, trained_run.folder)
    assert plan_optimisation(tiny_design, CPU, trained_run.folder).seconds > 0.0


def test_a_source_that_is_no_finished_run_is_refused_and_nothing_is_written(
    tiny_design: Design, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        run_to_end(tiny_design, tmp_path / "run", start_from=tmp_path)
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "source"), listen, stop)
    with pytest.raises(UsageError, match=r"has not finished(.|\n)*--resume"):
        run_to_end(tiny_design, tmp_path / "run", start_from=tmp_path / "source")
    assert not (tmp_path / "run").exists()


def test_a_started_run_resumes_bit_for_bit_without_its_source(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    design = decoder_alone(tiny_design)
    whole = run_to_end(design, tmp_path / "whole", start_from=trained_run.folder)
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(design, Options(CPU, tmp_path / "run", start_from=trained_run.folder), listen, stop)
    resumed = run_to_end(design, tmp_path / "run", resume=True)
    first, second = tensors_of(whole), tensors_of(resumed)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert resumed.info["environment"]["start_from"] == whole.info["environment"]["start_from"]


def test_a_started_run_without_a_checkpoint_needs_its_source_again(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    design = decoder_alone(tiny_design)
    whole = run_to_end(design, tmp_path / "whole", start_from=trained_run.folder)
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(design, Options(CPU, tmp_path / "run", start_from=trained_run.folder), listen, stop)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(
        RunError, match=rf"before its first checkpoint(.|\n)*--from with the folder of {trained_run.folder.name}"
    ):
        run_to_end(design, tmp_path / "run", resume=True)
    resumed = run_to_end(design, tmp_path / "run", resume=True, start_from=trained_run.folder)
    first, second = tensors_of(whole), tensors_of(resumed)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert resumed.records() == whole.records()


def test_resuming_from_another_source_is_refused_and_the_record_stays(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    design = decoder_alone(tiny_design)
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(design, Options(CPU, tmp_path / "run", start_from=trained_run.folder), listen, stop)
    other = run_to_end(design, tmp_path / "other")
    with pytest.raises(
        RunError, match=rf"did not start from other(.|\n)*--from with {trained_run.folder.name}, or none"
    ):
        run_to_end(design, tmp_path / "run", resume=True, start_from=other.folder)
    assert open_run(tmp_path / "run").info["environment"]["start_from"]["run"] == trained_run.folder.name


def test_resuming_a_run_of_no_source_from_one_is_refused(tiny_design: Design, trained_run: Run, tmp_path: Path) -> None:
    listen, stop = stop_after(2)
    with pytest.raises(Stopped, match="can be resumed"):
        optimise(tiny_design, Options(CPU, tmp_path / "run"), listen, stop)
    with pytest.raises(RunError, match=r"did not start from(.|\n)*no --from"):
        run_to_end(tiny_design, tmp_path / "run", resume=True, start_from=trained_run.folder)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_complete_run_whose_last_checkpoint_is_damaged_is_refused_and_resuming_mends_it(
    tiny_design: Design, trained_run: Run, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained_run.folder, tmp_path / "run"))
    *_, last = sorted((folder / "checkpoints").glob("step-*"))
    flipped(last / "tensors.safetensors")
    with pytest.raises(RunError, match=r"the checkpoint that this run ended with is damaged[\s\S]*--resume"):
        load_trained(open_run(folder), CPU)
    shutil.rmtree(last)
    with pytest.raises(RunError, match="is not there"):
        load_trained(open_run(folder), CPU)
    mended = run_to_end(tiny_design, folder, resume=True)
    assert mended.info["checkpoint"] == trained_run.info["checkpoint"]
    load_trained(mended, CPU)


def test_a_changed_run_json_is_noticed(trained_run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained_run.folder, tmp_path / "run"))
    text = (folder / "run.json").read_text("utf-8")
    (folder / "run.json").write_text(text.replace('"threads": 1', '"threads": 3'), "utf-8")
    with pytest.raises(RunError, match="damaged"):
        open_run(folder)


def test_runs_of_one_second_have_folders_of_their_own(tiny_design: Design, tmp_path: Path) -> None:
    made = [create_run(tiny_design, None, tmp_path, status="running", quick=False).folder for _ in range(3)]
    assert len({folder.name for folder in made}) == 3
    assert all(open_run(folder).design == tiny_design for folder in made)


def test_of_two_that_make_one_folder_one_wins(tiny_design: Design, tmp_path: Path) -> None:
    designs = [
        tiny_design.model_copy(update={"training": tiny_design.training.model_copy(update={"seed": seed})})
        for seed in range(8)
    ]

    def make(design: Design) -> int | None:
        try:
            create_run(design, tmp_path / "run", tmp_path, status="running", quick=False, seed=design.training.seed)
        except RunError:
            return None
        return design.training.seed

    with ThreadPoolExecutor(8) as pool:
        won = [seed for seed in pool.map(make, designs) if seed is not None]
    run = open_run(tmp_path / "run")
    assert won == [run.info["seed"]] == [run.design.training.seed]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_lock_that_is_a_link_is_refused(trained_run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained_run.folder, tmp_path / "run"))
    (tmp_path / "mine.txt").write_text("keep")
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(RunError, match="a link"), open_run(folder).locked():
        pass
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_log_that_is_no_text_stops_nothing(trained_run: Run, tmp_path: Path) -> None:
    run = open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run")))
    whole = run.records()
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n[]\n{}\n")
    assert run.records() == whole
    run.rewind(5)
