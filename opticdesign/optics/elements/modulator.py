"""A liquid-crystal panel: what it shows of a phase."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from opticdesign.errors import UsageError
from opticdesign.optics.elements.element import Mask, phase_transmission, start_of
from opticdesign.optics.field import Grid
from opticdesign.optics.resampling import covered_share
from opticdesign.optics.straight_through import straight_through

__all__ = ["SpatialLightModulator", "grey_of_phase", "linear_lut"]

_TURN = 2.0 * math.pi
_PARTS = 2**30


def linear_lut(bits: int = 8, two_pi_grey: int = 256) -> Tensor:
    """Phase in radians of each grey of a panel whose phase grows evenly, 2π at `two_pi_grey`: float64 (2^bits,)."""
    return torch.arange(2**bits, dtype=torch.float64) * (_TURN / two_pi_grey)


def grey_of_phase(phase_rad: Tensor, lut_rad: Tensor) -> Tensor:
    """The grey whose phase is nearest modulo 2π, the lowest of equal ones: int64, shape of the phase.

    Args:
        phase_rad: wanted phase in radians, any shape.
        lut_rad: phase in radians that each grey gives, (greys,), in any order and of any range.
    """
    # in small parts of a turn, so that phases a turn apart are equal whatever their last digit says
    parts, greys = torch.sort(
        torch.remainder(torch.round(lut_rad.to(torch.float64) / _TURN * _PARTS), _PARTS), stable=True
    )
    first = torch.cat([torch.ones(1, dtype=torch.bool, device=parts.device), parts.diff() > 0.0])
    shown, greys = parts[first] * (_TURN / _PARTS), greys[first]
    around = torch.cat([shown[-1:] - _TURN, shown, shown[:1] + _TURN])
    named = torch.cat([greys[-1:], greys, greys[:1]])
    wanted = torch.remainder(phase_rad.detach().to(torch.float64), _TURN)
    return named[torch.bucketize(wanted, (around[1:] + around[:-1]) / 2.0)]


class SpatialLightModulator(Mask):
    """A phase-only panel of square pixels with gaps between them.

    What is wanted is wrapped and rounded to the phases of the greys, smeared by fringing fields where it jumps, and
    shown by the active middle of each pixel; the gaps send light on without modulating it, into the zero order.
    With one sample a pixel, its transmission is the mean over its area: right for the light near the axis, the
    panel's higher orders being lost. With more, the gaps themselves diffract.

    Args:
        panel: pixels of the panel and their pitch.
        phase_rad: initial phase in radians, (y, x) of the panel; zero when left out.
        samples: samples of the field across one pixel; the grid of the element is so many times finer.
        fill_factor: share of a pixel's area that modulates, above 0, at most 1.
        gap: amplitude, 0 … 1, that the gaps send on.
        crosstalk: standard deviation of the Gaussian that smears the phase, in pixels; 0 for none.
        lut_rad: phase in radians of each grey, (greys,), linear or measured; without it phases are shown as they are.

    Raises:
        UsageError: a share or an amplitude out of range, or an initial phase of another shape.
    """

    _active: Tensor
    _kernel: Tensor
    _lut: Tensor | None

    def __init__(
        self,
        panel: Grid,
        phase_rad: Tensor | None = None,
        *,
        samples: int = 1,
        fill_factor: float = 1.0,
        gap: float = 0.0,
        crosstalk: float = 0.0,
        lut_rad: Tensor | None = None,
    ) -> None:
        if not (samples >= 1 and 0.0 < fill_factor <= 1.0 and 0.0 <= gap <= 1.0 and crosstalk >= 0.0):
            raise UsageError(
                f"a panel with {samples} samples a pixel, fill factor {fill_factor}, gap {gap}, crosstalk {crosstalk}",
                expected="a sample or more, a fill factor above 0 and at most 1, a gap of 0 to 1, crosstalk ≥ 0",
                remedy="correct the value out of range",
            )
        (ny, nx), (dy, dx) = panel.shape, panel.pitch_m
        super().__init__(Grid((ny * samples, nx * samples), (dy / samples, dx / samples)))
        self.panel, self.samples, self.gap = panel, samples, gap
        self.phase_rad = nn.Parameter(start_of(phase_rad, panel.shape, "phase"))
        active = _active_share(samples, math.sqrt(fill_factor)).repeat(ny, nx)
        self.register_buffer("_active", active, persistent=False)
        self.register_buffer("_kernel", _gaussian(crosstalk * samples), persistent=False)
        self.register_buffer("_lut", None if lut_rad is None else lut_rad.to(torch.float64), persistent=False)

    def grey(self) -> Tensor:
        """The frame to send to the panel: int64 (y, x) of the panel.

        Raises:
            UsageError: the panel has no table of greys.
        """
        if self._lut is None:
            raise UsageError("a panel without a table has no greys", remedy="pass lut_rad, for example linear_lut()")
        return grey_of_phase(self.phase_rad, self._lut)

    def shown_phase(self) -> Tensor:
        """The phase that the active areas show, radians (y, x) of the grid, with a straight-through gradient."""
        phase: Tensor = self.phase_rad
        if self._lut is not None:
            phase = straight_through(phase, torch.remainder(self._lut[self.grey()], _TURN))
        fine = phase.repeat_interleave(self.samples, 0).repeat_interleave(self.samples, 1)
        return fine if len(self._kernel) == 1 else _smeared(fine, self._kernel.to(fine.dtype))

    def transmission(self) -> Tensor:
        """Complex (y, x) of the grid: active share times e^{iφ}, and the gaps."""
        shown = phase_transmission(self.shown_phase())
        active = self._active.to(shown.real.dtype)
        return active * shown + (1.0 - active) * self.gap


def _active_share(samples: int, width: float) -> Tensor:
    """Share of each sample of one pixel that lies in its active middle: float64 (samples, samples)."""
    (_, x) = Grid.square(samples, 1.0 / samples).coordinates_m()
    line = covered_share(x[0], 1.0 / samples, -width / 2.0, width / 2.0)
    return torch.outer(line, line)


def _gaussian(deviation: float) -> Tensor:
    """A sampled Gaussian of sum 1 and a standard deviation in samples, out to four of them: float64 (2r + 1,)."""
    reach = math.ceil(4.0 * deviation)
    offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weight = torch.exp(-0.5 * (offset / max(deviation, 1e-9)) ** 2)
    return weight / weight.sum()


def _smeared(phase_rad: Tensor, kernel: Tensor) -> Tensor:
    """The phase (y, x) convolved with a kernel along both axes, its edge values continued outwards."""
    reach = len(kernel) // 2
    padded = functional.pad(phase_rad[None, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :])[0, 0]
