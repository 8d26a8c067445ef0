"""How well a microscope reconstructs: patches, whole fields, and the floors any design has to beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opticdesign.data import PhaseField
from opticdesign.fabrication import FabricationProcess
from opticdesign.metrics import blend_window, mae_free_rad, mae_rad, psnr_db, rescale, ssim
from opticdesign.randomness import numpy_stream, torch_stream
from opticdesign.system import Microscope

__all__ = ["METRICS", "FullField", "Score", "image_scores", "interval", "reconstruct", "reconstruct_field", "summarise"]

METRICS = ("psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad")
_BATCH = 8


@dataclass(frozen=True)
class Score:
    """A mean over images with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class FullField:
    """A whole field put together from overlapping tiles: phase over 2π, target and valid area, each (y, x)."""

    name: str
    image: Tensor
    target: Tensor
    valid: Tensor


def image_scores(image: Tensor, target: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
    """Every metric of images against targets, phase over 2π (batch, y, x): name → (batch,)."""
    return {
        "psnr_db": psnr_db(image, target, weight),
        "ssim": ssim(image, target, weight),
        "ssim_rescaled": ssim(rescale(image), rescale(target), weight),
        "mae_rad": mae_rad(image, target, weight),
        "mae_free_rad": mae_free_rad(image, target, weight),
    }


def reconstruct(
    microscope: Microscope, fields: Tensor, process: FabricationProcess | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Camera readings and phase over 2π of complex fields (batch, y, x), with true Poisson and read noise.

    The same fields and seed give the same noise.
    """
    device = next(microscope.parameters()).device
    microscope.eval()
    readings, images = [], []
    with torch.no_grad():
        for start in range(0, len(fields), _BATCH):
            noise = torch_stream(seed, "evaluation noise", start)
            reading = microscope.read(fields[start : start + _BATCH].to(device), process, noise)
            readings.append(reading.cpu())
            images.append(microscope.decoder(reading).cpu())
    return torch.cat(readings), torch.cat(images)


def reconstruct_field(
    microscope: Microscope, field: PhaseField, process: FabricationProcess | None, overlap: int, seed: int
) -> FullField:
    """Reconstruct a whole field from tiles of the microscope's size that share `overlap` samples and blend there.

    Each tile is imaged by itself, as when a stage moves the sample. A last tile that would stick out is moved inward.
    No camera sees the constant phase of a tile, so the decoder's guesses of it are first made to agree where tiles
    overlap; their mean stays.
    """
    ny, nx = microscope.optics.grid.shape
    origins = [
        (y, x) for y in _tile_starts(field.shape[0], ny, overlap) for x in _tile_starts(field.shape[1], nx, overlap)
    ]
    complex_field = torch.polar(torch.from_numpy(field.amplitude), torch.from_numpy(field.phase_rad))
    tiles = torch.stack([complex_field[y : y + ny, x : x + nx] for y, x in origins])
    _, images = reconstruct(microscope, tiles, process, seed)
    images = images + _agreeing_offsets(images, origins)[:, None, None]
    window = blend_window(ny, overlap)[:, None] * blend_window(nx, overlap)[None, :]
    window = window.clamp(min=1e-6)  # the outermost samples are covered by one tile only
    total, weight = torch.zeros(field.shape, dtype=torch.float64), torch.zeros(field.shape, dtype=torch.float64)
    for (y, x), image in zip(origins, images, strict=True):
        total[y : y + ny, x : x + nx] += window * image
        weight[y : y + ny, x : x + nx] += window
    target = torch.from_numpy(field.phase_rad) / (2.0 * math.pi)
    return FullField(field.name, (total / weight).to(torch.float32), target, torch.from_numpy(field.valid))


def _agreeing_offsets(images: Tensor, origins: Sequence[tuple[int, int]]) -> Tensor:
    """Constants (tiles,) of mean zero that, added to tiles (tiles, y, x), make them agree best where they overlap.

    Least squares over all pairs that overlap, each with the weight of the samples it shares.
    """
    ny, nx = images.shape[-2:]
    rows, differences = [torch.ones(len(origins))], [torch.zeros(())]
    for i, (yi, xi) in enumerate(origins):
        for j, (yj, xj) in enumerate(origins[:i]):
            height, width = ny - abs(yi - yj), nx - abs(xi - xj)
            if height <= 0 or width <= 0:
                continue
            first = images[i, max(yj - yi, 0) :, max(xj - xi, 0) :][:height, :width]
            second = images[j, max(yi - yj, 0) :, max(xi - xj, 0) :][:height, :width]
            row = torch.zeros(len(origins))
            row[i], row[j] = 1.0, -1.0
            weight = math.sqrt(height * width)
            rows.append(row * weight)
            differences.append((second - first).mean() * weight)
    solution: Tensor = torch.linalg.lstsq(torch.stack(rows), torch.stack(differences)[:, None]).solution
    return solution[:, 0]


def _tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First samples of tiles that cover a length, the last one ending exactly on it."""
    count = max(1, math.ceil((length - overlap) / (tile - overlap)))
    return [min(index * (tile - overlap), length - tile) for index in range(count)]


def interval(values: Sequence[float], seed: int) -> Score:
    """Mean of some values with a 95 % percentile-bootstrap interval of 2000 resamples."""
    data = np.asarray(values, dtype=np.float64)
    picks = numpy_stream(seed, "bootstrap").integers(len(data), size=(2000, len(data)))
    low, high = np.percentile(data[picks].mean(axis=1), [2.5, 97.5])
    return Score(float(data.mean()), float(low), float(high))


def summarise(scores: dict[str, Tensor], seed: int) -> dict[str, Score]:
    """Mean and interval of each metric."""
    return {name: interval(values.tolist(), seed) for name, values in scores.items()}
