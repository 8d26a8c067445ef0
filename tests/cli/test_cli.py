from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opticdesign.design import load_design
from opticdesign.runs.run_folder import Run, open_run

ROOT = Path(__file__).parents[2]
DESIGN = str(ROOT / "designs" / "d2nn5.toml")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "200"}


Command = Callable[..., Any]


def test_help_names_every_command(command: Command) -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in ("optimize", "evaluate", "export", "verify", "check", "init", "schema", "show", "doctor"):
        assert name in done.stdout


def test_help_imports_no_heavy_package() -> None:
    heavy = ("torch", "matplotlib", "gdstk", "scipy", "pint", "numpy")
    code = f"import sys, opticdesign.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wrong_option_exits_2_without_traceback(command: Command) -> None:
    done = command("optimize", DESIGN, "--colour")
    assert done.returncode == 2
    assert "No such option" in done.stderr and "Traceback" not in done.stderr


def test_wrong_device_exits_2(command: Command) -> None:
    done = command("optimize", DESIGN, "--device", "tpu", "--plan")
    assert done.returncode == 2
    assert "tpu" in done.stderr and "auto" in done.stderr


def test_broken_design_exits_2_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text(Path(DESIGN).read_text().replace('"632.8 nm"', '"632.8 kg"'))
    done = command("optimize", broken)
    assert done.returncode == 2
    for part in ("broken.toml:", "light.wavelength", "632.8 kg", "expected", "remedy"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["broken.toml"]


def test_optimize_prints_the_folder_on_stdout_only(command: Command, tmp_path: Path, tiny_settings: list[str]) -> None:
    done = command("optimize", DESIGN, *tiny_settings, "--quick", "--seed", 7, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'run'}\n"
    assert open_run(tmp_path / "run").design.training.seed == 7


def test_training_is_not_said_to_begin_where_it_cannot(
    command: Command, tmp_path: Path, tiny_settings: list[str]
) -> None:
    done = command("optimize", DESIGN, *tiny_settings, "--quick", "--from", tmp_path / "none")
    assert done.returncode == 2 and "training on" not in done.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    taken = command("optimize", DESIGN, *tiny_settings, "--quick", "--output", tmp_path / "mine")
    assert taken.returncode == 2 and "training on" not in taken.stderr
    assert "already there" in taken.stderr and "--resume" not in taken.stderr
    begun = command("optimize", DESIGN, *tiny_settings, "--quick", "--device", "cpu", "--output", tmp_path / "run")
    assert begun.stderr.count("d2nn5: training on cpu, quick: smoke budget") == 1
    again = command("optimize", DESIGN, *tiny_settings, "--quick", "--output", tmp_path / "run")
    assert "or continue the run in it: opticdesign optimize " in again.stderr and "--resume" in again.stderr


def test_a_study_is_no_design_and_the_reverse(command: Command) -> None:
    study = ROOT / "designs" / "studies" / "table1.toml"
    for name in ("check", "optimize"):
        done = command(name, study)
        assert done.returncode == 2
        assert f"remedy:   opticdesign study {study}" in done.stderr and "remove it" not in done.stderr
    for settings in ((), ("--quick",)):
        reverse = command("study", DESIGN, *settings)
        assert reverse.returncode == 2
        assert f"remedy:   opticdesign optimize {DESIGN}" in reverse.stderr and "remove it" not in reverse.stderr


def test_evaluate_stops_safely_and_the_same_command_continues(
    command: Command, run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opticdesign.runs import evaluate as workflow

    begun: list[str] = []
    judge = workflow.judge

    def stop_soon(*arguments: Any) -> Any:  # as a user does before the first floor
        begun.append("")
        if len(begun) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return judge(*arguments)

    monkeypatch.setattr(workflow, "judge", stop_soon)
    stopped = command("evaluate", run_copy, "--device", "cpu")
    assert stopped.returncode == 130
    assert f"stopped safely in {run_copy / 'evaluation' / 'floors'}; the same command continues it" in stopped.stderr
    assert not (run_copy / "evaluation" / "evaluation.json").exists()
    done = command("evaluate", run_copy, "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["rows"]) == 6


def test_optimize_plan_writes_nothing(command: Command, tmp_path: Path, tiny_settings: list[str]) -> None:
    done = command("optimize", DESIGN, *tiny_settings, "--plan")
    assert done.returncode == 0, done.stderr
    for part in ("time", "memory", "disk", "metrics.jsonl"):
        assert part in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_optimize_plan_looks_at_the_run_to_start_from(
    command: Command, tmp_path: Path, tiny_settings: list[str]
) -> None:
    done = command("optimize", DESIGN, *tiny_settings, "--plan", "--from", tmp_path)
    assert done.returncode == 2
    assert "not a run folder" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_signal_saves_and_says_how_to_resume(
    command: Command, tmp_path: Path, tiny_settings: list[str], number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    long = ["--set", "training.stages.decoder.steps=100000"]
    line = [sys.executable, "-m", "opticdesign", "optimize", DESIGN, *tiny_settings, *long, "--output", str(folder)]
    process = subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert f"opticdesign optimize {folder}/design.toml --output {folder} --resume" in out + err
    assert open_run(folder).info["status"] == "stopped"
    plan = command("optimize", folder / "design.toml", "--output", folder, "--resume", "--plan")
    assert plan.returncode == 0, plan.stderr


def test_export_and_verify_say_what_they_did(command: Command, run_copy: Path) -> None:
    exported = command("export", run_copy, "--gds", "--slm")
    assert exported.returncode == 0, exported.stderr
    assert "gds/d2nn5.gds" in exported.stdout and "slm/layer1.png" in exported.stdout
    assert "heightmap" not in exported.stdout
    assert (run_copy / "exports" / "manifest.json").is_file()
    verified = command("verify", run_copy, "--json")
    assert verified.returncode == 0, verified.stderr
    result = json.loads(verified.stdout)
    assert result["ok"] and [check["exporter"] for check in result["checks"]] == ["gds", "slm"]
    names = [stage["name"] for stage in result["stages"]]
    assert names == ["float", "quantised", "read back, gds", "read back, slm"]
    quantised, *read_back = ({**stage, "name": ""} for stage in result["stages"][1:])
    assert all(stage == quantised for stage in read_back)


def test_export_writes_every_format_when_none_is_named(command: Command, run_copy: Path, tmp_path: Path) -> None:
    done = command("export", run_copy, "--to", tmp_path / "files", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert {record["exporter"] for record in manifest["exports"]} >= {"gds", "heightmap", "slm"}
    assert manifest["provenance"]["checkpoint_sha256"]
    assert command("verify", run_copy, "--to", tmp_path / "files").returncode == 0


def test_verify_names_the_place_of_a_changed_pixel(command: Command, run_copy: Path) -> None:
    from PIL import Image

    assert command("export", run_copy, "--slm").returncode == 0
    path = run_copy / "exports" / "slm" / "layer2.png"
    with Image.open(path) as image:
        changed = image.copy()
    changed.putpixel((11, 7), (changed.getpixel((11, 7)) + 32) % 256)
    changed.save(path)
    done = command("verify", run_copy)
    assert done.returncode == 1
    assert "layer 2 row 7 column 11" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_without_export_says_what_to_run(command: Command, run_copy: Path) -> None:
    done = command("verify", run_copy)
    assert done.returncode == 2
    assert "run export first" in done.stderr


def test_check_prints_numbers_limits_and_remedies(command: Command) -> None:
    done = command("check", DESIGN, "--json")
    assert done.returncode == 0, done.stderr
    checks = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert checks["thin element"]["verdict"] == "warn"
    assert "3.83" in checks["thin element"]["found"] and checks["thin element"]["remedy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (['optics.pitch="8 um"'], "synthetic cells of 96 × 96 pixels, pitch 8 µm"),
        (['data={kind = "folder", path = "nowhere"}'], "nowhere: no such file or folder"),
        (['data={kind = "folder", path = "small", unit = "rad"}'], "field.npy:train: the sector has 20 × 40 pixels"),
        (
            [
                "training.stages.joint.loss=gan",
                "training.stages.joint.discriminator_rate=0.0001",
                'training.perceptual={kind = "vgg19", weights = "nowhere"}',
            ],
            "nowhere: ",
        ),
    ],
)
def test_check_refuses_the_data_that_training_refuses(
    command: Command, tmp_path: Path, tiny_settings: list[str], change: list[str], message: str
) -> None:
    import numpy as np

    (tmp_path / "small").mkdir()
    np.save(tmp_path / "small" / "field.npy", np.zeros((40, 40), np.float32))
    settings = [*tiny_settings, *(part for setting in change for part in ("--set", setting))]
    checked, trained = command("check", DESIGN, *settings), command("optimize", DESIGN, *settings, "--output", "run")
    assert (checked.returncode, trained.returncode) == (2, 2)
    assert checked.stderr == trained.stderr and message in checked.stderr
    assert checked.stdout == "" and "next:" not in checked.stderr


def test_check_fails_a_feature_the_process_cannot_print(command: Command) -> None:
    done = command("check", DESIGN, "--set", 'fabrication.min_feature="1 um"')
    assert done.returncode == 1
    assert "fail" in done.stdout and "smaller features" in done.stdout


def test_init_writes_a_design_that_reads_and_never_replaces_one(command: Command, tmp_path: Path) -> None:
    assert command("init", tmp_path / "mine.toml").returncode == 0
    text = (tmp_path / "mine.toml").read_text()
    assert load_design(tmp_path / "mine.toml") == load_design(DESIGN)
    assert "../docs" not in text and "designs/d2nn5.toml" not in text  # what is there only in a checkout
    (tmp_path / "mine.toml").write_text("keep")
    again = command("init", tmp_path / "mine.toml")
    assert again.returncode == 2 and "already there" in again.stderr
    assert (tmp_path / "mine.toml").read_text() == "keep"


def test_schema_is_the_one_in_the_docs(command: Command) -> None:
    done = command("schema")
    assert json.loads(done.stdout) == json.loads((ROOT / "docs" / "design.schema.json").read_text())


def test_show_design_prints_a_design_file(command: Command, tmp_path: Path) -> None:
    done = command("show", DESIGN, "--set", "optics.layers=3")
    assert done.returncode == 0, done.stderr
    (tmp_path / "again.toml").write_text(done.stdout)
    assert command("show", tmp_path / "again.toml").stdout == done.stdout
    assert "layers = 3" in done.stdout


def test_show_run_tells_its_state(command: Command, trained_run: Run) -> None:
    done = command("show", trained_run.folder, "--json")
    facts = json.loads(done.stdout)
    assert facts["status"] == "complete" and facts["design"]["name"] == "d2nn5"


@pytest.mark.parametrize("name", ["evaluate", "export", "verify", "show"])
def test_missing_run_exits_2(command: Command, tmp_path: Path, name: str) -> None:
    done = command(name, tmp_path / "nothing")
    assert done.returncode == 2
    assert "no such folder" in done.stderr and "Traceback" not in done.stderr
    empty = command(name, tmp_path)
    assert empty.returncode == 2
    assert "not a run folder" in empty.stderr and "opticdesign optimize DESIGN" in empty.stderr


def test_doctor_names_versions_and_exporters(command: Command) -> None:
    facts = json.loads(command("doctor", "--json").stdout)
    assert {"gds", "heightmap", "slm"} <= facts["exporters"].keys()
    assert "torch" in facts["packages"]
