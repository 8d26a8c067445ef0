"""Diffraction orders of a small periodic relief from Maxwell's equations, by rigorous coupled-wave analysis.

The solver is meent (MIT licence, https://github.com/kc-ml2/meent), a test extra. Its time factor is e^{+iωt}, so its
amplitudes are conjugated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FullWave", "Relief", "full_wave", "order_error"]

Complex = NDArray[np.complex128]

# a trace of absorption settles which way a mode travels; without it the solver's square roots pick some modes backwards
_ABSORPTION = 1e-7


@dataclass(frozen=True)
class Relief:
    """A periodic relief of index n on a half-space of the same material, facing along the light, in a medium.

    Args:
        levels: height in steps, (y, x); one row for a grating.
        step_m: height of a step in metres.
        pixel_m: width of a pixel in metres.
        wavelength_m: vacuum wavelength in metres.
        index: refractive index of the material.
        medium_index: refractive index of the medium.
    """

    levels: NDArray[np.int64]
    step_m: float
    pixel_m: float
    wavelength_m: float
    index: float
    medium_index: float

    @property
    def depth_m(self) -> float:
        """Height of the highest pixel in metres."""
        return float(self.levels.max() * self.step_m)

    @property
    def period_m(self) -> tuple[float, float]:
        """Period along y and x in metres."""
        rows, columns = self.levels.shape
        return rows * self.pixel_m, columns * self.pixel_m


@dataclass(frozen=True)
class FullWave:
    """Propagating orders behind a relief under a plane wave at normal incidence, at the plane z = depth.

    Args:
        order_y: order numbers along y, (orders,).
        order_x: order numbers along x, (orders,).
        amplitude: (2 polarisations along y and x, 2 components s and p, orders), over that of a flat face; squared
            magnitudes are efficiencies, and the carrier of the medium is left out.
        projection: components s and p of a scalar wave of amplitude 1 in each polarisation, same shape, real.
        balance: reflected and transmitted power over the incident one, for each polarisation.
    """

    order_y: NDArray[np.int64]
    order_x: NDArray[np.int64]
    amplitude: Complex
    projection: NDArray[np.float64]
    balance: tuple[float, float]


def order_error(scalar: Complex, truth: FullWave) -> tuple[float, float]:
    """Relative error ‖a − a_full‖/‖a_full‖ of scalar order amplitudes (orders,), for light polarised along y and x."""
    difference = np.linalg.norm(truth.amplitude - truth.projection * scalar, axis=(1, 2))
    along_y, along_x = difference / np.linalg.norm(truth.amplitude, axis=(1, 2))
    return float(along_y), float(along_x)


def full_wave(relief: Relief, harmonics: int) -> FullWave:
    """Solve Maxwell's equations for a relief, with orders −harmonics … harmonics along each axis that has structure."""
    grating = relief.levels.shape[0] == 1
    solved = [_solve(relief, harmonics, polarisation, grating) for polarisation in (0, 1)]
    span = np.arange(-harmonics, harmonics + 1)
    order_y, order_x = (a.ravel() for a in np.meshgrid([0] if grating else span, span, indexing="ij"))
    fy, fx = (order / period for order, period in zip((order_y, order_x), relief.period_m, strict=True))
    cosine2 = 1.0 - (fx**2 + fy**2) * (relief.wavelength_m / relief.medium_index) ** 2
    kept = cosine2 > 0.0
    azimuth = np.arctan2(fy, fx)[kept]
    # the solver turns its s and p axes by arctan(ky/kx); the pair's sign drops out of a projection and its amplitude
    along_s = np.stack([np.cos(azimuth), -np.sin(azimuth)])
    along_p = np.stack([np.sin(azimuth), np.cos(azimuth)])
    flipped = np.where(np.cos(azimuth) < -1e-9, -1.0, 1.0)
    projection = np.stack([along_s, along_p], axis=1) * flipped
    amplitude = np.stack([waves[:, kept] for waves, _ in solved]) * np.sqrt(cosine2[kept])
    flat = 2.0 * relief.index / (relief.index + relief.medium_index)
    carrier = np.exp(-2j * np.pi * relief.medium_index * relief.depth_m / relief.wavelength_m)
    return FullWave(
        order_y[kept], order_x[kept], amplitude * (carrier / flat), projection, (solved[0][1], solved[1][1])
    )


def _solve(relief: Relief, harmonics: int, polarisation: int, grating: bool) -> tuple[Complex, float]:
    """Amplitudes s and p of all orders (2, orders), rows of orders along y, and the power balance."""
    import meent

    period_y, period_x = (period * 1e9 for period in relief.period_m)
    cell = np.stack(
        [
            # the solver counts y upwards from the last row
            np.where(relief.levels[::-1] > layer, relief.index - 1j * _ABSORPTION, relief.medium_index)
            for layer in range(int(relief.levels.max()))
        ]
    )
    solver: Any = meent.call_mee(
        backend=0,
        n_top=relief.index,
        n_bot=relief.medium_index,
        theta=0.0,
        phi=None if grating else 0.0,
        pol=polarisation,
        fto=[harmonics, 0 if grating else harmonics],
        period=[period_x, period_y],
        wavelength=relief.wavelength_m * 1e9,
        ucell=cell,
        thickness=[relief.step_m * 1e9] * len(cell),
        fourier_type=1,
    )
    result = solver.conv_solve().res
    # p amplitudes are those of H: a grating's over the incident H, the others with E = −iH and light sent in as −E
    to_electric = relief.index / relief.medium_index if grating else -1j / relief.medium_index
    sent = -1.0 if polarisation == 1 and not grating else 1.0
    waves = np.array([result.T_s.ravel().conj(), result.T_p.ravel().conj() * to_electric], dtype=np.complex128) / sent
    return waves, float((result.de_ri + result.de_ti).sum())
