import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import AngularSpectrum
from opticdesign.optics.thick import ThickRelief

WAVELENGTH = 632.8e-9
INDEX = 1.457
FULL = WAVELENGTH / (INDEX - 1.0)
GRIDS = {"even": Grid((24, 24), (0.5e-6, 0.5e-6)), "odd, other pitch": Grid((15, 21), (0.6e-6, 0.5e-6))}


def smooth_field(grid: Grid, count: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> Tensor:
    """Random fields (count, y, x) whose waves all propagate, steep ones among them."""
    noise = torch.Generator().manual_seed(seed)
    spectrum = torch.randn((count, *grid.shape), dtype=torch.complex128, generator=noise)
    fy, fx = grid.frequencies_per_m()
    return torch.fft.ifft2(spectrum * (fy.hypot(fx) < 0.85 / WAVELENGTH)).to(dtype)


def random_height(grid: Grid, top: float = FULL, seed: int = 1, cell: int = 1) -> Tensor:
    noise = torch.Generator().manual_seed(seed)
    ny, nx = grid.shape
    small = torch.rand((-(-ny // cell), -(-nx // cell)), dtype=torch.float64, generator=noise)
    return (small.repeat_interleave(cell, 0).repeat_interleave(cell, 1) * top)[:ny, :nx]


def through(field: Tensor, height: Tensor, grid: Grid, *, slices: int = 8, depth: float = FULL, beyond=0.0) -> Tensor:
    relief = ThickRelief(grid, WAVELENGTH, INDEX, depth_m=depth, slices=slices, beyond_m=beyond)
    shares = relief.shares(height)
    return relief(field, shares, relief.mean_indices(shares))


def relative(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


@pytest.mark.parametrize("slices", [1, 2, 8])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_no_relief_is_free_space_over_the_depth(grid, slices):
    # a grid whose corners still propagate: behind the mask, evanescent waves decay where a hop drops them
    field = smooth_field(grid, 2)
    hop = AngularSpectrum(grid, WAVELENGTH, FULL, padding=1, dtype=torch.complex128)
    assert relative(through(field, torch.zeros(grid.shape), grid, slices=slices), hop(field)) < 1e-12


@pytest.mark.parametrize("slices", [1, 3, 8])
@settings(deadline=None, max_examples=10)
@given(st.floats(0.0, 1.0))
def test_slab_of_any_height_gives_its_phase_and_passes_everything(slices, part):
    grid = Grid((5, 6), (0.4e-6, 0.5e-6))
    wave = torch.ones(grid.shape, dtype=torch.complex128)
    slab = torch.full(grid.shape, part * FULL)
    expected = wave * np.exp(2j * math.pi * part)
    assert relative(through(wave, slab, grid, slices=slices), expected) < 1e-6


def test_what_leaves_at_one_edge_does_not_come_in_at_the_other():
    grid = Grid((24, 24), (0.2e-6, 0.2e-6))
    field = torch.zeros(grid.shape, dtype=torch.complex128)
    field[:, -3:] = 1.0
    periodic, alone = (through(field, torch.zeros(grid.shape), grid, beyond=beyond).abs() for beyond in (0.0, None))
    assert float(alone[:, :4].max()) < 0.3 * float(periodic[:, :4].max())


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_full_slab_is_exact_at_every_angle(grid):
    field = smooth_field(grid, 2)
    inside = AngularSpectrum(grid, WAVELENGTH, FULL, padding=1, index=INDEX, dtype=torch.complex128)
    slab = torch.full(grid.shape, FULL, dtype=torch.float64)
    # the phase over the medium is 2π at the full height; the rest is free space in glass
    assert relative(through(field, slab, grid), inside(field)) < 1e-9


@pytest.mark.parametrize(("depth", "bar"), [(FULL / 100, 2e-2), (FULL / 1000, 2e-3), (FULL / 10000, 2e-4)])
def test_shallow_mask_is_the_thin_element_in_free_space(depth, bar):
    grid = GRIDS["even"]
    field, height = smooth_field(grid, 1), random_height(grid, depth, cell=4)
    half = AngularSpectrum(grid, WAVELENGTH, depth / 2.0, padding=1, dtype=torch.complex128)
    thin = half(half(field) * torch.exp(2j * math.pi * (INDEX - 1.0) / WAVELENGTH * height))
    free = half(half(field))
    thick = through(field, height, grid, depth=depth, slices=2)
    assert relative(thick, thin) < bar
    # and not because both do nothing: the change that the mask makes is the same
    assert relative(thick - free, thin - free) < 0.3


def test_wedge_bends_light_towards_its_thick_side():
    grid = Grid((1, 600), (0.3e-6, 0.3e-6))
    x = grid.coordinates_m()[1]
    beam = torch.exp(-((x / 8e-6) ** 2)).to(torch.complex128)
    wedge = torch.clamp(0.5 * FULL + 0.02 * x, 0.0, FULL)
    hop = AngularSpectrum(grid, WAVELENGTH, 200e-6, padding=1, dtype=torch.complex128)
    power = hop(through(beam, wedge, grid)).abs() ** 2
    centre = float((power * x).sum() / power.sum())
    assert centre == pytest.approx(200e-6 * 0.02 * (INDEX - 1.0), rel=0.01)


def test_converges_with_the_number_of_slices():
    grid = Grid((1, 64), (1e-6, 0.1e-6))
    field = torch.ones(grid.shape, dtype=torch.complex128)
    x = grid.coordinates_m()[1]
    height = 0.5 * FULL * (1.0 + torch.cos(2 * math.pi * x / 6.4e-6))
    errors = []
    finest = through(field, height, grid, slices=128)
    for slices in (4, 8, 16, 32):
        errors.append(relative(through(field, height, grid, slices=slices), finest))
    assert all(fine < 0.5 * coarse for coarse, fine in itertools.pairwise(errors)), errors
    assert errors[1] < 0.02


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pitch", [0.1e-6, 0.5e-6])
def test_power_that_is_not_sent_off_along_the_mask_is_kept(pitch, seed):
    grid = Grid((48, 48), (pitch, pitch))
    field = smooth_field(grid, 1, seed)
    kept = float(through(field, random_height(grid, seed=seed, cell=2), grid).norm() / field.norm()) ** 2
    # samples of half a micrometre carry no wave that does not travel in the mask and around it
    assert kept == pytest.approx(1.0, abs=1e-9) if pitch > WAVELENGTH / math.sqrt(2.0) else 0.5 < kept < 1.0, kept


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("beyond", [0.0, None, 3e-6])
def test_batch_is_each_field_alone(grid, beyond):
    field, height = smooth_field(grid, 6).reshape(2, 3, *grid.shape), random_height(grid)
    together = through(field, height, grid, beyond=beyond)
    alone = torch.stack([torch.stack([through(f, height, grid, beyond=beyond) for f in row]) for row in field])
    torch.testing.assert_close(together, alone)


def test_transposed_mask_and_field_give_the_transposed_field():
    grid = GRIDS["odd, other pitch"]
    field, height = smooth_field(grid, 1), random_height(grid)
    turned = Grid(grid.shape[::-1], grid.pitch_m[::-1])
    there = through(field.mT, height.mT, turned, beyond=None)
    torch.testing.assert_close(there.mT, through(field, height, grid, beyond=None))


def test_single_precision_is_the_same_field():
    grid = GRIDS["even"]
    field, height = smooth_field(grid, 1), random_height(grid)
    single = through(field.to(torch.complex64), height.float(), grid)
    assert single.dtype == torch.complex64
    assert relative(single.to(torch.complex128), through(field, height, grid)) < 2e-6


@pytest.mark.parametrize("beyond", [0.0, None])
def test_gradients_of_field_and_height(beyond):
    grid = Grid((4, 5), (0.4e-6, 0.35e-6))
    field = smooth_field(grid, 2).requires_grad_()
    height = (random_height(grid) * 1e6).requires_grad_()
    relief = ThickRelief(grid, WAVELENGTH, INDEX, depth_m=FULL, slices=3, beyond_m=beyond)

    def behind(f: Tensor, h: Tensor) -> Tensor:
        return relief(f, relief.shares(h * 1e-6), [1.3, 1.2, 1.05])

    assert torch.autograd.gradcheck(behind, (field, height))
    assert torch.autograd.gradcheck(lambda f: behind(f, height.detach()), (field,))
    assert torch.autograd.gradcheck(lambda h: behind(field.detach(), h), (height,))


def test_height_on_a_level_has_the_gradient_of_growing():
    grid = Grid((4, 4), (0.4e-6, 0.4e-6))
    relief = ThickRelief(grid, WAVELENGTH, INDEX, depth_m=FULL, slices=8)
    field = smooth_field(grid, 1)

    def score(levels: Tensor) -> Tensor:
        return relief(field, relief.shares(levels * (FULL / 8)), [1.2] * 8).real[..., 1, 1].sum()

    levels = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [7, 6, 5, 4], [3, 2, 1, 0]], dtype=torch.float64)
    levels.requires_grad_()
    (gradient,) = torch.autograd.grad(score(levels), levels)
    for row, column in ((0, 0), (1, 1), (2, 0)):
        moved = levels.detach().clone()
        moved[row, column] += 1e-6
        slope = float(score(moved) - score(levels.detach())) / 1e-6
        assert float(gradient[row, column]) == pytest.approx(slope, rel=1e-3, abs=1e-8)


def test_levels_of_a_process_fill_whole_slices():
    process = FabricationProcess(8, WAVELENGTH, INDEX)
    grid = GRIDS["even"]
    levels = torch.randint(0, 8, grid.shape, generator=torch.Generator().manual_seed(0))
    field, height = smooth_field(grid, 1), process.height_of_level(levels)
    coarse = through(field, height, grid, depth=process.full_height_m, slices=process.levels)
    cut = through(field, height, grid, depth=7 * process.step_height_m, slices=7)
    rest = AngularSpectrum(grid, WAVELENGTH, process.step_height_m, padding=1, dtype=torch.complex128)
    assert relative(coarse, rest(cut)) < 1e-9


def test_material_above_the_depth_is_cut_off():
    grid = GRIDS["even"]
    field, height = smooth_field(grid, 1), random_height(grid, 2 * FULL) - 0.5 * FULL
    torch.testing.assert_close(through(field, height, grid), through(field, height.clamp(0.0, FULL), grid))


@pytest.mark.parametrize(
    "wrong",
    [{"depth_m": 0.0}, {"depth_m": math.inf}, {"slices": 0}, {"beyond_m": -1e-6}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_values_out_of_range_are_refused(wrong):
    options = {"depth_m": FULL, "slices": 8} | wrong
    with pytest.raises(UsageError, match="a thick mask with"):
        ThickRelief(GRIDS["even"], WAVELENGTH, INDEX, **options)


@pytest.mark.parametrize("aspect_ratio", [0.5, 1.0, 2.0, 3.0, 4.4])
@pytest.mark.parametrize("name", ["grating", "scattering_grating"])
def test_gratings_diffract_as_maxwell_says(name, aspect_ratio):
    pytest.importorskip("meent", reason="the full-wave solver meent is not installed (extra: test)")
    from benchmarks import thick_masks

    relief = getattr(thick_masks, name)(aspect_ratio)
    harmonics = int(1.2 * relief.period_m[1] / relief.wavelength_m) + 10
    row = thick_masks.compare(name, relief, aspect_ratio, harmonics)
    assert row.bpm < 0.2, row
    assert row.bpm < 0.5 * row.thin, row


@pytest.mark.parametrize(
    ("aspect_ratio", "bar", "of_thin"),
    [(0.5, 0.03, 1.0), (1.0, 0.07, 0.8), (2.0, 0.18, 0.75), (3.0, 0.25, 0.5), (4.4, 0.25, 0.3)],
)
def test_half_wave_pixels_diffract_as_maxwell_says(aspect_ratio, bar, of_thin):
    pytest.importorskip("meent", reason="the full-wave solver meent is not installed (extra: test)")
    from benchmarks import thick_masks

    row = thick_masks.compare("2-D", thick_masks.relief_2d(aspect_ratio), aspect_ratio, 4)
    assert row.bpm < bar, row
    assert row.bpm < of_thin * row.thin, row
