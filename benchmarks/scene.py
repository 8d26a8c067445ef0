"""The work that every contender gets: one stack of masks, one batch of fields."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from opticdesign.design import D2NNOptics, load_design
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.propagation import AngularSpectrum, Propagator, RayleighSommerfeld

__all__ = ["Scene", "Work"]

_DESIGN = Path(__file__).parent.parent / "designs" / "d2nn5.toml"


@dataclass(frozen=True)
class Work:
    """How much there is to compute.

    Args:
        size: rows and columns of the field.
        layers: masks.
        batch: fields sent at once.
        padding: window over aperture; at 1 the convolution wraps around (angular spectrum), above it is linear
            (Rayleigh–Sommerfeld).
        device: where it is computed.
    """

    size: int = 256
    layers: int = 5
    batch: int = 8
    padding: float = 1.5
    device: str = "cpu"

    def __str__(self) -> str:
        padded = "unpadded" if self.padding == 1.0 else f"padded {self.padding:g}×"
        return f"{self.size}², {self.layers} layers, {padded}, batch {self.batch}"


class Scene:
    """A work made concrete with the wavelength, pitch and gaps of designs/d2nn5.toml and random masks.

    Args:
        work: how much there is to compute.
    """

    def __init__(self, work: Work) -> None:
        design = load_design(_DESIGN)
        optics = design.optics
        if not isinstance(optics, D2NNOptics):
            raise TypeError(f"{_DESIGN} has no layers to compare")
        draw = torch.Generator().manual_seed(3)
        self.work = work
        self.wavelength_m, self.pitch_m = design.light.wavelength, optics.pitch
        self.gaps_m = [optics.input_gap, *[optics.layer_gap] * (work.layers - 1), optics.detector_gap]
        phases = torch.rand((work.layers, work.size, work.size), generator=draw) * 6.28
        self.phases = phases.to(work.device)
        self.field = _smooth_fields(work, draw).to(work.device)
        self.weights = torch.rand((work.size, work.size), generator=draw).to(work.device)

    @property
    def grid(self) -> Grid:
        """Sampling of fields and masks."""
        return Grid.square(self.work.size, self.pitch_m)

    @cached_property
    def hops(self) -> list[Propagator]:
        """Our propagators, one more than masks; equal gaps share one."""
        kind = AngularSpectrum if self.work.padding == 1.0 else RayleighSommerfeld
        made: dict[float, Propagator] = {}
        for gap in dict.fromkeys(self.gaps_m):
            hop = kind(self.grid, self.wavelength_m, gap, padding=self.work.padding)
            made[gap] = hop.to(self.work.device)
        return [made[gap] for gap in self.gaps_m]

    @property
    def margin(self) -> int:
        """Zeros that our window has on either side of the field."""
        return (self.hops[0].window.shape[0] - self.work.size) // 2

    @property
    def accurate_margin(self) -> int:
        """Zeros on either side that an angular spectrum needs to be as right as our kernel: the field doubled."""
        return 0 if self.work.padding == 1.0 else self.work.size // 2

    def with_batch(self, batch: int) -> Scene:
        """The same masks for another number of fields."""
        return Scene(replace(self.work, batch=batch))


def _smooth_fields(work: Work, draw: torch.Generator) -> Tensor:
    """Phase objects with details of 16 samples and more, complex64 (batch, y, x)."""
    coarse = torch.rand((work.batch, 1, max(work.size // 16, 2), max(work.size // 16, 2)), generator=draw)
    shape = (work.size, work.size)
    phase = torch.nn.functional.interpolate(coarse, shape, mode="bicubic", align_corners=False)[:, 0] * 4.0
    return phasor(phase)
