from __future__ import annotations

import math
from importlib.metadata import EntryPoint

import pytest
import torch
from pydantic import ValidationError

from opticdesign.design import Design, FilterOptics, OpticsSpec, load_design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_optics
from opticdesign.runs.floors import Floor, floor_design, floors, floors_of
from opticdesign.studies.table.schema import StudyRow
from tests.support.design_texts import D2NN5, TINY

FILTER = ("optics.kind=fourier-filter", "optics.focal=10 mm", "optics.mode=amplitude+phase")


@pytest.mark.parametrize("floor", ["clear", "random", "cells", "zernike"])
@pytest.mark.parametrize("kind", [(), FILTER])
def test_a_floor_trains_the_decoder_alone_and_as_long(floor: str, kind: tuple[str, ...]) -> None:
    design = load_design(D2NN5, [*kind, *(change for change in TINY if not (kind and "layers" in change))])
    made = floor_design(design, floor, 3)
    assert {stage.train for stage in made.training.stages.values()} == {("decoder",)}
    steps = {name: stage.steps for name, stage in made.training.stages.items()}
    assert list(steps.items()) == [("decoder", 6), ("joint", 6)]
    assert (made.decoder, made.detector, made.optics.shape) == (design.decoder, design.detector, design.optics.shape)
    assert made.training.seed == 3


def test_clear_filter_and_clear_layers_leave_phase_alone() -> None:
    for kind in ((), FILTER):
        design = load_design(D2NN5, [*kind, *(change for change in TINY if not (kind and "layers" in change))])
        assert torch.count_nonzero(build_optics(floor_design(design, "clear", 0)).detached_phases()).item() == 0


def test_zernike_filter_turns_small_phase_into_contrast_of_its_sign() -> None:
    design = floor_design(load_design(D2NN5, [*TINY, "optics.surroundings=repeat", "optics.samples=1"]), "zernike", 0)
    optics = build_optics(design)
    x = torch.arange(64) / 64.0
    phase = 0.02 * torch.sin(2.0 * math.pi * 3.0 * x).expand(64, 64)
    intensity = optics.intensity(torch.polar(torch.ones(64, 64), phase)[None])[0]
    # |i + iφ|² = 1 + 2φ for the undiffracted light a quarter wave on
    torch.testing.assert_close(intensity, 1.0 + 2.0 * phase, atol=2e-3, rtol=0.0)


@pytest.mark.parametrize("surroundings", ["neighbours", "repeat", "field-stop"])
def test_floors_see_the_surroundings_that_the_design_names(surroundings: str) -> None:
    changes = (f"optics.surroundings={surroundings}", "optics.margin=2 um", "optics.accuracy=0.03")
    for _, floor in floors_of(load_design(D2NN5, [*TINY, *changes])):
        optics = floor.optics
        assert (optics.surroundings, optics.accuracy) == (surroundings, 0.03)
        assert (optics.margin is None) == isinstance(optics, FilterOptics)  # a filter spreads light its own way


@pytest.mark.parametrize(("samples", "expected"), [("auto", None), ("1", 1), ("3", 2), ("8", 4)])
def test_a_zernike_filter_is_sampled_on_the_camera_as_the_layers_are(samples: str, expected: int | None) -> None:
    changes = (f"optics.samples={samples}", "optics.image_samples=2")
    assert floor_design(load_design(D2NN5, [*TINY, *changes]), "zernike", 0).optics.samples == expected


def test_a_clear_aperture_has_no_gaps_and_random_masks_have_those_of_the_design() -> None:
    design = load_design(D2NN5, [*TINY, "optics.fill_factor=0.9"])
    assert floor_design(design, "clear", 0).optics.fill_factor == 1.0
    assert floor_design(design, "random", 0).optics.fill_factor == 0.9


def test_floors_of_a_design_with_cells_are_clear_zernike_random_and_cells() -> None:
    names = [name for name, _ in floors_of(load_design(D2NN5, ["evaluation.random_masks=2"]))]
    assert names == [
        "clear aperture + decoder",
        "Zernike filter + decoder",
        "random masks 1 + decoder",
        "random cells 1 + decoder",
        "random masks 2 + decoder",
        "random cells 2 + decoder",
    ]


class HalfOpen(Floor):
    title = "half open"

    def optics(self, design: Design) -> OpticsSpec:
        return design.optics.model_copy(update={"fill_factor": 0.5})


@pytest.fixture
def install_floor(monkeypatch: pytest.MonkeyPatch):
    def named(name: str) -> None:
        entry = EntryPoint(name, f"{__name__}:HalfOpen", "opticdesign.floors")
        monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: (entry,))
        floors.cache_clear()

    yield named
    floors.cache_clear()


def test_a_floor_of_another_package_stands_before_the_random_ones_and_in_studies(install_floor) -> None:
    row = {"name": "F", "floor": "half-open", "of": "A"}
    with pytest.raises(ValidationError, match="unknown floor"):
        StudyRow.model_validate(row)
    install_floor("half-open")
    assert StudyRow.model_validate(row).floor == "half-open"
    found = dict(floors_of(load_design(D2NN5, TINY)))
    assert list(found)[:3] == ["clear aperture + decoder", "Zernike filter + decoder", "half open + decoder"]
    assert found["half open + decoder"].optics.fill_factor == 0.5


@pytest.mark.parametrize("name", ["clear", "constant"])
def test_a_floor_with_a_name_of_ours_is_refused(name: str, install_floor) -> None:
    install_floor(name)
    with pytest.raises(UsageError, match=f"the floor of .* has the name {name!r}, and so has one of ours"):
        floors()
