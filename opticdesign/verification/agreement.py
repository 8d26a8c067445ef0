"""Whether exported files are as large as the optics, and whether an independent model sees the same light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from opticdesign.data import PatchSet
from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.handover.export import ExporterCheck, Extent, ReadBack
from opticdesign.instrument.family import as_learned
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import BATCH, evaluation_noise
from opticdesign.learning.evaluation import image_scores
from opticdesign.units import format_length
from opticdesign.verification.second_opinion import MaskInFile, SecondOpinion, mask_size_m, second_opinion

__all__ = ["IndependentModel", "independent_models", "size_problems", "unscaled"]

_TENTH = 0.1  # of a pixel that a mask may be too large or too far off
_ALIKE = 1e-3  # of a pixel, within which masks are one mask
Pair = tuple[float, float]


@dataclass(frozen=True)
class IndependentModel:
    """What an independent model says of the masks in some files, beside what the trained one says of them.

    Args:
        exporters: the formats whose files hold these masks.
        metrics: by the independent model, means over the patches by name.
        trained: by the trained one, on the same patches and with the same noise.
        reading_error: difference of the camera's noiseless reading, rms over its rms.
        intensity_error: that of the intensity at the samples of the image.
        patches: how many.
        how: how the independent model computed.
        pointlike: whether the design asks by name for neurons that are points, which no file holds.
    """

    exporters: tuple[str, ...]
    metrics: dict[str, float]
    trained: dict[str, float]
    reading_error: float
    intensity_error: float
    patches: int
    how: str
    pointlike: bool

    @property
    def change_db(self) -> float:
        """PSNR by the independent model less that by the trained one."""
        return self.metrics["psnr_db"] - self.trained["psnr_db"]

    def problem(self, agree_db: float) -> str | None:
        """What is wrong where the two differ by more than so many decibels; a model of points may."""
        if self.pointlike or abs(self.change_db) <= agree_db:
            return None
        return (
            f"{', '.join(self.exporters)}: an independent model of the masks in these files gives "
            f"{self.metrics['psnr_db']:.2f} dB, the trained model {self.trained['psnr_db']:.2f} dB "
            f"(camera reading off by {self.reading_error:.1%} rms); they may differ by {agree_db:g} dB: "
            "see `check --deep`, and lower optics.accuracy or leave optics.samples and optics.padding to it"
        )


def size_problems(design: Design, checks: Sequence[ExporterCheck]) -> Iterator[str]:
    """Masks that are not as large as the design's optics, or not in their middle, to a tenth of a pixel."""
    expected_m = mask_size_m(design)
    for check in checks:
        if (found := check.readback) is None:
            continue
        pixel_m = _pixel_m(design, found)
        for layer, (file, extent) in enumerate(zip(found.files, found.extents, strict=False), start=1):
            if extent is None:
                continue
            if _apart(extent.size_m, expected_m, pixel_m) > _TENTH:
                yield (
                    f"{file}: layer {layer} is {_sides(extent.size_m)} (y × x), expected {_sides(expected_m)}, "
                    "the aperture of the optics"
                )
            if _apart(extent.offset_m, (0.0, 0.0), pixel_m) > _TENTH:
                yield (
                    f"{file}: layer {layer} lies {_sides(extent.offset_m)} (y × x) beside its place, "
                    f"expected within {_sides((_TENTH * pixel_m[0], _TENTH * pixel_m[1]))}"
                )


def unscaled(checks: Sequence[ExporterCheck]) -> list[str]:
    """The formats of which no size was read: they hold none, or too little is drawn in them."""
    read = [(check.exporter, check.readback) for check in checks if check.readback is not None]
    return [name for name, found in read if not found.extents or None in found.extents]


def independent_models(
    design: Design,
    microscope: Microscope,
    checks: Sequence[ExporterCheck],
    amplitudes: Tensor | None,
    halftone: int,
    shown: PatchSet,
) -> Iterator[IndependentModel]:
    """The opinions on all masks that were read, one for formats that hold the same.

    Args:
        design: the instrument.
        microscope: the trained one, whose masks are replaced.
        checks: what was read.
        amplitudes: of the chrome as designed (layers, y, x), for formats of heights alone; None where there is none.
        halftone: cells along a pixel of half-toned chrome.
        shown: the patches to look at.

    Raises:
        UsageError: planes too large for an independent model.
    """
    groups: list[tuple[list[str], ReadBack, list[MaskInFile]]] = []
    for check in checks:
        if (found := check.readback) is None:
            continue
        masks, pixel_m = _masks(design, found, amplitudes, halftone), _pixel_m(design, found)
        same = next((names for names, _, others in groups if _alike(masks, others, pixel_m)), None)
        if same is None:
            groups.append(([check.exporter], found, masks))
        else:
            same.append(check.exporter)
    for names, found, masks in groups:
        yield _compared(design, microscope, tuple(names), found, masks, shown)


def _compared(
    design: Design,
    microscope: Microscope,
    names: tuple[str, ...],
    found: ReadBack,
    masks: list[MaskInFile],
    shown: PatchSet,
) -> IndependentModel:
    microscope.optics.set_phases_rad(torch.from_numpy(found.phase_rad))
    absorbing = [mask.amplitude for mask in masks if mask.amplitude is not None]
    if absorbing:
        microscope.optics.set_amplitudes(torch.from_numpy(np.stack(absorbing)).float())
    opinion = _opinion(as_learned(design, microscope.optics), masks, shown.fields.numpy())
    device = next(microscope.parameters()).device
    with torch.no_grad():
        batches = [microscope.optics.intensity(part.to(device)) for part in torch.split(shown.fields, BATCH)]
    trained = torch.cat(batches)
    independent = torch.from_numpy(opinion.intensity).to(trained)
    scores, readings = zip(*(_seen(microscope, each, shown, design) for each in (independent, trained)), strict=True)
    return IndependentModel(
        exporters=names,
        metrics=scores[0],
        trained=scores[1],
        reading_error=_error(*readings),
        intensity_error=_error(independent, trained),
        patches=len(trained),
        how=opinion.how,
        pointlike=design.optics.pointlike,
    )


def _opinion(design: Design, masks: list[MaskInFile], fields: npt.NDArray[np.complexfloating]) -> SecondOpinion:
    """Of all fields at once, or one by one where memory does not hold as many."""
    try:
        return second_opinion(design, masks, fields)
    except UsageError:
        each = [second_opinion(design, masks, field[None]) for field in fields]
        return each[0]._replace(intensity=np.concatenate([one.intensity for one in each]))


@torch.no_grad()
def _seen(
    microscope: Microscope, intensity: Tensor, shown: PatchSet, design: Design
) -> tuple[dict[str, float], Tensor]:
    """Mean metrics of light on the camera (n, y, x), with the noise of an evaluation, and the reading without noise."""
    microscope.eval()
    images = []
    for number, part in enumerate(torch.split(intensity, BATCH)):
        noise = evaluation_noise(design.training.seed, number * BATCH)
        images.append(microscope.decode(microscope.detector(part, noise)).cpu())
    scores = image_scores(torch.cat(images), shown.targets)
    return {name: float(values.mean()) for name, values in scores.items()}, microscope.detector(intensity)


def _masks(design: Design, found: ReadBack, amplitudes: Tensor | None, halftone: int) -> list[MaskInFile]:
    """Masks where a file says they are, or where the design has them if it does not."""
    extents: Sequence[Extent | None] = found.extents or [None] * len(found.files)
    shares = None if amplitudes is None else amplitudes.double().cpu().numpy()
    if found.openings is not None:
        shares = found.openings / halftone**2
    masks = []
    for layer, (phase, extent) in enumerate(zip(found.phase_rad, extents, strict=True)):
        size_m, offset_m = extent or Extent(mask_size_m(design))
        masks.append(MaskInFile(phase.astype(np.float64), size_m, offset_m, None if shares is None else shares[layer]))
    return masks


def _alike(one: list[MaskInFile], other: list[MaskInFile], pixel_m: Pair) -> bool:
    return all(
        np.array_equal(a.transmission, b.transmission)
        and _apart(a.size_m, b.size_m, pixel_m) <= _ALIKE
        and _apart(a.offset_m, b.offset_m, pixel_m) <= _ALIKE
        for a, b in zip(one, other, strict=True)
    )


def _apart(one: Pair, other: Pair, pixel_m: Pair) -> float:
    """Larger of the distances along y and x, in pixels."""
    return max(abs(a - b) / pixel for a, b, pixel in zip(one, other, pixel_m, strict=True))


def _pixel_m(design: Design, found: ReadBack) -> Pair:
    height_m, width_m = mask_size_m(design)
    _, rows, columns = found.levels.shape
    return height_m / rows, width_m / columns


def _error(received: Tensor, expected: Tensor) -> float:
    return float(torch.linalg.vector_norm(received - expected) / torch.linalg.vector_norm(expected))


def _sides(lengths_m: Pair) -> str:
    return " × ".join(map(format_length, lengths_m))
