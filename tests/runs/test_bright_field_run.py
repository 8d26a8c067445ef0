"""A microscope whose defocus, source and pupil learn, from the design to files that are read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from opticdesign.design import Design, load_design
from opticdesign.errors import DataError, DesignError, UsageError
from opticdesign.instrument.building import build_optics
from opticdesign.runs.drc import check_design_rules
from opticdesign.runs.export import export, verify
from opticdesign.runs.floors import floors_of
from opticdesign.runs.imports import ImportRequest, import_run
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import Run
from tests.support.design_texts import ROOT

CPU = torch.device("cpu")
SMALL = (
    "optics.neurons=32", "optics.rings=1", "optics.margin=6 um", "optics.focal=9 mm", "optics.mask_points=9",
    "decoder.channels=8", "data.fields=3", "evaluation.overlap=8", "training.batch=2",
    "training.stages.decoder.steps=4",
)  # fmt: skip
LEARNS = (
    'optics.learn=["defocus", "source", "pupil"]', 'training.stages.decoder.train=["optics", "decoder"]',
    "training.stages.decoder.optics_rate=0.05", "training.stages.decoder.quantised=true",
)  # fmt: skip


def design(*settings: str) -> Design:
    return load_design(ROOT / "designs" / "dlsrqpi.toml", [*SMALL, *settings])


def trained(design: Design, folder: Path) -> Run:
    return optimise(design, Options(CPU, folder), lambda _: None, lambda: False)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(design(*LEARNS), tmp_path_factory.mktemp("learned") / "run")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(design(), tmp_path_factory.mktemp("plain") / "run")


def test_defocus_source_and_pupil_learn_with_the_decoder_and_the_run_says_so(learned: Run) -> None:
    tensors, _, _ = learned.load()
    start = build_optics(learned.design).state_dict()
    assert set(start) == {"defocus", "power", "phase_rad"}
    for name, value in start.items():
        kept = next(tensor for key, tensor in tensors.items() if key.endswith(f".optics.{name}"))
        assert not torch.equal(kept, value)
    found = learned.info["learned"]
    assert found["source"] == "lamps" and len(found["lamps"]) == len(found["powers"])
    assert sum(found["powers"]) == pytest.approx(1.0)
    assert found["defocus"] != "4e-06 m" and found["defocus"].endswith(" m")


def test_a_learned_mask_is_exported_read_back_and_seen_alike_by_another_model(learned: Run) -> None:
    export(learned, ("gds", "heightmap"), None)
    result = verify(learned, CPU, None, patches=2, independent=1)
    assert result.ok and len(result.independent) == 1
    assert abs(result.independent[0].change_db) < 0.05
    assert result.independent[0].reading_error < 0.02
    assert [stage.name for stage in result.stages] == ["float", "quantised", "read back, gds", "read back, heightmap"]
    check_design_rules(learned)


def test_a_microscope_without_a_mask_says_so_wherever_one_is_wanted(plain: Run) -> None:
    assert "learned" not in plain.info and not (plain.folder / "figures" / "masks.png").exists()
    request = ImportRequest([ROOT / "README.md"], plain.design, CPU)
    for ask in (
        lambda: export(plain, (), None),
        lambda: verify(plain, CPU, None),
        lambda: check_design_rules(plain),
        lambda: import_run(request, lambda _: None, lambda: False),
    ):
        with pytest.raises(UsageError, match=r"there is no mask to make\n.*\n.*optics.learn = \[.pupil.\]"):
            ask()
    assert not (plain.folder / "exports").exists()


def test_floors_are_those_that_differ_from_the_microscope() -> None:
    names = [name for name, _ in floors_of(design())]
    assert names == ["Zernike filter + decoder"]
    names = [name for name, _ in floors_of(design(*LEARNS))]
    assert names == ["clear aperture + decoder", "Zernike filter + decoder", "random masks 1 + decoder"]


def test_zernikes_filter_has_the_pupil_of_the_objective() -> None:
    ((_, floor),) = floors_of(design())
    # NA/λ over 1/extent
    assert floor.optics.radius == pytest.approx(0.6 / 550e-9 * 32 * 170e-9)
    coarse = design("optics.pitch=650 nm", "detector.pixel=13 um")
    assert next(floors_of(coarse))[1].optics.radius is None  # its samples carry less


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("optics.learn=pupil",), "optics.learn"),
        (("optics.start=random", "optics.mask_points=8"), "an even number has no middle"),
        (("detector.pixel=6.5 um",), "samples of 170 nm are 3.4 µm wide on the camera"),
        (("optics.source=annulus",), "missing key 'inner'"),
        (("optics.inner=0.5",), "inner says nothing without"),
        (
            ("optics.source=lamps", "optics.lamps=[[0.0, 0.5]]", "optics.powers=[1.0, 2.0]"),
            "not one power for each lamp",
        ),
        (("optics.coherence=2.0",), "no condenser is that wide"),
        (("optics.coherence=0.0", 'optics.learn=["source"]'), "a point, which has no shape"),
        (LEARNS[1:3], "of these optics nothing is learned"),
        (("training.stages.decoder.variation=0.1",), "variation"),
        (('optics.aberrations={"0"="1 rad"}',), "optics.aberrations"),
    ],
)
def test_what_cannot_be_is_refused(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(DesignError) as caught:
        design(*settings)
    assert said in str(caught.value) and caught.value.exit_code == 2


def test_a_mask_asks_for_the_size_of_its_pupil() -> None:
    with pytest.raises(DesignError, match="missing key 'focal'"):
        load_design(ROOT / "designs" / "dlsrqpi.toml", ["optics.start=random"])


def test_a_source_from_an_image_is_kept_in_the_run(tmp_path: Path) -> None:
    image = tmp_path / "source.npy"
    values = np.zeros((9, 9), np.float32)
    values[4, 1], values[6, 6], values[0, 0] = 2.0, 1.0, 9.0  # the last one lies beyond the aperture
    np.save(image, values)
    settings = ("optics.source=image", f"optics.image={image}")
    optics = build_optics(design(*settings))
    torch.testing.assert_close(optics.source.weights.float(), torch.tensor([2.0 / 3.0, 1.0 / 3.0]))
    expected = torch.tensor([[0.0, -6.0 / 9.0], [4.0 / 9.0, 4.0 / 9.0]], dtype=torch.float64) * 0.06
    torch.testing.assert_close(optics.source.sines, expected)
    assert set(optics.state_dict()) == {"power"}
    np.save(image, np.zeros((9, 9), np.float32))
    with pytest.raises(DataError, match="0 lit pixels inside the condenser's aperture"):
        build_optics(design(*settings))
