from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design, load_design
from opticdesign.elements import DiffractiveElement, phase_transmission
from opticdesign.errors import DesignError
from opticdesign.field import Grid
from opticdesign.materials import material
from opticdesign.optical_system import DiffractiveSystem
from opticdesign.propagation import PROPAGATORS
from opticdesign.relief import Relief
from opticdesign.system import build_microscope, build_optics, build_process

D2NN5 = Path(__file__).parents[1] / "designs" / "d2nn5.toml"
SMALL = (
    "optics.layers=3",
    "optics.neurons=[32, 64]",
    "detector.binning=4",
    "decoder.channels=8",
    "evaluation.overlap=8",
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
            mask = optics.phases_rad()[index]
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
    assert [hop.distance_m for hop in optics.hops] == pytest.approx([3.373e-6, 5.904e-6])


def test_equal_gaps_share_one_transfer_function() -> None:
    hops = build_optics(small()).hops
    assert hops[0] is hops[1]
    assert hops[1] is hops[2]
    assert hops[3] is not hops[2]
    assert build_optics(small("optics.input_gap=4 um")).hops[0] is not hops[1]


@pytest.mark.parametrize("name", PROPAGATORS)
def test_design_names_the_propagator(name: str) -> None:
    hops = build_optics(small(f"optics.propagator={name}")).hops
    assert all(type(hop) is PROPAGATORS[name] for hop in hops)


def test_medium_shortens_the_wavelength_between_the_masks_and_lowers_the_contrast() -> None:
    design = small("fabrication.medium=water")
    water, silica = material("water").index(632.8e-9), material("fused silica").index(632.8e-9)
    assert build_optics(design).hops[0].wavelength_m == pytest.approx(632.8e-9 / water)
    process = build_process(design)
    assert process.full_height_m == pytest.approx(632.8e-9 / (silica - water))
    assert process.levels == 8


def test_masks_start_clear_random_or_rippled() -> None:
    assert torch.count_nonzero(build_optics(small("optics.start=clear")).phases_rad()).item() == 0
    random = build_optics(small("optics.start=random")).phases_rad()
    assert 0.0 <= random.min().item() < 0.1
    assert 2.0 * math.pi - 0.1 < random.max().item() < 2.0 * math.pi
    rippled = build_optics(small("optics.start=rippled")).phases_rad()
    assert rippled.std().item() == pytest.approx(0.1, rel=0.1)
    assert not torch.equal(rippled[0], rippled[1])


def test_starting_masks_depend_on_the_seed_alone() -> None:
    random = build_optics(small("optics.start=random")).phases_rad()
    assert torch.equal(random, build_optics(small("optics.start=random")).phases_rad())
    assert not torch.equal(random, build_optics(small("optics.start=random", "training.seed=1")).phases_rad())


def test_masks_repeat_their_cell_and_so_do_their_gradients() -> None:
    optics = build_optics(small("optics.start=random", "optics.cell=16"))
    phases = optics.phases_rad()
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
    assert torch.equal(optics.phases_rad(), phases)
    phases += 1.0
    assert not torch.equal(optics.phases_rad(), phases)
    assert all(element.phase_rad.requires_grad for element in optics.elements)
    with pytest.raises(ValueError, match="argument 2 is"):
        optics.set_phases_rad(phases[:2])


def test_layers_of_heights_are_the_same_optics_and_learn_heights() -> None:
    phases = build_optics(small("optics.start=random", "optics.cell=16"))
    relief = Relief(material("fused silica"), material("vacuum"), 632.8e-9)
    elements = [DiffractiveElement(phases.grid, primary="height", relief=relief) for _ in phases.elements]
    heights = DiffractiveSystem(elements, list(phases.hops), cell=16)
    heights.set_phases_rad(phases.phases_rad())
    torch.testing.assert_close(heights.phases_rad(), phases.phases_rad())
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


def test_wide_neurons_are_steps_on_a_fine_field() -> None:
    design = small("optics.samples=4", "optics.neurons=[8, 16]", "optics.cell=8", "optics.start=random")
    optics = build_optics(design)
    assert optics.grid == Grid((32, 64), (79.1e-9, 79.1e-9))
    assert optics.phases_rad().shape == (3, 8, 16)
    (element, *_) = optics.elements
    expected = phase_transmission(optics.phases_rad()[0]).repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert torch.equal(element.transmission().detach(), expected)


def test_flat_thick_masks_are_free_space_like_flat_thin_ones() -> None:
    settings = ("optics.start=clear", "optics.propagator=band-limited", "optics.padding=2")
    beam = gaussian_beam()
    thin, thick = (build_optics(small(*settings, f"optics.model={model}")) for model in ("thin", "bpm"))
    with torch.no_grad():
        difference = (thin(beam) - thick(beam)).abs().max() / thin(beam).abs().max()
    assert difference < 2e-3


def test_thick_masks_differ_from_thin_ones_where_relief_is_steep_and_learn() -> None:
    settings = ("optics.start=random", "optics.propagator=band-limited", "optics.subdivide=1")
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
    last = optics.hops[-1]
    learned = torch.nn.Parameter(torch.tensor(5.904e-6, dtype=torch.float64))
    optics.hops[-1] = type(last)(last.grid, 632.8e-9, learned, padding=1.5)
    optics.intensity(gaussian_beam())[..., :16].sum().backward()
    assert learned.grad is not None and learned.grad.item() != 0.0


def gaussian_beam() -> torch.Tensor:
    y, x = Grid((32, 64), (316.4e-9, 316.4e-9)).coordinates_m()
    return torch.exp(-(y**2 + x**2) / 2e-6**2).to(torch.complex64)[None]
