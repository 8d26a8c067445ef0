from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.design import Design, load_design
from opticdesign.errors import DesignError, UsageError
from opticdesign.instrument.building import build_microscope, build_optics, build_process
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.optics.detectors import mean_bins
from opticdesign.optics.elements import RIM, DiffractiveElement, ThinLens, phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop
from opticdesign.optics.materials import material
from opticdesign.optics.propagation import PROPAGATORS
from opticdesign.optics.relief import Relief

D2NN5 = Path(__file__).parents[2] / "designs" / "d2nn5.toml"
SMALL = (
    "optics.layers=3",
    "optics.neurons=[32, 64]",
    "detector.binning=4",
    "decoder.channels=8",
    "evaluation.overlap=8",
    # points, one sample each: light can be followed by hand
    "optics.samples=1",
    "optics.surroundings=field-stop",
    "optics.padding=1.5",
)


def small(*settings: str) -> Design:
    return load_design(D2NN5, [*SMALL, *settings])


def field(*shape: int) -> Tensor:
    phase = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return torch.polar(torch.ones(shape), phase)


@pytest.mark.parametrize("quantised", [False, True])
def test_optics_are_hops_and_masks_in_turn(quantised: bool) -> None:
    design = small("optics.propagator=rayleigh-sommerfeld", "optics.start=random", "optics.input_gap=4 um")
    optics, process = build_optics(design), build_process(design) if quantised else None
    grid = Grid((32, 64), (316.4e-9, 316.4e-9))
    expected = field(2, 32, 64)
    for index, gap in enumerate((4e-6, 3.373e-6, 3.373e-6, 5.904e-6)):
        expected = PROPAGATORS["rayleigh-sommerfeld"](grid, 632.8e-9, gap, padding=1.5)(expected)
        if index < 3:
            mask = optics.detached_phases()[index]
            made = mask if process is None else process.phase_of_level(process.level_of_phase(mask))
            expected = expected * phase_transmission(made)
    with torch.no_grad():
        result = optics(field(2, 32, 64), process)
        intensity = optics.intensity(field(2, 32, 64), process)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(intensity, expected.abs() ** 2, rtol=1e-4, atol=1e-4)


def test_one_layer_has_two_hops() -> None:
    optics = build_optics(small("optics.layers=1"))
    assert (len(optics.elements), len(optics.hops)) == (1, 2)
    assert [hop.propagator.distance_m for hop in optics.hops] == pytest.approx([3.373e-6, 5.904e-6])


def test_equal_gaps_share_one_transfer_function() -> None:
    hops = build_optics(small()).hops
    assert hops[1] is hops[2]
    assert hops[0] is not hops[1]  # the first comes from the object, which may be wider
    assert hops[3] is not hops[2]


@pytest.mark.parametrize("name", PROPAGATORS)
def test_design_names_the_propagator(name: str) -> None:
    hops = build_optics(small(f"optics.propagator={name}")).hops
    assert all(type(hop.propagator) is PROPAGATORS[name] for hop in hops)


def test_medium_shortens_the_wavelength_between_the_masks_and_lowers_the_contrast() -> None:
    design = small("fabrication.medium=water")
    water, silica = material("water").index(632.8e-9), material("fused silica").index(632.8e-9)
    assert build_optics(design).hops[0].propagator.wavelength_m == pytest.approx(632.8e-9 / water)
    process = build_process(design)
    assert process.full_height_m == pytest.approx(632.8e-9 / (silica - water))
    assert process.levels == 8


def test_masks_start_clear_random_or_rippled() -> None:
    assert torch.count_nonzero(build_optics(small("optics.start=clear")).detached_phases()).item() == 0
    random = build_optics(small("optics.start=random")).detached_phases()
    assert 0.0 <= random.min().item() < 0.1
    assert 2.0 * math.pi - 0.1 < random.max().item() < 2.0 * math.pi
    rippled = build_optics(small("optics.start=rippled")).detached_phases()
    assert rippled.std().item() == pytest.approx(0.1, rel=0.1)
    assert not torch.equal(rippled[0], rippled[1])


def test_starting_masks_depend_on_the_seed_alone() -> None:
    random = build_optics(small("optics.start=random")).detached_phases()
    assert torch.equal(random, build_optics(small("optics.start=random")).detached_phases())
    assert not torch.equal(random, build_optics(small("optics.start=random", "training.seed=1")).detached_phases())


def test_masks_repeat_their_cell_and_so_do_their_gradients() -> None:
    optics = build_optics(small("optics.start=random", "optics.cell=16"))
    phases = optics.detached_phases()
    assert torch.equal(phases, phases[:, :16, :16].repeat(1, 2, 4))
    assert len(torch.unique(phases[0, :16, :16])) > 200
    optics.intensity(field(1, 32, 64))[0, 5, 7].backward()
    before = [element.phase_rad.grad.clone() for element in optics.elements]
    optics.average_gradients()
    for element, gradient in zip(optics.elements, before, strict=True):
        expected = torch.zeros(16, 16)
        for row in range(0, 32, 16):
            for column in range(0, 64, 16):
                expected += gradient[row : row + 16, column : column + 16] / 8
        torch.testing.assert_close(element.phase_rad.grad, expected.repeat(2, 4))


def test_phases_are_replaced_layer_by_layer() -> None:
    optics = build_optics(small())
    phases = torch.rand((3, 32, 64), generator=torch.Generator().manual_seed(1))
    optics.set_phases_rad(phases)
    assert torch.equal(optics.detached_phases(), phases)
    phases += 1.0
    assert not torch.equal(optics.detached_phases(), phases)
    assert all(element.phase_rad.requires_grad for element in optics.elements)
    with pytest.raises(ValueError, match="argument 2 is"):
        optics.set_phases_rad(phases[:2])


def test_layers_of_heights_are_the_same_optics_and_learn_heights() -> None:
    phases = build_optics(small("optics.start=random", "optics.cell=16"))
    relief = Relief(material("fused silica"), material("vacuum"), 632.8e-9)
    elements = [DiffractiveElement(phases.camera_grid, primary="height", relief=relief) for _ in phases.elements]
    heights = DiffractiveSystem(elements, list(phases.hops), cell=16)
    heights.set_phases_rad(phases.detached_phases())
    torch.testing.assert_close(heights.detached_phases(), phases.detached_phases())
    light = field(1, 32, 64)
    torch.testing.assert_close(heights(light), phases(light), rtol=1e-5, atol=1e-5)
    for optics in (heights, phases):
        optics.intensity(light)[0, 5, 7].backward()
        optics.average_gradients()
    turn = 632.8e-9 / (material("fused silica").index(632.8e-9) - 1.0)
    for height, phase in zip(heights.elements, phases.elements, strict=True):
        in_phase = height.height_m.grad * turn / (2.0 * math.pi)
        torch.testing.assert_close(in_phase, phase.phase_rad.grad, rtol=1e-4, atol=1e-6)


def test_microscope_reads_at_camera_resolution_and_reconstructs_at_that_of_the_field() -> None:
    microscope = build_microscope(small())
    assert tuple(microscope.read(field(2, 32, 64)).shape) == (2, 8, 16)
    assert tuple(microscope(field(2, 32, 64)).shape) == (2, 32, 64)


def test_microscope_of_a_seed_is_always_the_same_and_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    first = build_microscope(small()).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second, other = build_microscope(small()).state_dict(), build_microscope(small("training.seed=1")).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["decoder.head.0.weight"], other["decoder.head.0.weight"])


def test_noise_enters_with_a_generator_only() -> None:
    microscope = build_microscope(small())
    with torch.no_grad():
        quiet = microscope.read(field(1, 32, 64))
        assert torch.equal(quiet, microscope.read(field(1, 32, 64)))
        noisy = microscope.read(field(1, 32, 64), None, torch.Generator().manual_seed(0))
    deviation = (noisy - quiet).std().item()
    assert 0.003 < deviation < 0.03  # √(I/10⁴) and 6e-4


def test_camera_has_the_limits_the_design_names() -> None:
    limits = ["detector.quantum_efficiency=0.5", 'detector.full_well="5000 electron"', "detector.bits=1"]
    plain, limited = (build_microscope(small(*more)) for more in ([], limits))
    waves = field(1, 32, 64)
    reading = limited.read(waves)
    # 5000 of 0.5 × 10000 electrons are intensity 1; one bit tells that from nothing
    assert torch.equal(reading, (plain.read(waves) >= 0.5).to(reading))


def test_gradient_reaches_every_mask_through_the_whole_microscope() -> None:
    design = small()
    microscope = build_microscope(design)
    microscope(field(1, 32, 64), build_process(design), torch.Generator().manual_seed(0)).square().sum().backward()
    for element in microscope.optics.elements:
        assert torch.isfinite(element.phase_rad.grad).all()
        assert torch.count_nonzero(element.phase_rad.grad).item() > 2000


def squares(*settings: str) -> Design:
    return small("optics.samples=auto", "optics.padding=2", *settings)


def test_neurons_of_half_a_wave_are_squares_of_two_samples_in_light_of_one() -> None:
    optics = build_optics(squares("optics.start=random"))
    assert optics.camera_grid == Grid((64, 128), (158.2e-9, 158.2e-9))
    assert optics.grid == Grid((32, 64), (316.4e-9, 316.4e-9))
    (element, *_) = optics.elements
    assert (element.samples, element.sampling) == (2, optics.camera_grid)
    assert element.grid.shape == (64 + 4 * RIM, 128 + 4 * RIM)
    assert all(hop.band == tuple(side + 1 - side % 2 for side in hop.propagator.window.shape) for hop in optics.hops)


@pytest.mark.slow
@pytest.mark.parametrize(
    "geometry",
    [
        (),
        ("optics.neurons=[64, 32]", "optics.layers=2"),
        ("optics.pitch=700 nm", "optics.input_gap=9 um", "optics.layer_gap=8 um", "optics.neurons=[32, 32]"),
        ("optics.image_samples=2", "optics.pitch=632.8 nm", "optics.neurons=[32, 16]"),
        ("optics.surroundings=neighbours", "optics.margin=2 um"),
        ("fabrication.medium=water",),
    ],
)
def test_reading_is_that_of_the_squares_that_files_draw(geometry: tuple[str, ...]) -> None:
    """Against fine samples of squares and the angular spectrum in a window nine times as wide; see `fine_reading`."""
    design = squares("optics.padding=auto", "optics.start=random", "optics.cell=16", *geometry)
    optics = build_optics(design)
    rows, columns = optics.object_grid.shape
    coarse = torch.rand((1, 1, rows // 8 + 1, columns // 8 + 1), generator=torch.Generator().manual_seed(5))
    phase = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bicubic", align_corners=True)[0]
    with torch.no_grad():
        found = mean_bins(optics.intensity(torch.polar(torch.ones_like(phase), 2.0 * phase)), 4)[0]
    expected = [
        torch.from_numpy(fine_reading(design, optics.detached_phases().numpy(), 2.0 * phase[0].numpy(), fine))
        for fine in (4, 8)
    ]
    # what samples of squares leave falls with the square of their distance
    limit = expected[1] + (expected[1] - expected[0]) / 3.0
    assert torch.linalg.vector_norm(found - limit) / torch.linalg.vector_norm(limit) < 0.01


def test_a_named_number_of_samples_converges_to_the_chosen_one() -> None:
    settings = ("optics.start=random", "optics.padding=2.5")
    readings = [
        mean_bins(build_optics(squares(*settings, f"optics.samples={samples}")).intensity(field(1, 32, 64)), 4)
        for samples in ("auto", "8")
    ]
    difference = torch.linalg.vector_norm(readings[0] - readings[1]) / torch.linalg.vector_norm(readings[1])
    assert difference < 0.005


def test_a_field_without_its_surroundings_is_refused() -> None:
    optics = build_optics(squares("optics.surroundings=neighbours", "optics.margin=2 um"))
    assert optics.object_grid.shape == (46, 78)
    with pytest.raises(UsageError, match="32 × 64 samples"):
        optics(field(1, 32, 64))
    thick = build_optics(small("optics.model=bpm", "optics.surroundings=neighbours", "optics.margin=2 um"))
    with pytest.raises(UsageError, match="32 × 64 samples"):
        thick(field(1, 32, 64))


@pytest.mark.parametrize("hops", [2, 4])
def test_a_train_with_too_few_or_too_many_hops_is_refused(hops: int) -> None:
    grid = Grid.square(16, 1e-6)
    ways = [PROPAGATORS["angular-spectrum"](grid, 632.8e-9, 1e-5) for _ in range(hops)]
    with pytest.raises(UsageError, match=f"2 elements, {hops} hops"):
        DiffractiveSystem([DiffractiveElement(grid), ThinLens(grid, 632.8e-9, 1e-4)], ways)


def test_a_train_takes_any_element() -> None:
    """A mask and a lens: both act, and so does the last hop."""
    grid = Grid.square(64, 1e-6)
    hop = PROPAGATORS["rayleigh-sommerfeld"](grid, 632.8e-9, 2e-4, padding=2.0)
    mask, lens = DiffractiveElement(grid, torch.rand((64, 64))), ThinLens(grid, 632.8e-9, 2e-4)
    wave = field(1, 64, 64)
    expected = hop(lens(hop(mask(hop(wave)))))
    torch.testing.assert_close(DiffractiveSystem([mask, lens], [hop, hop, hop])(wave), expected, rtol=1e-4, atol=1e-5)


def fine_reading(
    design: Design, phases: NDArray[np.float32], phase: NDArray[np.float32], fine: int
) -> NDArray[np.float64]:
    """The camera's reading behind squares of fine² samples each, by the angular spectrum in float64.

    Args:
        design: layers.
        phases: of the masks (layers, y, x), radians.
        phase: of the object, as far as there is light (y, x), radians.
        fine: samples across a neuron.
    """
    optics, (ny, nx) = design.optics, design.optics.neurons
    wavelength = design.light.wavelength / material(design.fabrication.medium).index(design.light.wavelength)
    ratio = fine // optics.image_samples
    sides = [(9 * max(have, n)) | 1 for have, n in zip(phase.shape, optics.shape, strict=True)]
    spectrum = np.fft.fft2(np.exp(1j * phase.astype(float)), sides)
    for axis, side in enumerate(sides):  # finer samples of the same light, whose first lies before the coarse one
        moved = np.moveaxis(spectrum, axis, -1) * np.exp(-1j * np.pi * np.fft.fftfreq(side) * (ratio - 1) / ratio)
        gap = np.zeros((*moved.shape[:-1], side * (ratio - 1)))
        moved = np.concatenate([moved[..., : side // 2 + 1], gap, moved[..., side // 2 + 1 :]], -1) * ratio
        spectrum = np.moveaxis(moved, -1, axis)
    wave = np.fft.ifft2(spectrum)
    fy, fx = (np.fft.fftfreq(side * ratio, optics.pitch / fine) for side in sides)
    root = np.sqrt((1.0 - wavelength**2 * (fy[:, None] ** 2 + fx**2)).astype(complex))
    starts = [(have - n) // 2 * ratio for have, n in zip(phase.shape, optics.shape, strict=True)]
    part = tuple(slice(start, start + n * fine) for start, n in zip(starts, (ny, nx), strict=True))
    gaps = [optics.input_gap, *[optics.layer_gap] * (optics.layers - 1), optics.detector_gap]
    for index, gap in enumerate(gaps):
        wave = np.fft.ifft2(np.fft.fft2(wave) * np.exp(2j * np.pi / wavelength * gap * root))
        if index < optics.layers:
            masked = np.zeros_like(wave)
            masked[part] = wave[part] * np.kron(np.exp(1j * phases[index]), np.ones((fine, fine)))
            wave = masked
    pixel = design.detector.binning * ratio
    power = np.abs(wave[part]) ** 2
    return power.reshape(power.shape[0] // pixel, pixel, power.shape[1] // pixel, pixel).mean((1, 3))


def test_flat_thick_masks_are_free_space_like_flat_thin_ones() -> None:
    settings = ("optics.start=clear", "optics.propagator=band-limited", "optics.padding=2")
    beam = gaussian_beam()
    thin, thick = (build_optics(small(*settings, f"optics.model={model}")) for model in ("thin", "bpm"))
    with torch.no_grad():
        difference = (thin(beam) - thick(beam)).abs().max() / thin(beam).abs().max()
    assert difference < 2e-3


def test_thick_masks_differ_from_thin_ones_where_relief_is_steep_and_learn() -> None:
    settings = ("optics.start=random", "optics.propagator=band-limited")
    thin, thick = (build_optics(small(*settings, f"optics.model={model}")) for model in ("thin", "bpm"))
    process = build_process(small(*settings))
    with torch.no_grad():
        difference = (thin(gaussian_beam(), process) - thick(gaussian_beam(), process)).abs().square().sum()
        power = thin(gaussian_beam(), process).abs().square().sum()
    assert difference > 0.2 * power
    thick.intensity(gaussian_beam(), process)[..., :16].sum().backward()
    for element in thick.elements:
        assert torch.count_nonzero(element.phase_rad.grad) > 0.9 * element.phase_rad.numel()


def test_thick_masks_need_gaps_longer_than_their_relief() -> None:
    with pytest.raises(DesignError, match="does not fit into this gap"):
        small("optics.model=bpm", 'optics.layer_gap="1.3 um"')


def test_a_learned_gap_gets_a_gradient_through_the_whole_system() -> None:
    optics = build_optics(small("optics.start=random", "optics.propagator=band-limited"))
    last = optics.hops[-1].propagator
    learned = torch.nn.Parameter(torch.tensor(5.904e-6, dtype=torch.float64))
    optics.hops[-1] = Hop(type(last)(last.grid, 632.8e-9, learned, padding=1.5))
    optics.intensity(gaussian_beam())[..., :16].sum().backward()
    assert learned.grad is not None and learned.grad.item() != 0.0


def gaussian_beam() -> torch.Tensor:
    y, x = Grid((32, 64), (316.4e-9, 316.4e-9)).coordinates_m()
    return torch.exp(-(y**2 + x**2) / 2e-6**2).to(torch.complex64)[None]
