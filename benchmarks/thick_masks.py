"""How well thin and thick masks predict the diffraction orders of a relief: `python -m benchmarks.thick_masks`.

Every relief is fused silica in air under a plane wave at 632.8 nm; the truth is rigorous coupled-wave analysis. The
error is ‖a − a_full‖/‖a_full‖ over the amplitudes of all propagating orders, whose squares are efficiencies, averaged
over the two polarisations. Three scalar models stand side by side: the thin mask in whichever plane of the relief suits
it best, the wave propagation method (in a slice, each pixel takes the spectrum of its own index), and the split step
that `opticdesign.optics.thick` takes (a phase screen a slice, between spectra at the slice's mean index).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.full_wave import Complex, FullWave, Relief, full_wave, order_error
from opticdesign.optics.field import Grid
from opticdesign.optics.materials import material
from opticdesign.optics.thick import ThickRelief

__all__ = ["ASPECT_RATIOS", "Row", "compare", "grating", "relief_2d", "scattering_grating"]

ASPECT_RATIOS = (0.5, 1.0, 2.0, 3.0, 4.4)
_WAVELENGTH_M = 632.8e-9
_LEVELS = 8
_SAMPLES = 16  # samples a pixel, so that sampling adds nothing to the errors compared


class Row(NamedTuple):
    """Errors of the models on one relief, mean of both polarisations; `bpm_each` is along y and along x."""

    case: str
    aspect_ratio: float
    thin: float
    two_indices: float
    bpm: float
    bpm_each: tuple[float, float]


def _relief(levels: NDArray[np.int64], full_height_m: float, pixel_m: float) -> Relief:
    index, medium = (material(name).index(_WAVELENGTH_M) for name in ("fused silica", "air"))
    return Relief(levels, full_height_m / _LEVELS, pixel_m, _WAVELENGTH_M, index, medium)


def _two_pi_height_m() -> float:
    return _WAVELENGTH_M / (material("fused silica").index(_WAVELENGTH_M) - material("air").index(_WAVELENGTH_M))


def grating(aspect_ratio: float) -> Relief:
    """A blazed grating of 8 levels, full height 2π, with steps as wide as the full height over the aspect ratio."""
    height_m = _two_pi_height_m()
    return _relief(np.arange(_LEVELS)[None, :], height_m, height_m / aspect_ratio)


def scattering_grating(aspect_ratio: float, seed: int = 0) -> Relief:
    """The same with 8 steps of random level, the last one the highest: what a trained mask looks like to light."""
    height_m = _two_pi_height_m()
    levels = np.random.default_rng(seed).integers(0, _LEVELS, _LEVELS)
    levels[-1] = _LEVELS - 1
    return _relief(levels[None, :], height_m, height_m / aspect_ratio)


def relief_2d(aspect_ratio: float, seed: int = 0) -> Relief:
    """4 × 4 pixels half a wavelength wide of random level; the aspect ratio sets the height, 4.4 being 2π."""
    pixel_m = _two_pi_height_m() / ASPECT_RATIOS[-1]
    levels = np.random.default_rng(seed).integers(0, _LEVELS, (4, 4))
    levels[-1, -1] = _LEVELS - 1
    return _relief(levels, aspect_ratio * pixel_m, pixel_m)


def _sampled(relief: Relief) -> tuple[Tensor, Grid]:
    rows, columns = relief.levels.shape
    across = 1 if rows == 1 else _SAMPLES
    levels = np.repeat(np.repeat(relief.levels, across, 0), _SAMPLES, 1)
    grid = Grid((rows * across, columns * _SAMPLES), (relief.pixel_m / across, relief.pixel_m / _SAMPLES))
    return torch.from_numpy(levels * relief.step_m), grid


def _orders(field: Tensor, truth: FullWave) -> Complex:
    """Amplitudes of the propagating orders of a periodic field (y, x), counted from the edge of the cell."""
    ny, nx = field.shape
    spectrum = torch.fft.fft2(field).numpy()[truth.order_y, truth.order_x] / (ny * nx)
    corner = np.exp(-1j * np.pi * (truth.order_y / ny + truth.order_x / nx))
    result: Complex = spectrum * corner
    return result


def _free_space(grid: Grid, wavelength_m: float, distance_m: float) -> Tensor:
    fy, fx = grid.frequencies_per_m()
    cosine = torch.sqrt(torch.complex(1.0 - wavelength_m**2 * (fy**2 + fx**2), torch.zeros(grid.shape).double()))
    return torch.exp(2j * math.pi / wavelength_m * distance_m * (cosine - 1.0))


def _phase(relief: Relief, height_m: Tensor) -> Tensor:
    k = 2.0 * math.pi / relief.wavelength_m
    return torch.polar(torch.ones_like(height_m), k * (relief.index - relief.medium_index) * height_m)


def _two_indices(relief: Relief) -> Tensor:
    """The wave propagation method: each pixel of a slice takes the exact spectrum of its own index.

    K.-H. Brenner, W. Singer, Light propagation through microlenses: a new simulation method, Appl. Opt. 32, 4984
    (1993), doi:10.1364/AO.32.004984.
    """
    height_m, grid = _sampled(relief)
    hops = [_free_space(grid, relief.wavelength_m / n, relief.step_m) for n in (relief.medium_index, relief.index)]
    wave = torch.ones(grid.shape, dtype=torch.complex128)
    for layer in range(int(relief.levels.max())):
        filled = torch.clamp(height_m - layer * relief.step_m, 0.0, relief.step_m)
        medium, inside = (torch.fft.ifft2(torch.fft.fft2(wave) * hop) for hop in hops)
        wave = torch.where(filled > 0.5 * relief.step_m, inside, medium) * _phase(relief, filled)
    return wave


def _thick(relief: Relief) -> Tensor:
    height_m, grid = _sampled(relief)
    march = ThickRelief(
        grid,
        relief.wavelength_m,
        relief.index,
        relief.medium_index,
        depth_m=relief.depth_m,
        slices=int(relief.levels.max()),
        beyond_m=0.0,
    )
    shares = march.shares(height_m)
    behind: Tensor = march(torch.ones(grid.shape, dtype=torch.complex128), shares, march.mean_indices(shares))
    return behind


def _thin_error(relief: Relief, truth: FullWave) -> float:
    """Mean error of the thin mask in the best of 11 planes from the base to the top of the relief."""
    height_m, grid = _sampled(relief)
    spectrum = torch.fft.fft2(_phase(relief, height_m))
    wavelength_m = relief.wavelength_m / relief.medium_index
    errors = []
    for part in range(11):
        hop = _free_space(grid, wavelength_m, relief.depth_m * part / 10.0)
        errors.append(sum(order_error(_orders(torch.fft.ifft2(spectrum * hop), truth), truth)) / 2.0)
    return min(errors)


def compare(case: str, relief: Relief, aspect_ratio: float, harmonics: int) -> Row:
    """Errors of the three models on one relief.

    Raises:
        ArithmeticError: the full-wave solution does not conserve power.
    """
    truth = full_wave(relief, harmonics)
    if max(abs(balance - 1.0) for balance in truth.balance) > 1e-4:
        raise ArithmeticError(f"the full-wave power balance is {truth.balance}, not 1")
    two, thick = (order_error(_orders(model(relief), truth), truth) for model in (_two_indices, _thick))
    return Row(case, aspect_ratio, _thin_error(relief, truth), sum(two) / 2.0, sum(thick) / 2.0, thick)


def _harmonics(relief: Relief) -> int:
    """Half as many again as propagate, and 20: the amplitudes of a grating have settled to 0.5 %."""
    return int(1.5 * relief.period_m[1] / relief.wavelength_m) + 20


def table() -> list[Row]:
    """All reliefs at all aspect ratios; half a minute, most of it for the two-dimensional ones."""
    gratings: dict[str, Callable[[float], Relief]] = {"blazed": grating, "random": scattering_grating}
    rows = [
        compare(name, make(ratio), ratio, _harmonics(make(ratio)))
        for name, make in gratings.items()
        for ratio in ASPECT_RATIOS
    ]
    return rows + [compare("random 2-D", relief_2d(ratio), ratio, 6) for ratio in ASPECT_RATIOS]


def draw(rows: list[Row], path: Path) -> None:
    """Error over aspect ratio, one panel a relief."""
    from matplotlib.figure import Figure

    cases = list(dict.fromkeys(row.case for row in rows))
    figure = Figure(figsize=(3.2 * len(cases), 3.2), layout="constrained")
    for axes, case in zip(figure.subplots(1, len(cases), sharey=True), cases, strict=True):
        mine = [row for row in rows if row.case == case]
        ratios = [row.aspect_ratio for row in mine]
        axes.plot(ratios, [row.thin for row in mine], "o-", label="thin, best plane")
        axes.plot(ratios, [row.two_indices for row in mine], "s:", label="two indices")
        axes.plot(ratios, [row.bpm for row in mine], "^-", label="thick (split step)")
        axes.set(title=case, xlabel="depth / feature width", ylim=(0.0, 1.05 * max(row.thin for row in rows)))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("field error against full wave")
    figure.axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the table and draw docs/figures/thick-masks.png."""
    rows = table()
    print("relief      aspect  thin   two    thick  (thick: E along y, E along x)")
    for row in rows:
        each = "  ".join(f"{error:.3f}" for error in row.bpm_each)
        errors = f"{row.thin:.3f}  {row.two_indices:.3f}  {row.bpm:.3f}"
        print(f"{row.case:10s}  {row.aspect_ratio:6.1f}  {errors}  ({each})")
    draw(rows, Path("docs/figures/thick-masks.png"))


if __name__ == "__main__":
    main()
