from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.instrument.filter_system import FilterSystem
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import AngularSpectrum
from opticdesign.perturbed.filters import PerturbedFilter, _read_at
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.sample import Sample
from tests.support.tolerance_instruments import errors, filtered, sample_of

DESIGN = filtered()
REPEATED = filtered("optics.surroundings=repeat")
FOCAL, WAVELENGTH = 10e-3, 632.8e-9
SAMPLES = {design.name + design.optics.surroundings: sample_of(design) for design in (DESIGN, REPEATED)}


def sample(design: Design) -> Sample:
    return SAMPLES[design.name + design.optics.surroundings]


def optics_of(design: Design, phase: Tensor | None = None) -> FilterSystem:
    optics = build_optics(design)
    assert isinstance(optics, FilterSystem)
    if phase is None:
        phase = torch.rand(optics.detached_phases().shape, generator=torch.Generator().manual_seed(2)) * 2.0 * math.pi
    optics.set_phases_rad(phase)
    return optics


def field(
    values: dict[str, float],
    index: int = NO_PATTERN,
    design: Design = DESIGN,
    phase: Tensor | None = None,
    **settings: float,
) -> Tensor:
    optics = optics_of(design, phase)
    named = {name.replace("_", " "): value for name, value in settings.items()} or None
    perturbed = PerturbedFilter(design, optics, build_process(design), optics.detached_phases())
    with torch.no_grad():
        return perturbed.field(sample(design), errors(design, values, index, named))[0]


def nominal(phase: Tensor | None = None, design: Design = DESIGN) -> Tensor:
    with torch.no_grad():
        return optics_of(design, phase)(sample(design).fields, build_process(design))


def intensity(wave: Tensor) -> Tensor:
    return wave.abs().square()


@pytest.mark.parametrize("design", [DESIGN, REPEATED, filtered("optics.fill_factor=0.8", "optics.gaps=clear")])
def test_errors_that_are_zero_give_the_nominal_field(design: Design) -> None:
    for none in ({}, {"layer shift 1 x": 1e-15}, {"etch depth bit 1": 1e-12}, {"gap 1": 1e-15}):
        torch.testing.assert_close(field(none, design=design), nominal(design=design), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("design", "bar"), [(DESIGN, 0.01), (REPEATED, 1e-4)])
def test_a_filter_shifted_by_whole_points_is_the_filter_rolled(design: Design, bar: float) -> None:
    optics = optics_of(design)
    point = optics.element.pitch_m[0]
    assert point == pytest.approx(WAVELENGTH * FOCAL / (64 * 316.4e-9), rel=1e-3)
    rolled = optics.detached_phases().roll((2, -1), (-2, -1))
    amplitude = optics.element.transmitted().detach().roll((2, -1), (-2, -1))
    amplitude[:2], amplitude[:, -1] = 0.0, 0.0  # behind the rim nothing comes in
    optics.element.transmitted = lambda: amplitude  # type: ignore[method-assign]
    optics.set_phases_rad(rolled)
    with torch.no_grad():
        expected = intensity(optics(sample(design).fields, build_process(design)))
    found = intensity(field({"layer shift 1 y": 2 * point, "layer shift 1 x": -point}, design=design))
    # of squares those at the rim, which the shift takes out of the window, are cut half a point short
    assert float((found - expected).norm() / (intensity(nominal(design=design)) - expected).norm()) < bar


def test_a_filter_shifted_by_part_of_a_point_lies_between() -> None:
    point = optics_of(DESIGN).element.pitch_m[0]
    found = [field({"layer shift 1 x": share * point}) for share in (0.0, 0.01, 0.02)]
    first, second = (float((each - nominal()).norm()) for each in found[1:])
    assert 0.0 < first < second


@pytest.mark.parametrize(
    ("along_y", "along_x", "met"),
    [(0.0, 0.0, (0, 0)), (0.45, -0.4, (0, 0)), (0.55, 0.0, (-1, 0)), (-0.7, 2.0, (1, -2))],
)
def test_the_focus_of_the_beam_meets_one_point_of_a_shifted_filter(
    along_y: float, along_x: float, met: tuple[int, int]
) -> None:
    optics = optics_of(DESIGN)
    point, middle = optics.element.pitch_m[0], optics.element.window.shape[0] // 2
    fields = torch.full((1, *optics.object_grid.shape), 0.6 + 0.8j)
    empty = Sample(fields, fields.angle())
    perturbed = PerturbedFilter(DESIGN, optics, build_process(DESIGN), optics.detached_phases())
    dev = errors(DESIGN, {"layer shift 1 y": along_y * point, "layer shift 1 x": along_x * point}, NO_PATTERN, None)
    with torch.no_grad():
        found = perturbed.field(empty, dev)[0]
        made = optics.element.filter(build_process(DESIGN))
    expected = made[middle + met[0], middle + met[1]] * (0.6 + 0.8j)
    torch.testing.assert_close(found, expected.expand_as(found), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(17, 17), (16, 16)])
def test_a_filter_is_read_at_turned_places_around_zero_frequency(shape: tuple[int, int]) -> None:
    points = Grid(shape, (1.0, 1.0))
    values = torch.randn((1, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.complex64)
    quarter = _read_at(values, *(torch.tensor([each], dtype=torch.float64) for each in (math.pi / 2, 1.0)), points)[0]
    middle = shape[0] // 2
    for down, right in ((0, 0), (3, 1), (-2, 5), (-6, -6)):
        # a turn takes +x towards +y, so that what was at (y, x) = (0, r) is at (r, 0)
        assert quarter[middle + right, middle - down] == pytest.approx(
            values[0, middle + down, middle + right].item(), abs=1e-4
        )


def test_other_light_crosses_the_filter_farther_out() -> None:
    points = Grid((64, 64), (1.0, 1.0))
    y, x = (torch.arange(64.0) - 32.0)[:, None], (torch.arange(64.0) - 32.0)[None]
    smooth = torch.exp(-(y**2 + x**2) / 200.0).to(torch.complex64)[None]
    found = _read_at(smooth, *(torch.tensor([each], dtype=torch.float64) for each in (0.0, 1.1)), points)[0]
    expected = torch.exp(-(1.1**2) * (y**2 + x**2) / 200.0).to(torch.complex64)
    torch.testing.assert_close(found[6:-6, 6:-6], expected[6:-6, 6:-6], rtol=0, atol=3e-3)


def test_a_wavelength_changes_the_phase_of_sample_and_filter() -> None:
    clear = torch.zeros((1, 64, 64))
    change = 0.02
    found = field({"wavelength": change}, phase=clear)
    optics = optics_of(DESIGN, clear)
    light = sample(DESIGN).at(torch.tensor([change], dtype=torch.float64))[0]
    with torch.no_grad():
        expected = optics(light, build_process(DESIGN))
    # a clear filter changes but for its rim
    assert float((found - expected).norm() / expected.norm()) < 0.006
    assert float((nominal(clear) - expected).norm() / expected.norm()) > 0.015


def test_a_camera_out_of_the_image_sees_it_refocused() -> None:
    free = AngularSpectrum(optics_of(REPEATED).camera_grid, WAVELENGTH, 3e-6, padding=1.0)
    expected = free(nominal(design=REPEATED))
    for values, refocus in (({"gap 1": 3e-6}, 0.0), ({}, 3e-6), ({"gap 1": 1e-6}, 2e-6)):
        torch.testing.assert_close(field(values, design=REPEATED, refocus=refocus), expected, rtol=1e-3, atol=1e-4)


def test_light_that_does_not_repeat_is_refocused_in_a_window_that_holds_it() -> None:
    clear = torch.zeros((1, 64, 64))
    object_grid = optics_of(DESIGN).object_grid
    free = AngularSpectrum(object_grid, WAVELENGTH, 3e-6, padding=3.0)
    # an unfiltered image of the object, refocused, is the object's light farther on
    before, after = field({}, phase=clear), field({}, phase=clear, refocus=3e-6)
    fields = sample(DESIGN).fields
    mean = fields.mean((-2, -1), keepdim=True)  # beyond its margin
    optics, light = optics_of(DESIGN, clear), free(fields - mean) + mean
    with torch.no_grad():
        expected = optics(light, build_process(DESIGN))
    inner = (..., slice(24, -24), slice(24, -24))
    change = (expected - before)[inner].norm()
    assert float((after - expected)[inner].norm() / change) < 0.02


@pytest.mark.parametrize("design", [DESIGN, REPEATED])
def test_an_image_shift_moves_the_camera(design: Design) -> None:
    found = field({}, design=design, image_shift_y=2 * 316.4e-9, image_shift_x=-316.4e-9)
    moved = nominal(design=design).roll((-4, 2), (-2, -1))
    inner = (..., slice(0, -4), slice(2, None)) if design is DESIGN else ...
    torch.testing.assert_close(found[inner], moved[inner], rtol=1e-3, atol=1e-4)


def test_masks_of_filters_err_as_those_of_layers() -> None:
    assert float((field({"etch depth bit 1": 0.05}) - nominal()).norm() / nominal().norm()) > 0.01
    assert float((field({}, index=4) - nominal()).norm() / nominal().norm()) > 0.001
    assert torch.equal(field({}, index=4), field({}, index=4))


def test_a_turn_of_a_filter_of_rings_changes_next_to_nothing() -> None:
    y, x = (torch.arange(64.0) - 32.0)[:, None], (torch.arange(64.0) - 32.0)[None]
    rings = (2.0 + 1.5 * torch.cos(torch.sqrt(y**2 + x**2) / 4.0))[None]
    design = filtered("fabrication.levels=256", rotation={"range": "10 mrad"})
    change = field({"rotation 1": 0.01}, design=design, phase=rings) - nominal(rings, design)
    assert float(change.norm() / nominal(rings, design).norm()) < 0.006  # rings of squares are a little angular
    other = field({"rotation 1": 0.01}) - nominal()
    assert float(other.norm() / nominal().norm()) > 0.03


def test_no_light_is_made() -> None:
    values = {"layer shift 1 x": 5e-6, "gap 1": 2e-6, "rotation 1": 2e-3, "wavelength": 0.01}
    found = intensity(field(values, design=REPEATED)).mean()
    assert found <= intensity(sample(REPEATED).fields).mean()
