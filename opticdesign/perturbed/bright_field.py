"""A bright-field microscope with the errors of draws.

A draw is the same microscope in another setting: out of focus by another way, with another objective, condenser or
wavelength, its mask made wrong or moved in the pupil. An objective of another aperture is one whose stop is wider; the
mask in its pupil stays as large as it is made. Where the camera is moved to compensate, its ways are those of the image
in the plane of the object.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from opticdesign.design import Design, material_of
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.bright_field import BrightFieldSystem, Setting
from opticdesign.optics.elements import phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.illumination import SourcePoints
from opticdesign.optics.straight_through import straight_through
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.masks import PerturbedMasks
from opticdesign.perturbed.sample import Sample

__all__ = ["PerturbedBrightField"]

_FIELDS = 4  # windows that one field needs while it is imaged


class PerturbedBrightField:
    """A bright-field microscope as draws make it.

    Args:
        design: says what it is made of.
        optics: the microscope as designed, on the device where to compute.
        process: makes the mask in its pupil.
        phases_rad: of the mask that it makes, (1, rows, columns), or none (0, …).
    """

    def __init__(
        self, design: Design, optics: BrightFieldSystem, process: FabricationProcess, phases_rad: Tensor
    ) -> None:
        self._design, self._optics = design, optics
        points = Grid((phases_rad.shape[-2], phases_rad.shape[-1]), optics.mask_pitch_m) if len(phases_rad) else None
        levels = process.level_of_phase(phases_rad)
        self._masks = None if points is None else PerturbedMasks(design, process, levels, points)

    def plans(self, dev: Deviations) -> list[tuple[int, int]]:
        """As of layers; there is nothing to leave out."""
        return [(0, 0)] * len(dev)

    def intensity(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Intensities in the image, (n, images, y, x), of draws.

        Args:
            sample: what light comes from.
            dev: the draws.
            learned: phase of the mask (1, rows, columns) that takes the gradient of the ones that are made of it.
        """
        fields = sample.at(dev.get("wavelength")).expand(len(dev), -1, -1, -1)
        masks = self._made(dev, learned)
        nominal = self._optics.setting()
        settings = (self._setting(nominal, dev, draw, masks) for draw in range(len(dev)))
        return torch.stack(
            [self._optics.seen_in(field, setting) for field, setting in zip(fields, settings, strict=True)]
        )

    def bytes_per_draw(self, images: int) -> int:
        """Memory that one draw takes with so many images at once."""
        planes = self._optics.source_plane.window, self._optics.target_plane.window
        return 8 * images * _FIELDS * max(math.prod(each) for each in planes)

    def _made(self, dev: Deviations, learned: Tensor | None) -> Tensor | None:
        """Transmissions of the squares of the mask, complex (n, rows, columns); None where there is no mask."""
        if self._masks is None:
            return None
        phases = self._masks.phases(dev)
        if learned is not None:
            phases = straight_through(learned.expand_as(phases), phases)
        transmissions: Tensor = phase_transmission(phases[:, 0])
        return transmissions

    def _setting(self, nominal: Setting, dev: Deviations, draw: int, masks: Tensor | None) -> Setting:
        """The setting of one draw."""

        def error(group: str) -> float:
            return float(dev[group].reshape(len(dev), -1)[draw, 0]) if dev.active(group) else 0.0

        def way(group: str) -> tuple[float, float]:
            along_y, along_x = dev[group].reshape(len(dev), -1)[draw].tolist() if dev.active(group) else (0.0, 0.0)
            return along_y, along_x

        wavelength_m = nominal.objective.wavelength_m * (1.0 + error("wavelength"))
        objective = replace(
            nominal.objective,
            wavelength_m=wavelength_m,
            index=material_of(self._design.fabrication.medium).index(wavelength_m),
            numerical_aperture=nominal.objective.numerical_aperture * (1.0 + error("aperture")),
        )
        return replace(
            nominal,
            objective=objective,
            source=SourcePoints(nominal.source.sines * (1.0 + error("coherence")), nominal.source.weights),
            defocus_m=nominal.defocus_m + error("gap") + error("refocus"),
            mask=None if masks is None else masks[draw],
            mask_shift_m=way("layer_shift"),
            image_shift_m=way("image_shift"),
        )
