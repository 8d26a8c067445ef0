from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from opticdesign.data.source import load_split
from opticdesign.design import Design, Export, Layout, load_design
from opticdesign.errors import DataError, UsageError
from opticdesign.handover.said import Said
from opticdesign.instrument.building import build_process
from opticdesign.learning.evaluation import METRICS
from opticdesign.runs.drc import check_design_rules
from opticdesign.runs.evaluate import evaluate
from opticdesign.runs.export import export, export_job, verify
from opticdesign.runs.imports import ImportRequest, import_run
from opticdesign.runs.optimise import Options, Stopped, optimise
from opticdesign.runs.run_folder import Run, open_run
from opticdesign.runs.score import judge
from opticdesign.runs.start import load_trained
from tests.support.design_texts import D2NN5, ROOT, TINY

CPU = torch.device("cpu")
PITCH_M = 316.4e-9
FILTER = (
    "optics.neurons=32",
    "optics.radius=16.0",
    "optics.padding=1.5",
    "detector.binning=4",
    'decoder={kind = "unet", channels = 8}',
    "data.fields=4",
    "evaluation.overlap=8",
    "training.batch=2",
    'training.stages={joint = {loss = "l1", steps = 3, decoder_rate = 0.01, train = ["decoder"]}}',
)

Import = Callable[..., Run]


@pytest.fixture
def free_design(tmp_path: Path) -> Design:
    """The tiny design with masks that need not repeat."""
    path = tmp_path / "free.toml"
    path.write_text(D2NN5.read_text("utf-8").replace("cell = 32", ""), "utf-8")
    return load_design(path, TINY)


@pytest.fixture
def take(free_design: Design, tmp_path: Path) -> Import:
    """Imports files without training, in a folder of their own."""

    def run(*files: Path, design: Design = free_design, train: bool = False, **more: Any) -> Run:
        request = ImportRequest(files, design, CPU, more.pop("output", tmp_path / "imported"), train=train, **more)
        return import_run(request, lambda progress: None, lambda: False)

    return run


def heights(design: Design, seed: int = 0, masks: int = 2) -> np.ndarray:
    """Random heights in metres that are levels of the design's process (masks, 64, 64)."""
    levels = np.random.default_rng(seed).integers(0, 8, (masks, *design.optics.neurons))
    return build_process(design).height_of_level(torch.from_numpy(levels)).numpy()


def levels_of(run: Run) -> np.ndarray:
    return export_job(run)[0].levels


def save_tiff(path: Path, height_m: np.ndarray, **more: Any) -> Path:
    more = {"description": '{"unit": "nm"}', "metadata": None} | more
    tifffile.imwrite(path, (height_m * 1e9).astype(np.float32), photometric="minisblack", **more)
    return path


def test_our_own_height_maps_come_back_with_equal_levels_and_metrics(
    trained_run: Run, take: Import, tmp_path: Path
) -> None:
    export(trained_run, ("heightmap",), tmp_path / "files")
    folder = tmp_path / "files" / "heightmap"
    run = take(folder / "layer1.tif", folder / "layer2.tif", design=trained_run.design)
    np.testing.assert_array_equal(levels_of(run), levels_of(trained_run))
    (ours, _), (theirs, _) = load_trained(trained_run, CPU), load_trained(run, CPU)
    theirs.decoder = ours.decoder
    test = load_split(run.design).test
    first, second = (judge(microscope, test, trained_run.design).scores for microscope in (ours, theirs))
    assert second == first


@pytest.mark.parametrize("kind", ["levels", "bits"])
def test_our_own_layout_comes_back_with_equal_levels_and_metrics(
    kind: str, trained_run: Run, take: Import, tmp_path: Path
) -> None:
    layout = Export(layout=Layout.model_validate({"kind": kind, "array": [1, 2]}))
    design = trained_run.design.model_copy(update={"export": layout})
    export(Run(trained_run.folder, design, trained_run.info), ("gds",), tmp_path / "files")
    run = take(tmp_path / "files" / "gds" / "d2nn5.gds", design=design)
    assert run.info["imported"]["importer"] == "gds"
    told = f"read as manifest.json says: gds, 8 levels, kind {kind}, tone keep, mirror no"
    assert run.info["imported"]["notes"] == [told]
    (ours, _), (theirs, _) = load_trained(trained_run, CPU), load_trained(run, CPU)
    theirs.decoder = ours.decoder
    process = build_process(design)
    made = process.phase_of_level(process.level_of_phase(ours.optics.detached_phases()))
    assert torch.equal(theirs.optics.detached_phases(), made)
    test = load_split(design).test
    assert judge(theirs, test, design).scores == judge(ours, test, design).scores


def test_an_npz_comes_back_with_equal_levels(trained_run: Run, take: Import, tmp_path: Path) -> None:
    export(trained_run, ("heightmap",), tmp_path / "files")
    run = take(tmp_path / "files" / "heightmap" / "heights.npz", design=trained_run.design)
    np.testing.assert_array_equal(levels_of(run), levels_of(trained_run))


def test_masks_that_do_not_repeat_are_refused_where_the_design_says_so(
    tiny_design: Design, free_design: Design, take: Import, tmp_path: Path
) -> None:
    path = save_tiff(tmp_path / "masks.tif", heights(free_design))
    with pytest.raises(UsageError, match="do not repeat every 32 neurons"):
        take(path, design=tiny_design)
    cell = np.tile(heights(free_design)[:, :32, :32], (1, 2, 2))
    assert take(save_tiff(path, cell), design=tiny_design).complete


def test_what_does_not_fit_is_refused_and_nothing_is_written(free_design: Design, take: Import, tmp_path: Path) -> None:
    path = save_tiff(tmp_path / "small.tif", heights(free_design)[:, :63])
    for files in ((path,), (tmp_path / "none.tif",)):
        with pytest.raises(DataError, match=r"63 × 64 samples|none.tif: cannot be read"):
            take(*files)
    assert not (tmp_path / "imported").exists()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of random cells, its decoder trained for some steps."""
    design, folder = load_design(D2NN5, TINY), tmp_path_factory.mktemp("imports")
    path = save_tiff(folder / "masks.tif", np.tile(heights(design)[:, :32, :32], (1, 2, 2)))
    request = ImportRequest([path], design, CPU, folder / "run")
    return import_run(request, lambda progress: None, lambda: False)


def test_an_imported_run_says_what_it_is_made_of(imported: Run) -> None:
    run = open_run(imported.folder)
    assert run.complete and not run.quick
    assert run.info["decoder"] == "trained"
    (file,) = run.info["imported"]["files"]
    assert file["name"] == "masks.tif" and len(file["sha256"]) == 64
    assert run.info["imported"]["importer"] == "tiff"
    pitch = "the files do not say how far samples are apart: 316.4 nm, as the design's pixels"
    assert run.info["imported"]["notes"] == ["heights span 0.875 of 2π", pitch]
    assert (run.folder / "figures" / "masks.png").is_file()


def test_training_leaves_the_masks_and_changes_the_decoder(imported: Run) -> None:
    tensors = torch.cat([phase.flatten() for phase in load_trained(imported, CPU)[0].optics.detached_phases()])
    process = build_process(imported.design)
    made = process.phase_of_level(process.level_of_phase(tensors))
    torch.testing.assert_close(tensors, made, rtol=1e-5, atol=1e-5)
    stages = imported.design.training.stages
    assert set(stages) == {"decoder", "joint"}
    assert all(stage.train == ("decoder",) for stage in stages.values())
    assert [record["stage"] for record in imported.records()][-1] == "joint"


def test_an_import_that_is_stopped_is_resumed_with_its_masks(
    imported: Run, tiny_design: Design, tmp_path: Path
) -> None:
    path = imported.folder.parent / "masks.tif"
    request = ImportRequest([path], tiny_design, CPU, tmp_path / "run")
    with pytest.raises(Stopped):
        import_run(request, lambda progress: None, lambda: True)
    stopped = open_run(tmp_path / "run")
    assert stopped.info["status"] == "stopped"
    options = Options(CPU, tmp_path / "run", resume=True)
    run = optimise(stopped.design, options, lambda progress: None, lambda: False)
    first, second = (load_trained(one, CPU)[0].state_dict() for one in (imported, run))
    assert run.complete and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_an_imported_run_is_evaluated_exported_verified_checked_and_started_from(
    imported: Run, tiny_design: Design, tmp_path: Path
) -> None:
    table = evaluate(imported, CPU, lambda name, step, steps: None, lambda: False)
    assert table.rows[0].name == "this design" and set(table.rows[0].patches) == set(METRICS)
    export(imported, (), tmp_path / "exports")
    assert verify(imported, CPU, tmp_path / "exports").ok
    assert not check_design_rules(imported).ok
    options = Options(CPU, tmp_path / "next", quick=True, start_from=imported.folder)
    run = optimise(tiny_design, options, lambda progress: None, lambda: False)
    assert run.info["environment"]["start_from"]["parts"] == ["optics", "decoder"]


def test_without_training_the_decoder_is_said_to_be_untrained(
    free_design: Design, take: Import, tmp_path: Path
) -> None:
    run = take(save_tiff(tmp_path / "masks.tif", heights(free_design)))
    assert run.complete and run.info["decoder"] == "untrained"
    assert run.records() == []


def test_without_a_decoder_the_power_of_the_image_is_fitted(take: Import, tmp_path: Path) -> None:
    settings = [setting for setting in TINY if not setting.startswith(("decoder", "training", "detector"))]
    settings += [
        'decoder={kind = "none"}',
        "detector.binning=1",
        "training.batch=2",
        'training.stages={a = {loss = "intensity-l1", train = ["optics"], steps = 2, optics_rate = 0.1}}',
    ]
    design = load_design(D2NN5, settings)
    height_m = np.zeros((2, 64, 64))
    run = take(save_tiff(tmp_path / "masks.tif", height_m), design=design, train=True, said=Said(flat=True))
    assert run.info["decoder"] == "none"
    microscope, _ = load_trained(run, CPU)
    assert 0.0 < microscope.decode(torch.ones(())).item() < 1.0


@pytest.mark.parametrize("mode", ["phase", "amplitude+phase", "amplitude", "none"])
def test_a_filter_takes_its_phase_where_it_keeps_one(mode: str, take: Import, tmp_path: Path) -> None:
    design = load_design(ROOT / "designs" / "lff64.toml", [*FILTER, f"optics.mode={mode}", "optics.rings=false"])
    levels = np.random.default_rng(0).integers(0, 8, (48, 48))
    height_m = build_process(design).height_of_level(torch.from_numpy(levels)).numpy()
    path = save_tiff(tmp_path / "filter.tif", height_m)
    if "phase" not in mode:
        with pytest.raises(UsageError, match=r"the phase of these masks is not kept"):
            take(path, design=design)
        return
    run = take(path, design=design)
    np.testing.assert_array_equal(levels_of(run)[0], levels)
    told = any("no amplitude" in note for note in run.info["imported"]["notes"])
    assert told == (mode == "amplitude+phase")


def test_a_filter_of_rings_takes_rings_only(take: Import, tmp_path: Path) -> None:
    design = load_design(ROOT / "designs" / "lff64.toml", [*FILTER, "optics.mode=phase"])
    y, x = np.indices((48, 48)) - 24
    rings = np.rint(np.hypot(y, x)) * 20e-9
    assert take(save_tiff(tmp_path / "rings.tif", rings), design=design).complete
    with pytest.raises(UsageError, match="not made of rings"):
        take(save_tiff(tmp_path / "lines.tif", y * 20e-9), design=design, output=tmp_path / "again")
