"""The figure of an autoencoder study: quality against latent size, and some digits with their reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from opticdesign.figures.canvas import SMALL, new_figure, save_figure
from opticdesign.studies.autoencoders.networks import PAIRS, Domain
from opticdesign.studies.autoencoders.table import CONSTANT, PCA, AutoencoderResult, AutoencoderRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["autoencoder_figure", "draw_autoencoders"]

_SHIFT = 1.03  # latent sizes of one pair are drawn so much beside those of the next, that bars do not hide each other
_TITLES: dict[Domain, str] = {"image": "digits as images", "phase": "digits as phases, read as intensities"}


def draw_autoencoders(
    path: Path, result: AutoencoderResult, strips: Mapping[Domain, Mapping[str, Tensor]], latent: int
) -> Path:
    """Write `autoencoder_figure` of the other arguments as PNG."""
    return save_figure(path, autoencoder_figure(result, strips, latent))


def autoencoder_figure(result: AutoencoderResult, strips: Mapping[Domain, Mapping[str, Tensor]], latent: int) -> Figure:
    """For images and for phases: PSNR and SSIM against latent size, a line a pair, and reconstructed digits.

    Args:
        result: the table.
        strips: domain → name → images (n, y, x) on one scale, black 0 and white 1; the true digits first.
        latent: numbers in the code of these images.
    """
    note = ", quick (smoke budget)" if result.quick else ""
    title = f"{result.name}{note}: mean over seeds and test images, 95 % intervals"
    figure, axes = new_figure(2, 3, (15.0, 8.0), title)
    for place, domain in zip(axes, _TITLES, strict=True):
        _lines(place[0], result, domain, "psnr_db", f"PSNR / dB, {_TITLES[domain]}")
        _lines(place[1], result, domain, "ssim", f"SSIM, {_TITLES[domain]}")
        place[0].legend(fontsize=SMALL, framealpha=0.9)
        _strip(place[2], strips[domain], f"reconstructed from {latent} numbers, first seed")
    return figure


def _lines(
    axes: Axes, result: AutoencoderResult, domain: Domain, metric: Literal["psnr_db", "ssim"], title: str
) -> None:
    def means(rows: Sequence[AutoencoderRow]) -> list[float]:
        return [getattr(row, metric).mean for row in rows]

    names = [pair.name for pair in PAIRS if pair.domain == domain]
    for index, name in enumerate(names):
        rows = result.of(domain, name)
        places = [(row.latent or 0) * _SHIFT ** (index - 1.5) for row in rows]
        scores = [getattr(row, metric) for row in rows]
        bars = [[s.mean - s.low for s in scores], [s.high - s.mean for s in scores]]
        axes.errorbar(places, means(rows), bars, fmt=".-", capsize=2.5, linewidth=1.2, label=name)
    if rows := result.of(domain, PCA):
        axes.plot([row.latent or 0 for row in rows], means(rows), "k--", linewidth=1.0, label=PCA)
    for row in result.of(domain, CONSTANT):
        axes.axhline(getattr(row, metric).mean, color="0.5", linestyle=":", label=CONSTANT)
    sizes = sorted({row.latent for row in result.rows if row.latent is not None})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("numbers in the code", fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=SMALL)
    axes.grid(alpha=0.3)


def _strip(axes: Axes, images: Mapping[str, Tensor], title: str) -> None:
    """Rows of digits side by side, each row under its name."""
    height = next(iter(images.values())).shape[1]
    mosaic = torch.cat([torch.cat(list(row), dim=1) for row in images.values()])
    axes.imshow(mosaic.numpy(), cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([(index + 0.5) * height for index in range(len(images))], list(images), fontsize=SMALL)
    axes.set_title(title, fontsize=9)
