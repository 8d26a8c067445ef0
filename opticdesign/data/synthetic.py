"""Synthetic adherent cells: phase objects that look like a confluent HeLa layer, from a seed and no file.

Lengths inside are in micrometres, the scale of the cells. The shapes are drawn as thickness and become phase by
φ = 2π Δn h/λ, with the index contrast Δn of cytoplasm in medium.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.phase_field import PhaseField
from opticdesign.errors import UsageError

__all__ = ["synthetic_field"]

Image = NDArray[np.float64]

INDEX_CONTRAST = 0.03  # cytoplasm 1.36 to 1.37 in a medium of 1.335; B. Rappaz et al., doi:10.1364/OPEX.13.009361
SPACING_UM = 42.0  # between neighbouring cells of a confluent layer
COARSEST_PITCH_UM = 5.0  # a nucleus is some 18 µm across
RESOLUTION_UM = 0.26  # standard deviation of the imaging blur of the microscope that is imitated
ABSORPTION_PER_UM = 0.003  # of the amplitude


Profile = Callable[[Image], Image]


def _sheet(s: Image) -> Image:
    """A spread cell: flat, thin at its rim."""
    return 1.0 - np.clip(s, 0.0, 1.0) ** 2


def _plate(s: Image) -> Image:
    """A gap in a cell: flat, with a clear edge."""
    return 1.0 - np.clip(s, 0.0, 1.0) ** 4


def _dome(s: Image) -> Image:
    """A nucleus: round, with a visible rim."""
    return np.sqrt(np.clip(1.0 - s, 0.0, None))


def _mound(s: Image) -> Image:
    """Cytoplasm heaped up around the nucleus, 0.0003 of its height at two semi-axes."""
    return np.exp(-2.0 * s)


@dataclass(frozen=True)
class _Blobs:
    """Ellipses in micrometres, arrays of one length: centre, semi-axes, orientation, thickness."""

    y: Image
    x: Image
    long: Image
    short: Image
    angle: Image
    height: Image


@dataclass(frozen=True)
class _Canvas:
    """Where to draw: pixel coordinates in micrometres, bent by a random warp so that no outline is an ellipse."""

    y: Image
    x: Image
    pitch: float
    warp: float  # the largest shift of the warp

    def draw(self, blobs: _Blobs, profile: Profile, extent: float = 1.0) -> Image:
        """Thickness of all blobs, neighbours melting into each other (cubic norm).

        `profile` gives the relative thickness at the squared elliptical radius; it ends at `extent` semi-axes.
        """
        total = np.zeros(self.y.shape)
        for y, x, long, short, angle, height in zip(*vars(blobs).values(), strict=True):
            reach = extent * long + self.warp
            rows, columns = (
                slice(max(0, int((centre - reach) / self.pitch)), max(0, int((centre + reach) / self.pitch) + 2))
                for centre in (y, x)
            )
            dy, dx = self.y[rows, columns] - y, self.x[rows, columns] - x
            along = (dx * np.cos(angle) + dy * np.sin(angle)) / long
            across = (dy * np.cos(angle) - dx * np.sin(angle)) / short
            total[rows, columns] += (height * profile(along**2 + across**2)) ** 3
        return np.cbrt(total)


def synthetic_field(shape: tuple[int, int], pitch_m: float, wavelength_m: float, seed: int) -> PhaseField:
    """One field of adherent cells: bodies, nuclei with nucleoli, granules, band-limited texture, uneven background.

    The same arguments give the same field. The phase is not negative and peaks at some 3 to 5 rad in visible light;
    the amplitude lies in 0.95 … 1.

    Args:
        shape: rows and columns in pixels.
        pitch_m: pixel pitch in metres, at most 5 µm: coarser pixels hold no cell.
        wavelength_m: vacuum wavelength in metres.
        seed: 0 or more.

    Raises:
        UsageError: a shape, pitch, wavelength or seed out of range.
    """
    pitch = pitch_m * 1e6
    if min(shape) < 1 or not 0.0 < pitch <= COARSEST_PITCH_UM or not wavelength_m > 0.0 or seed < 0:
        raise UsageError(
            f"synthetic cells of {shape[0]} × {shape[1]} pixels, pitch {pitch:.4g} µm, "
            f"wavelength {wavelength_m * 1e6:.4g} µm, seed {seed}",
            expected=f"1 pixel or more, a pitch up to {COARSEST_PITCH_UM:g} µm, a wavelength above 0, a seed from 0",
            remedy='use data.kind = "folder" for samples of another scale',
        )
    rng = np.random.default_rng(seed)
    thickness = _thickness(shape, pitch, rng)
    phase = 2.0 * np.pi * INDEX_CONTRAST * thickness / (wavelength_m * 1e6)
    amplitude = np.clip(np.exp(-ABSORPTION_PER_UM * thickness), 0.95, 1.0)
    return PhaseField(
        f"synthetic {seed}", phase.astype(np.float32), amplitude.astype(np.float32), np.ones(shape, np.bool_)
    )


def _thickness(shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> Image:
    """Optical thickness in micrometres of cytoplasm, not negative."""
    outline, inside = _canvases(shape, pitch, rng)
    cells = _cells(shape, pitch, rng)
    nuclei = _nuclei(cells, rng)
    dome = inside.draw(nuclei, _dome)
    gaps = np.where(dome > 0.0, 0.0, inside.draw(_gaps(cells, rng), _plate))
    sheet = outline.draw(cells, _sheet) * (1.0 - np.minimum(gaps, 0.9))
    mound = outline.draw(_scaled(nuclei, 1.9, 0.8), _mound, extent=2.0)
    texture = 1.0 + 0.05 * _noise(shape, pitch, 0.6, rng) + 0.06 * _noise(shape, pitch, 2.0, rng)
    body = (sheet + mound + outline.draw(_fibres(cells, rng), _dome)) * texture
    nucleus = dome * (1.0 + 0.04 * _noise(shape, pitch, 0.7, rng))
    organelles = inside.draw(_nucleoli(nuclei, rng), _dome) + _granules(shape, pitch, mound, rng)
    background = 0.25 * _noise(shape, pitch, 60.0, rng)
    cells_alone = np.maximum(_smooth(body + nucleus + organelles, pitch, RESOLUTION_UM), 0.0)
    return np.asarray(cells_alone + background - background.min())


def _canvases(shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> tuple[_Canvas, _Canvas]:
    """A strongly warped canvas for cell outlines, and a gently warped one for what lies inside the cells."""
    y, x = np.meshgrid(*(np.arange(n) * pitch for n in shape), indexing="ij")
    broad = np.stack([_noise(shape, pitch, 9.0, rng) for _ in range(2)])
    fine = np.stack([_noise(shape, pitch, 2.5, rng) for _ in range(2)])
    warps = 3.5 * broad + 0.7 * fine, 1.2 * broad + 0.1 * fine
    outline, inside = (_Canvas(y + warp[0], x + warp[1], pitch, float(np.abs(warp).max())) for warp in warps)
    return outline, inside


def _cells(shape: tuple[int, int], pitch: float, rng: np.random.Generator) -> _Blobs:
    """Cells on a jittered hexagonal lattice that reaches one cell beyond the field."""
    rows, columns = (int(n * pitch / SPACING_UM) + 4 for n in shape)
    j, i = np.meshgrid(np.arange(rows) - 1.5, np.arange(columns) - 1.5, indexing="ij")
    offset = rng.uniform(-0.5, 0.5, 2)
    jitter = rng.uniform(-0.35, 0.35, (2, j.size))
    stretch = rng.uniform(1.0, 3.0, j.size) ** 0.5
    size = rng.uniform(0.5, 0.8, j.size) * SPACING_UM
    return _Blobs(
        (j.ravel() + offset[0] + jitter[0]) * SPACING_UM,
        (i.ravel() + 0.5 * (j.ravel() % 2.0) + offset[1] + jitter[1]) * SPACING_UM,
        size * stretch,
        size / stretch,
        rng.uniform(0.0, np.pi, j.size),
        rng.uniform(2.0, 3.8, j.size),
    )


def _nuclei(cells: _Blobs, rng: np.random.Generator) -> _Blobs:
    """One nucleus a cell, off its centre, along its axis."""
    count = cells.y.size
    shift = rng.uniform(-0.2, 0.2, (2, count)) * cells.short
    size = rng.uniform(8.5, 11.5, count)
    stretch = rng.uniform(1.0, 1.7, count) ** 0.5
    height = rng.uniform(2.0, 4.0, count)
    return _Blobs(cells.y + shift[0], cells.x + shift[1], size * stretch, size / stretch, cells.angle, height)


def _scaled(blobs: _Blobs, size: float, height: float) -> _Blobs:
    return _Blobs(blobs.y, blobs.x, blobs.long * size, blobs.short * size, blobs.angle, blobs.height * height)


def _scattered(
    around: _Blobs,
    copies: int,
    distance: tuple[float, float],
    size: tuple[float, float],
    height: tuple[float, float],
    rng: np.random.Generator,
) -> _Blobs:
    """`copies` small ellipses around each blob, at `distance` (in its semi-axes), of that size and height."""
    y, x, long, short, angle = (
        np.repeat(a, copies) for a in (around.y, around.x, around.long, around.short, around.angle)
    )
    direction = rng.uniform(0.0, 2.0 * np.pi, y.size)
    along, across = rng.uniform(*distance, y.size) * (long * np.cos(direction), short * np.sin(direction))
    semi = rng.uniform(*size, y.size)
    return _Blobs(
        y + along * np.sin(angle) + across * np.cos(angle),
        x + along * np.cos(angle) - across * np.sin(angle),
        semi,
        semi * rng.uniform(0.6, 1.0, y.size),
        rng.uniform(0.0, np.pi, y.size),
        rng.uniform(*height, y.size),
    )


def _nucleoli(nuclei: _Blobs, rng: np.random.Generator) -> _Blobs:
    return _scattered(nuclei, 3, (0.1, 0.6), (1.0, 2.4), (0.4, 1.8), rng)


def _gaps(cells: _Blobs, rng: np.random.Generator) -> _Blobs:
    """Thin round places at the rims of cells; the height is the share of the sheet that is missing."""
    return _scattered(cells, 3, (0.6, 1.0), (3.0, 8.0), (0.2, 0.7), rng)


def _fibres(cells: _Blobs, rng: np.random.Generator) -> _Blobs:
    """Retraction fibres: long and thin, near the rims."""
    fibres = _scattered(cells, 3, (0.5, 1.0), (6.0, 22.0), (0.3, 0.9), rng)
    return replace(fibres, short=rng.uniform(0.5, 1.3, fibres.short.size))


def _granules(shape: tuple[int, int], pitch: float, mound: Image, rng: np.random.Generator) -> Image:
    """Lipid drops and vesicles, in clouds around the nuclei: points of random strength, blurred to their size."""
    cloud = np.clip(0.6 + 0.6 * _noise(shape, pitch, 4.0, rng), 0.0, None)
    density = 0.006 + 0.12 * cloud * np.clip(mound, 0.0, 1.0)  # a square micrometre
    points = rng.poisson(density * pitch**2) * rng.normal(1.4, 1.0, shape)
    return _smooth(points / pitch**2, pitch, 0.46)


def _noise(shape: tuple[int, int], pitch: float, sigma: float, rng: np.random.Generator) -> Image:
    """White noise blurred to the standard deviation `sigma`, periodic, scaled to unit variance in the mean.

    The spectrum is exp(−2π²σ²f²); by Parseval its mean square is the variance it leaves.
    """
    fy, fx = np.fft.fftfreq(shape[0], pitch)[:, np.newaxis], np.fft.fftfreq(shape[1], pitch)
    transfer = np.exp(-2.0 * (np.pi * sigma) ** 2 * (fy**2 + fx**2))
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * transfer[:, : shape[1] // 2 + 1]
    noise: Image = np.fft.irfft2(spectrum, shape)
    return np.asarray(noise / np.sqrt(np.mean(transfer**2)))


def _smooth(image: Image, pitch: float, sigma: float) -> Image:
    """Gaussian blur of standard deviation `sigma`, the edge repeated outwards."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image, sigma / pitch, mode="nearest"), np.float64)
