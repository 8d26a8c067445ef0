from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import klayout.db as kdb
import numpy as np
import pytest
import torch

from opticdesign.cli.tables import verification_json, verification_table
from opticdesign.design import Design, load_design
from opticdesign.errors import RunError, StorageError, UsageError
from opticdesign.instrument.building import build_process
from opticdesign.runs import export as export_module
from opticdesign.runs.evaluate import evaluate
from opticdesign.runs.export import export, export_job, verify
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import Run, changed_run, open_run
from opticdesign.runs.start import load_trained
from opticdesign.verification.agreement import IndependentModel
from tests.support.design_texts import ROOT, write

CPU = torch.device("cpu")


@pytest.fixture
def exported(trained_run: Run, tmp_path: Path) -> Run:
    run = open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run")))
    export(run, (), None)
    return run


def layout_of(run: Run) -> tuple[Path, kdb.Layout]:
    path = run.folder / "exports" / "gds" / "d2nn5.gds"
    layout = kdb.Layout()
    layout.read(str(path))
    return path, layout


def first_box(layout: kdb.Layout, plane: int) -> tuple[kdb.Shapes, kdb.Shape, int]:
    """Shapes, one rectangle and its level in the cell of a plane."""
    cell = layout.cell(f"L{plane}")
    for level in range(1, 8):
        shapes = cell.shapes(layout.layer(plane, level))
        for shape in shapes.each():
            return shapes, shape, level
    raise LookupError("no rectangle drawn")


def test_what_is_verified_is_what_was_evaluated(exported: Run) -> None:
    """Export equals evaluate: the metrics of the quantised masks are those of the table, from file and from memory."""
    design_row = evaluate(exported, CPU, lambda name, step, steps: None, lambda: False).rows[0]
    result = verify(exported, CPU, None)
    assert result.ok
    quantised = result.stages[1].metrics
    assert quantised == pytest.approx({name: score.mean for name, score in design_row.patches.items()}, rel=1e-6)
    assert all(stage.metrics == quantised for stage in result.stages[2:])
    assert all(check.phase_error_rad == 0.0 for check in result.checks)


def test_layout_in_klayout_is_the_mask_neuron_by_neuron(exported: Run) -> None:
    process = build_process(exported.design)
    levels = process.level_of_phase(load_trained(exported, CPU)[0].optics.detached_phases()).numpy()
    _, layout = layout_of(exported)
    pitch = round(exported.design.optics.pitch / layout.dbu * 1e6)
    seen = np.zeros_like(levels)
    for plane in range(1, len(levels) + 1):
        for level in range(1, process.levels):
            for shape in layout.cell(f"L{plane}").shapes(layout.layer(plane, level)).each():
                box = shape.bbox()
                rows = slice(levels.shape[1] - box.top // pitch, levels.shape[1] - box.bottom // pitch)
                seen[plane - 1, rows, box.left // pitch : box.right // pitch] += level
    np.testing.assert_array_equal(seen, levels)


def test_a_rectangle_taken_away_is_found_and_placed(exported: Run) -> None:
    path, layout = layout_of(exported)
    shapes, shape, level = first_box(layout, 2)
    box, pitch = shape.bbox(), round(exported.design.optics.pitch / layout.dbu * 1e6)
    row, column = 64 - box.top // pitch, box.left // pitch
    shapes.erase(shape)
    layout.write(str(path))
    result = verify(exported, CPU, None)
    assert not result.ok
    problems = " ".join(next(check.problems for check in result.checks if check.exporter == "gds"))
    assert f"layer 2 row {row} column {column}: level 0, expected {level}" in problems
    assert "SHA-256" in problems
    assert all(check.ok for check in result.checks if check.exporter != "gds")


def test_a_rectangle_moved_by_half_a_neuron_is_refused(exported: Run) -> None:
    path, layout = layout_of(exported)
    _, shape, _ = first_box(layout, 1)
    shape.transform(kdb.Trans(round(exported.design.optics.pitch / layout.dbu * 1e6) // 2, 0))
    layout.write(str(path))
    result = verify(exported, CPU, None)
    assert not result.ok
    assert result.checks[0].readback is None


def test_files_of_another_checkpoint_are_noticed(exported: Run) -> None:
    manifest = exported.folder / "exports" / "manifest.json"
    text = manifest.read_text()
    digest = load_trained(exported, CPU)[1]
    manifest.write_text(text.replace(digest, "0" * 64))
    result = verify(exported, CPU, None)
    assert not result.ok
    assert "another checkpoint" in result.problems[0]


def test_a_run_is_exported_in_another_layout_than_its_design_asks_for(trained_run: Run, tmp_path: Path) -> None:
    changes = ("export.layout.kind=bits", "export.layout.mirror=true", "slm.two_pi_grey=200")
    manifest = export(changed_run(trained_run, changes, "export", "slm"), ("gds", "slm"), tmp_path / "bits")
    assert manifest.two_pi_grey == 200
    assert manifest.provenance["design_sha256"] == trained_run.info["design_sha256"]
    assert manifest.record("gds").options["layout"] == "bits"
    assert verify(trained_run, CPU, tmp_path / "bits").ok
    with pytest.raises(UsageError, match=r"trained with its design(.|\n)*\[export\] or \[slm\]"):
        changed_run(trained_run, ("fabrication.levels=4",), "export", "slm")


def test_unknown_format_and_missing_export_are_clear(trained_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown exporter 'dwg'"):
        export(trained_run, ("dwg",), tmp_path)
    with pytest.raises(RunError, match="no such manifest"):
        verify(trained_run, CPU, tmp_path)


def test_a_run_that_another_process_works_in_is_not_exported(exported: Run, tmp_path: Path) -> None:
    with open_run(exported.folder).locked(), pytest.raises(RunError, match="another process is working in this run"):
        export(exported, ("gds",), tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_a_file_the_user_changed_is_not_overwritten(exported: Run) -> None:
    path = exported.folder / "exports" / "slm" / "layer1.png"
    path.write_bytes(b"mine")
    with pytest.raises(RunError, match="changed since it was exported"):
        export(exported, ("slm",), None)
    assert path.read_bytes() == b"mine"


def trained_filter(folder: Path, mode: str) -> Run:
    """A filter after some steps of training; with mode "none", Zernike's in front of a trained decoder."""
    part = 'train = ["decoder"]' if mode == "none" else 'train = ["optics", "decoder"], optics_rate = 0.1'
    settings = (
        f"optics.mode={mode}",
        "optics.start=zernike",
        "optics.rings=true",
        "optics.neurons=32",
        "optics.radius=16.0",
        "optics.padding=1.5",
        "detector.binning=4",
        'decoder={kind = "unet", channels = 8}',
        "data.fields=4",
        "evaluation.overlap=8",
        "training.batch=2",
        f'training.stages={{joint = {{loss = "l1", steps = 3, decoder_rate = 0.01, {part}}}}}',
    )
    design: Design = load_design(ROOT / "designs" / "lff64.toml", settings)
    return optimise(design, Options(CPU, folder), lambda progress: None, lambda: False)


@pytest.mark.parametrize("mode", ["phase", "none"])
def test_exported_filter_is_verified_as_the_quantised_one(mode: str, tmp_path: Path) -> None:
    run = trained_filter(tmp_path / "run", mode)
    manifest = export(run, (), None)
    assert {record.exporter for record in manifest.exports} == {"gds", "heightmap", "preview", "slm"}
    result = verify(run, CPU, None)
    assert result.ok
    (_, quantised, *read_back) = result.stages
    assert len(read_back) == 4
    assert all(stage.metrics == quantised.metrics for stage in read_back)
    with np.load(run.folder / "exports" / "heightmap" / "heights.npz") as heights:
        assert heights["height_m"].shape == (1, 48, 48)
        pitch_m = 632.8e-9 * 10e-3 / (48 * 316.4e-9)  # λf over the window
        assert heights["pitch_m"] == pytest.approx(pitch_m)
        assert heights["height_m"].max() > 0.0


@pytest.mark.parametrize("mode", ["amplitude+phase", "amplitude"])
def test_a_learned_amplitude_is_not_left_out_silently(mode: str, tmp_path: Path) -> None:
    run = trained_filter(tmp_path / "run", mode)
    manifest = export(run, ("heightmap",), None)
    assert manifest.halftone == 8 and manifest.openings_sha256 is not None
    result = verify(run, CPU, None)
    assert not result.ok and all(check.ok for check in result.checks)
    assert "no exported file holds the learned amplitude" in result.problems[0]


@pytest.mark.parametrize("mode", ["amplitude+phase", "amplitude"])
def test_a_learned_amplitude_goes_into_a_layout_and_comes_back(mode: str, tmp_path: Path) -> None:
    run = trained_filter(tmp_path / "run", mode)
    export(run, ("gds",), None)
    result = verify(run, CPU, None)
    assert result.ok
    (check,) = result.checks
    assert check.readback is not None and check.readback.openings is not None
    assert 0 < check.readback.openings.max() <= 64 and check.readback.openings.min() == 0  # closed outside the pupil
    floats, quantised, read_back = result.stages
    assert read_back.metrics == quantised.metrics
    assert floats.metrics != quantised.metrics
    export(changed_run(run, ("export.layout.halftone=5",), "export"), ("gds",), tmp_path / "coarse")
    assert verify(run, CPU, tmp_path / "coarse").ok


def test_an_independent_model_sees_what_the_trained_one_sees(exported: Run) -> None:
    result = verify(exported, CPU, None, independent=2)
    assert result.ok
    assert {name for model in result.independent for name in model.exporters} == {"gds", "heightmap", "preview", "slm"}
    (model,) = result.independent  # all hold the same masks
    assert model.patches == 2
    assert 0.0 < model.reading_error < 0.05
    assert abs(model.change_db) < 0.2
    assert "2 samples across a neuron" in model.how
    assert [note.partition(":")[0] for note in result.notes] == ["preview", "slm"]  # no size is in them
    assert verification_json(result)["independent"][0]["change_db"] == pytest.approx(model.change_db)
    assert verification_table(result, 0.2).row_count == len(result.stages) + 2


def test_an_independent_model_that_differs_fails(exported: Run) -> None:
    strict = verify(exported, CPU, None, independent=1, agree_db=0.0)
    assert not strict.ok
    assert "an independent model of the masks in these files gives" in strict.problems[0]
    assert verify(exported, CPU, None, independent=0).independent == ()


def test_a_pitch_that_writer_and_checker_share_is_no_proof(
    trained_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and manifest agree, and are a hundredth too large: the optics know better, and so does the light."""

    def wrong(run: Run, *mounted: object) -> tuple:
        job, digest = export_job(run, *mounted)
        return replace(job, pitch_m=(1.01 * job.pitch_m[0], job.pitch_m[1])), digest

    monkeypatch.setattr(export_module, "export_job", wrong)
    export(trained_run, ("gds", "heightmap", "xyz", "stl"), tmp_path / "files")
    result = verify(trained_run, CPU, tmp_path / "files", independent=1)
    assert all(check.ok for check in result.checks)  # equal bit for bit, as ever
    assert not result.ok
    for file in ("gds/d2nn5.gds", "heightmap/layer1.tif", "xyz/layer2.csv", "stl/layer1.stl"):
        problem = next(line for line in result.problems if line.startswith(f"{file}: "))
        assert "is 20.4521 µm × 20.2496 µm (y × x), expected 20.2496 µm × 20.2496 µm" in problem
    right = verify(trained_run, CPU, exported_right(trained_run, tmp_path, monkeypatch), independent=1)
    assert right.independent[0].reading_error < 0.2 * result.independent[0].reading_error


def exported_right(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.undo()
    export(run, ("gds",), tmp_path / "right")
    return tmp_path / "right"


@pytest.mark.parametrize("change", ["larger", "mirrored", "moved"])
def test_a_layout_that_is_scaled_mirrored_or_moved_is_refused(change: str, exported: Run) -> None:
    path, layout = layout_of(exported)
    if change == "larger":
        layout.dbu *= 1.01
    else:
        right = round(64 * exported.design.optics.pitch / layout.dbu * 1e6)
        way = kdb.Trans(2, True, right, 0) if change == "mirrored" else kdb.Trans(right // 128, 0)
        for cell in layout.each_cell():
            for index in layout.layer_indexes() if cell.name[:1] == "L" else ():
                if layout.get_info(index).layer < 100:
                    cell.shapes(index).transform(way)
    layout.write(str(path))
    result = verify(exported, CPU, None, independent=1)
    check = next(check for check in result.checks if check.exporter == "gds")
    assert not result.ok and not check.ok


def test_a_filter_of_rectangular_points_is_exported_at_its_size(tmp_path: Path) -> None:
    """64 × 128 samples of one pitch make points twice as high as wide, and a square mask."""
    settings = (
        "optics.neurons=[32,64]",
        "optics.mode=phase",
        "optics.start=rippled",
        "optics.pitch=1 um",
        "detector.binning=4",
        'decoder={kind = "unet", channels = 8}',
        "data.fields=4",
        "evaluation.overlap=8",
        "training.batch=2",
        'training.stages={joint = {loss = "l1", steps = 2, decoder_rate = 0.01, train = ["optics", "decoder"], '
        "optics_rate = 0.1}}",
    )
    text = (ROOT / "designs" / "lff64.toml").read_text("utf-8").replace("radius = 128.0", "")
    text = text.replace("rings = true", "rings = false")
    design = load_design(write(tmp_path, text), settings)
    run = optimise(design, Options(CPU, tmp_path / "run"), lambda progress: None, lambda: False)
    names = ("3mf", "gds", "grey", "gsf", "heightmap", "oasis", "png16", "preview", "slm", "stl", "xyz", "zemax")
    export(run, names, None)
    result = verify(run, CPU, None)
    assert result.ok, result.problems
    side_m = 632.8e-9 * 10e-3 / 1e-6
    for check in result.checks:
        for extent in check.readback.extents:
            assert extent.size_m == pytest.approx((side_m, side_m), rel=1e-5)
    assert all(isinstance(model, IndependentModel) and abs(model.change_db) < 0.2 for model in result.independent)


def test_a_run_that_cannot_be_written_is_exported_elsewhere(trained_run: Run, tmp_path: Path) -> None:
    run = open_run(Path(shutil.copytree(trained_run.folder, tmp_path / "run")))
    (run.folder / ".lock").unlink(missing_ok=True)
    (run.folder / ".lock").mkdir()  # no lock can be taken here, not even by root
    run.folder.chmod(0o555)
    before = sorted(run.folder.rglob("*"))
    try:
        manifest = export(run, ("gsf",), tmp_path / "elsewhere")
        assert (tmp_path / "elsewhere" / manifest.exports[0].files[0].path).is_file()
        assert sorted(run.folder.rglob("*")) == before
        with pytest.raises(StorageError):
            export(run, ("gsf",), None)
    finally:
        run.folder.chmod(0o755)
