from __future__ import annotations

import math

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.optics.elements import SpatialLightModulator, grey_of_phase, linear_lut
from opticdesign.optics.field import Grid

PANEL = Grid((16, 24), (8e-6, 8e-6))
TURN = 2.0 * math.pi


def efficiency(panel: SpatialLightModulator, column: int) -> float:
    """Share of the light of a plane wave in one diffraction order along x, of all that falls on the panel."""
    orders = torch.fft.fft2(panel.transmission()) / panel.grid.shape[0] / panel.grid.shape[1]
    return orders[0, column].abs().square().item()


def checkerboard(phase: float) -> torch.Tensor:
    rows, columns = torch.arange(16)[:, None], torch.arange(24)
    return phase * ((rows + columns) % 2).float()


@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize("fill", [1.0, 0.93, 0.36])
@pytest.mark.parametrize("gap", [0.0, 0.8])
def test_zero_order_is_what_the_gaps_send_on(samples: int, fill: float, gap: float) -> None:
    flat = SpatialLightModulator(PANEL, None, samples=samples, fill_factor=fill, gap=gap)
    assert efficiency(flat, 0) == pytest.approx((fill + (1.0 - fill) * gap) ** 2, rel=1e-5)
    # a checkerboard of 0 and π cancels all that is modulated
    board = SpatialLightModulator(PANEL, checkerboard(math.pi), samples=samples, fill_factor=fill, gap=gap)
    assert efficiency(board, 0) == pytest.approx(((1.0 - fill) * gap) ** 2, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_power_behind_a_resolved_panel_is_the_open_area(gap: float) -> None:
    fill = 0.64  # four of five samples along each axis
    phase = TURN * torch.rand(PANEL.shape, generator=torch.Generator().manual_seed(0))
    panel = SpatialLightModulator(PANEL, phase, samples=5, fill_factor=fill, gap=gap)
    # the middle of 4 samples out of 5 covers half of the outer ones
    power = panel.transmission().abs().square().mean().item()
    ten = SpatialLightModulator(PANEL, phase, samples=10, fill_factor=fill, gap=gap)
    assert ten.transmission().abs().square().mean().item() == pytest.approx(fill + (1 - fill) * gap**2, rel=1e-5)
    assert power <= fill + (1 - fill) * gap**2


def test_full_ideal_panel_is_a_phase_mask() -> None:
    phase = torch.linspace(-5.0, 9.0, 16 * 24).reshape(PANEL.shape)
    panel = SpatialLightModulator(PANEL, phase)
    torch.testing.assert_close(panel.transmission(), torch.exp(1j * phase))


@pytest.mark.parametrize(("period", "samples"), [(4, 8), (8, 4)])
def test_blazed_grating_on_a_panel_has_the_scalar_first_order(period: int, samples: int) -> None:
    """`period` steps of equal height: sinc²(1/period), as of a relief, times the square of the fill factor's line."""
    ramp = (TURN / period * torch.arange(24.0)).expand(16, 24)
    panel = SpatialLightModulator(PANEL, ramp, samples=samples, lut_rad=linear_lut())
    order = 24 // period
    sinc = math.sin(math.pi / period) / (math.pi / period)
    # the sampled mean of a step differs from the integral by the samples' own sinc
    fine = math.sin(math.pi / period / samples) / (math.pi / period / samples)
    assert efficiency(panel, order) == pytest.approx((sinc / fine) ** 2, rel=1e-4)


def test_crosstalk_smears_a_step_into_an_error_function_and_leaves_flat_phases_alone() -> None:
    step = torch.zeros(PANEL.shape)
    step[:, 12:] = 3.0
    panel = SpatialLightModulator(PANEL, step, samples=8, crosstalk=0.5).double()
    _, x = panel.grid.coordinates_m()
    expected = 1.5 * (1.0 + torch.erf(x[0] / (0.5 * 8e-6) / math.sqrt(2.0)))
    shown = panel.shown_phase()
    assert (shown - expected).abs().max().item() < 2e-3
    flat = SpatialLightModulator(PANEL, torch.full(PANEL.shape, 1.7), samples=2, crosstalk=1.3).shown_phase()
    torch.testing.assert_close(flat, torch.full_like(flat, 1.7))


def test_crosstalk_lowers_the_contrast_of_a_checkerboard_by_the_kernels_spectrum() -> None:
    deviation = 0.4
    panel = SpatialLightModulator(PANEL, checkerboard(2.0), crosstalk=deviation)
    offsets = torch.arange(-2, 3)
    weights = torch.exp(-0.5 * (offsets / deviation) ** 2)
    kept = ((weights * (-1.0) ** offsets).sum() / weights.sum()).item() ** 2
    inner = panel.shown_phase()[4:-4, 4:-4]
    assert (inner.max() - inner.min()).item() == pytest.approx(2.0 * kept, rel=1e-5)
    assert inner.mean().item() == pytest.approx(1.0, rel=1e-5)


def test_crosstalk_spoils_the_flyback_of_a_blazed_grating() -> None:
    ramp = (TURN / 6 * torch.arange(24.0)).expand(16, 24)
    sharp, smeared = (
        efficiency(SpatialLightModulator(PANEL, ramp, crosstalk=c, samples=4, lut_rad=linear_lut()), 4)
        for c in (0.0, 0.5)
    )
    assert smeared < 0.9 * sharp


def test_grey_is_the_nearest_of_the_table_modulo_a_turn() -> None:
    lut = linear_lut(2)[:4] * 64  # 0, π/2, π, 3π/2
    phase = torch.tensor([0.0, 0.7, 0.8, 3.0, 5.4, 5.6, 6.2, -0.7, -0.8, 2 * math.pi, 100 * math.pi + 1.5])
    assert grey_of_phase(phase, lut).tolist() == [0, 0, 1, 2, 3, 0, 0, 0, 3, 0, 1]


@pytest.mark.parametrize(("bits", "two_pi_grey"), [(8, 256), (8, 218), (10, 1024), (4, 16), (1, 2)])
def test_linear_panel_shows_as_many_phases_as_it_has_below_a_turn(bits: int, two_pi_grey: int) -> None:
    lut = linear_lut(bits, two_pi_grey)
    assert len(lut) == 2**bits
    phase = torch.linspace(-7.0, 20.0, 60_001, dtype=torch.float64)
    grey = grey_of_phase(phase, lut)
    assert torch.unique(grey).tolist() == list(range(two_pi_grey))  # greys above a turn are named by their lowest
    miss = torch.remainder(lut[grey] - phase + math.pi, TURN) - math.pi
    assert miss.abs().max().item() <= TURN / two_pi_grey / 2 + 1e-9


def test_measured_table_out_of_order_is_inverted_by_nearness() -> None:
    lut = torch.tensor([0.3, 2.0, 1.0, 4.0, 7.0, 5.5])  # 7.0 is 0.717
    phase = torch.linspace(-4.0, 8.0, 1001, dtype=torch.float64)
    gap = torch.remainder(lut.double() - phase[:, None] + math.pi, TURN) - math.pi
    assert torch.equal(grey_of_phase(phase, lut), gap.abs().argmin(1))


def test_panel_learns_through_its_table() -> None:
    phase = torch.rand(PANEL.shape, generator=torch.Generator().manual_seed(0))
    panel = SpatialLightModulator(PANEL, phase, lut_rad=linear_lut(4, 16))
    assert len(torch.unique(panel.shown_phase())) == 4  # 0 … 1 rad in steps of 0.39
    (panel.shown_phase() * 3.0).sum().backward()
    assert panel.phase_rad.grad is not None
    assert torch.all(panel.phase_rad.grad == 3.0)
    torch.testing.assert_close(linear_lut(4, 16)[panel.grey()].float(), panel.shown_phase().detach())


def test_panel_without_a_table_has_no_greys() -> None:
    with pytest.raises(UsageError, match="pass lut_rad"):
        SpatialLightModulator(PANEL).grey()


@pytest.mark.parametrize("options", [{"samples": 0}, {"fill_factor": 0.0}, {"fill_factor": 1.1}, {"gap": 1.5}])
def test_panel_refuses_what_is_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="fill factor above 0"):
        SpatialLightModulator(PANEL, **options)  # type: ignore[arg-type]
