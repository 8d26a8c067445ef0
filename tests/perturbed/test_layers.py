from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.optics.elements import phase_transmission
from opticdesign.optics.hop import Hop
from opticdesign.optics.thick import ThickRelief
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.sample import Sample
from tests.support.tolerance_brute import in_wide_windows, rebuilt, summed
from tests.support.tolerance_instruments import BPM, errors, layered, layers_of, sample_of

SMALL = ("optics.cell=4", "optics.accuracy=0.001", "detector.binning=2", "evaluation.overlap=4")
GAPS = ("optics.gaps=clear", "optics.gaps=dark")
DESIGN = layered(layers=3)
THICK = layered(*BPM, "optics.neurons=32", "optics.cell=8", "detector.binning=2", layers=2)
SAMPLE = sample_of(DESIGN)


def optics_of(layers: PerturbedLayers) -> DiffractiveSystem:
    return layers._optics


def field(design: Design, values: dict[str, float], index: int = NO_PATTERN, **settings: float) -> Tensor:
    named = {name.replace("_", " "): value for name, value in settings.items()} or None
    dev = errors(design, values, index, named)
    sample = SAMPLE if design is DESIGN else sample_of(design)
    with torch.no_grad():
        return layers_of(design).field(sample, dev)[0]


def nominal(design: Design = DESIGN) -> Tensor:
    sample = SAMPLE if design is DESIGN else sample_of(design)
    with torch.no_grad():
        return optics_of(layers_of(design))(sample.fields, build_process(design))


def dark_rim(design: Design) -> Sample:
    """The sample under a beam that ends well inside the aperture."""
    sample = sample_of(design)
    beam = torch.ones(())
    for whole, size in zip(sample.fields.shape[-2:], design.optics.shape, strict=True):
        margin = torch.zeros((whole - size) // 2)
        line = torch.cat([margin, torch.hann_window(size, periodic=False) ** 2, margin])
        beam = beam[..., None] * line
    return Sample(sample.fields * beam, sample.phase_rad)


def error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("design", [DESIGN, THICK], ids=["thin", "thick"])
def test_all_errors_together_are_finite_and_change_the_field(design: Design) -> None:
    values = {name: 1e-9 for name in ("blur", "gap 1", "layer shift 1 x", "overlay shift 1 bit 2 x")}
    values |= {"rotation 1": 1e-3, "tilt 2 y": 1e-3, "wavelength": 0.01, "index": 1e-3, "etch depth bit 1": 0.01}
    found = field(design, values, index=3)
    assert found.shape == nominal(design).shape
    assert torch.isfinite(found.abs()).all()
    assert 0.001 < error(found, nominal(design)) < 2.0


@pytest.mark.parametrize(
    "values",
    [
        {"gap 1": 0.4e-6, "gap 4": -0.5e-6},
        {"layer shift 2 x": 0.13e-6, "layer shift 3 y": -0.22e-6},
        {"wavelength": 0.015},
        {"wavelength": -0.02, "gap 2": 0.3e-6, "layer shift 1 y": 0.1e-6, "etch depth bit 2": 0.02, "blur": 5e-8},
    ],
    ids=["gaps", "shifts", "wavelength", "together"],
)
def test_fast_ways_are_those_built_anew(values: dict[str, float]) -> None:
    expected = rebuilt(layers_of(DESIGN), SAMPLE, errors(DESIGN, values))
    assert error(field(DESIGN, values), expected) < 3e-6
    assert error(nominal(), expected) > 0.02


HALF = layered("optics.neurons=[16, 32]", *SMALL, layers=2)
WHOLE = layered("optics.neurons=[16, 24]", "optics.pitch=632.8 nm", "optics.image_samples=2", *SMALL, layers=2)
THREE = layered("optics.neurons=[8, 12]", "optics.pitch=1898.4 nm", "optics.image_samples=4", *SMALL, layers=2)


@pytest.mark.parametrize("design", [HALF, WHOLE, THREE], ids=["half a wave", "a wave", "three waves"])
@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({"wavelength": 0.005}, {}),
        ({"wavelength": -0.005}, {}),
        ({"gap 1": 0.3e-6}, {}),
        ({"gap 2": -0.3e-6, "gap 3": 0.2e-6}, {}),
        ({"layer shift 1 x": 0.06e-6, "layer shift 2 y": -0.1e-6}, {}),
        ({}, {"refocus": 0.5e-6}),
        ({}, {"image shift x": 0.1e-6}),
        ({"cd bias bit 1": 2e-8, "etch depth bit 2": 0.03, "blur": 5e-8, "overlay shift 2 bit 3 x": 2e-8}, {}),
    ],
    ids=["longer waves", "shorter waves", "first gap", "gaps", "shifts", "refocus", "image shift", "masks"],
)
def test_what_errors_do_is_what_they_do_in_wide_windows(
    design: Design, values: dict[str, float], settings: dict[str, float]
) -> None:
    found = effect(design, values, settings, lambda *of: in_wide_windows(design, *of))
    assert found[0] > 0.005
    assert found[1] < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "bar"),
    [
        ({"rotation 1": 5e-3, "rotation 2": -3e-3}, 0.02),
        ({"tilt 1 x": 5e-3}, 0.02),
        ({"tilt 2 y": -7e-3}, 0.025),  # of one order, as is right for 1e-3 of the field
    ],
)
def test_turned_and_tilted_planes_see_the_waves_where_they_are(values: dict[str, float], bar: float) -> None:
    found = effect(HALF, values, {}, lambda *of: summed(HALF, *of, padding=5.0))
    assert found[0] > 0.01
    assert found[1] < bar


def effect(
    design: Design,
    values: dict[str, float],
    settings: dict[str, float],
    brute: Callable[[PerturbedLayers, Sample, Deviations], Tensor],
) -> tuple[float, float]:
    """What a draw changes of the intensity, over it, and by how much of that the brute force has it otherwise."""
    layers, sample = layers_of(design), sample_of(design, 1)
    draws = errors(design, values, settings=settings or None), errors(design, {})
    seen = optics_of(layers).seen
    with torch.no_grad():
        ours, plain = (seen(layers.field(sample, dev)[0]) for dev in draws)
        right, before = (seen(brute(layers, sample, dev)) for dev in draws)
    change = right - before
    return float(change.norm() / before.norm()), float((ours - plain - change).norm() / change.norm())


@pytest.mark.parametrize("changes", [(), ("optics.samples=1",), *(("optics.fill_factor=0.8", f) for f in GAPS)])
def test_errors_that_are_zero_give_the_nominal_field(changes: tuple[str, ...]) -> None:
    design = layered(*changes, layers=3)
    # the last one makes masks sample by sample
    for none in ({}, {"gap 1": 1e-16}, {"layer shift 2 x": 1e-16}, {"cd bias bit 1": 1e-16}):
        torch.testing.assert_close(field(design, none), nominal(design), rtol=1e-5, atol=1e-5)


def test_errors_of_thick_masks_that_are_zero_give_the_nominal_field() -> None:
    torch.testing.assert_close(field(THICK, {}), nominal(THICK), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("design", [DESIGN, THICK], ids=["thin", "thick"])
@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({"gap 1": 1e-7}, 0),
        ({"overlay shift 2 bit 2 x": 1e-8}, 2),
        ({"layer shift 2 x": 1e-8}, 1),
        ({"rotation 1": 1e-4}, 0),
    ],
)
def test_what_comes_before_the_first_error_is_shared(design: Design, values: dict[str, float], first: int) -> None:
    layers, dev, sample = layers_of(design), errors(design, values), sample_of(design)
    assert layers.plans(dev)[0][0] == first
    with torch.no_grad():
        shared = layers.field(sample, dev)
        assert list(sample.ahead) == ([first] if first else [])
        # an error of the wavelength that is none makes everything anew
        layers.plans = lambda dev: [(0, 0)] * len(dev)  # type: ignore[method-assign]
        whole = layers.field(sample_of(design), dev)
    torch.testing.assert_close(shared, whole, rtol=1e-4, atol=1e-5)


def test_masks_shifted_by_whole_neurons_act_there() -> None:
    pitch = DESIGN.optics.sample_pitch
    layers, sample = layers_of(DESIGN), dark_rim(DESIGN)
    values = {f"layer shift {layer} x": 2 * pitch for layer in (1, 2, 3)}
    # all of it moved is the sample moved the other way
    moved = sample.fields.roll(-2, -1)
    with torch.no_grad():
        found = layers.field(sample, errors(DESIGN, values, settings={"image shift x": 2 * pitch}))[0]
        nominal, expected = (optics_of(layers)(fields, build_process(DESIGN)) for fields in (sample.fields, moved))
    assert error(found, expected) < 1e-3
    assert error(nominal, expected) > 0.3


def test_refocus_is_an_error_of_the_last_gap() -> None:
    torch.testing.assert_close(field(DESIGN, {}, refocus=0.3e-6), field(DESIGN, {"gap 4": 0.3e-6}))


def test_an_image_shift_by_whole_samples_moves_the_camera() -> None:
    pitch = DESIGN.optics.sample_pitch
    found = field(DESIGN, {}, image_shift_y=3 * pitch, image_shift_x=-pitch)
    # two samples of the camera's light a neuron
    torch.testing.assert_close(found[..., :-6, 2:], nominal()[..., 6:, :-2], rtol=1e-3, atol=1e-4)


def test_turning_the_only_mask_turns_what_it_does() -> None:
    design, angle, scale = layered(layers=1, rotation={"range": "10 mrad"}), 0.01, 2e-6
    layers, sample = layers_of(design), dark_rim(design)
    y, x = optics_of(layers).masks[0].grid.coordinates_m()

    def behind(mask_turn: float, turn: float) -> Tensor:
        """The field behind a smooth mask that is drawn turned by one angle, and mounted turned by the other."""
        down = y * math.cos(mask_turn) - x * math.sin(mask_turn)
        right = x * math.cos(mask_turn) + y * math.sin(mask_turn)
        phases = (2.0 * torch.sin(down / scale) * torch.cos(0.7 * right / scale)).float()[None]
        layers._masks.nominal_transmissions = phase_transmission(phases)
        with torch.no_grad():
            return layers.field(sample, errors(design, {"rotation 1": turn}))[0]

    mounted, drawn, flat = behind(0.0, angle), behind(angle, 1e-15), behind(0.0, 1e-15)
    assert error(mounted - flat, drawn - flat) < 0.02
    assert error(flat, drawn) > 0.005


def test_draws_together_are_as_they_are_alone() -> None:
    layers = layers_of(DESIGN)
    values = [{"gap 1": 1e-7, "tilt 1 y": 1e-3, "blur": 5e-8}, {"gap 3": -2e-7, "tilt 2 x": -1e-3, "blur": 9e-8}]
    groups = [errors(DESIGN, value) for value in values]
    together = Deviations(
        {name: torch.cat([dev[name] for dev in groups]) for name in ("gap", "tilt", "blur")}, {}, [NO_PATTERN] * 2, 0
    )
    with torch.no_grad():
        found = layers.field(SAMPLE, together)
        for row, dev in zip(found, groups, strict=True):
            torch.testing.assert_close(row, layers.field(SAMPLE, dev)[0], rtol=1e-4, atol=1e-5)


def test_hops_one_by_one_are_the_cascade() -> None:
    layers, dev = layers_of(DESIGN), errors(DESIGN, {"gap 1": 1e-7, "layer shift 2 x": 1e-7})
    hops = layers._perturbed_hops(dev, 0, 0)
    assert all(hop.plain for hop in hops)
    masks = layers._masks.nominal_transmissions
    with torch.no_grad():
        wave = hops[0](SAMPLE.fields[None])
        for mask, hop in zip(masks, hops[1:], strict=True):
            wave = hop(wave * mask)
        torch.testing.assert_close(wave, layers.field(SAMPLE, dev), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("design", [DESIGN, THICK], ids=["thin", "thick"])
def test_moved_planes_make_no_light(design: Design) -> None:
    values = {"layer shift 1 x": 0.3e-6, "tilt 1 y": 2e-3, "tilt 2 x": -2e-3, "rotation 2": 2e-3}
    layers, sample = layers_of(design), dark_rim(design)
    with torch.no_grad():
        draws = (layers.field(sample, errors(design, each))[0] for each in (values, {}))
        powers = [each.abs().square().sum().item() for each in draws]
    assert powers[0] == pytest.approx(powers[1], rel=0.04)
    optics = optics_of(layers)
    finer = math.prod(optics.object_grid.pitch_m) / math.prod(optics.camera_grid.pitch_m)
    assert powers[0] / finer <= sample.fields.abs().square().sum().item()


def test_a_thick_mask_in_other_light_is_a_relief_built_for_it() -> None:
    change = 0.02
    process = build_process(THICK)
    light = THICK.light.model_copy(update={"wavelength": THICK.light.wavelength * (1.0 + change)})
    other = THICK.model_copy(update={"light": light})
    layers = layers_of(THICK)
    optics = build_optics(THICK)
    assert isinstance(optics, DiffractiveSystem)
    heights = process.height_of_level(process.level_of_phase(optics_of(layers).detached_phases()))
    anew = build_process(other)
    relief = layers._relief([light.wavelength, anew.index, anew.medium_index, 0.0])
    sample = sample_of(THICK)
    wave = sample.at(torch.tensor([change], dtype=torch.float64))[0]
    index = anew.medium_index
    with torch.no_grad():
        for number, hop in enumerate(optics_of(layers).taken(2)):
            way = hop.propagator
            made = type(way)(
                way.grid,
                light.wavelength,
                float(way.distance_m),
                index=index,
                target=way.target,
                window=way.window.shape,
            )
            wave = Hop(made, hop.source_grid, hop.target_grid)(wave)
            wave = _through_relief(layers, relief, wave, heights[number].float()) if number < 2 else wave
    assert error(field(THICK, {"wavelength": change}), wave) < 1e-4


def _through_relief(layers: PerturbedLayers, relief: ThickRelief, wave: Tensor, height_m: Tensor) -> Tensor:
    shares = relief.shares(height_m)
    masks = layers._masks
    assert masks.square is not None
    material = masks.square.spread(shares, masks.grid.shape[0] // len(height_m))
    behind: Tensor = relief(wave * masks.outlines, material, relief.mean_indices(shares))
    return behind


def test_heights_below_the_lowest_level_are_not_cut_off() -> None:
    layers = layers_of(THICK)
    masks, relief = layers._masks, layers._relief(None)
    phase_per_m = relief.slice_phase_rad * relief.slices / relief.depth_m
    noise = torch.randn(masks.grid.shape, generator=torch.Generator().manual_seed(0)) * 20e-9
    fy, fx = relief.grid.frequencies_per_m()
    travels = torch.hypot(fy, fx) < 0.95 / relief.wavelength_m
    wave = torch.ones(1, *relief.grid.shape, dtype=torch.complex64)

    def change(behind: Callable[[Tensor], Tensor], height_m: Tensor) -> float:
        with torch.no_grad():
            spectra = [torch.fft.fft2(behind(each)) * travels for each in (height_m, torch.zeros_like(height_m))]
        return float((spectra[0] - spectra[1]).norm() / spectra[1].norm())

    for heights in (noise.clamp(max=0.0), noise.clamp(min=0.0), noise):
        thick = change(lambda h: layers._marched(wave, h, relief, phase_per_m), heights)
        assert thick == pytest.approx(change(lambda h: masks.transmissions(h * phase_per_m), heights), rel=0.1)


def test_only_the_layers_that_light_passes_act() -> None:
    design = layered("optics.output_after=2", layers=4)
    found = field(design, {"gap 3": 1e-7})
    assert error(found, nominal(design)) > 1e-3
    assert torch.isfinite(found.abs()).all()


def test_a_gap_that_closes_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot carry light over a gap of"):
        field(DESIGN, {"gap 1": -3.3e-6})
