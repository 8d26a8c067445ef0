"""A bright-field microscope out of focus."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from opticdesign.data.readers import open_contents
from opticdesign.design import BrightFieldOptics, Design, material_of
from opticdesign.errors import DataError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.bright_field import BrightFieldSystem, Objective, Setting
from opticdesign.instrument.building import object_margin, starting_phases
from opticdesign.instrument.check import Check, graded
from opticdesign.instrument.checks import camera_check, illumination_check, mask_checks
from opticdesign.optics.abbe import depth_of_field_m
from opticdesign.optics.detectors import mean_bins
from opticdesign.optics.field import Grid, phasor
from opticdesign.optics.hop import Hop
from opticdesign.optics.illumination import SourcePoints, lamps, ringed_condenser
from opticdesign.optics.transfer import number
from opticdesign.perturbed.bright_field import PerturbedBrightField
from opticdesign.perturbed.hops import Way
from opticdesign.perturbed.optics import PerturbedFamily
from opticdesign.randomness import torch_stream
from opticdesign.units import format_length
from opticdesign.verification.bright_field import behind_objective
from opticdesign.verification.mask_in_file import Effort, Fields, MaskInFile, SecondOpinion
from opticdesign.verification.second_opinion import VerifiedFamily

__all__ = ["BrightFields", "source_of"]

_MOST_POINTS = 4096  # of a source
_RINGS = 12  # of a source that are tried
_TRIED = 64  # samples along the side of the object that they are tried on
_REFERENCE = 16  # rings that are taken for right
_OF_LEARNED = 0.01  # accuracy of the reading by points that learn
_SHALLOW = 0.25  # of the depth of field, within which next to nothing of a phase is seen


class BrightFields(
    PerturbedFamily[BrightFieldOptics, BrightFieldSystem], VerifiedFamily[BrightFieldOptics, BrightFieldSystem]
):
    """Bright-field microscopes, whose defocus, source and pupil may learn."""

    def build(self, design: Design, optics: BrightFieldOptics) -> BrightFieldSystem:
        """The microscope with what it starts from.

        Raises:
            DataError: a source's file cannot be read.
        """
        mask = None
        if optics.masks:
            shape = (optics.mask_points, optics.mask_points)
            mask = starting_phases(optics.start or "rippled", shape, torch_stream(design.training.seed, "start"))
        image = Grid(optics.shape, (optics.pitch, optics.pitch))
        (ny, nx), (my, mx) = image.shape, object_margin(design)
        return BrightFieldSystem(
            image,
            Setting(_objective(design, optics), source_of(design, optics), optics.defocus),
            None if optics.surroundings == "repeat" else image.with_shape((ny + 2 * my, nx + 2 * mx)),
            endless=optics.surroundings == "neighbours",
            learn=optics.learn,
            mask_phase_rad=mask,
            keep_source=optics.source == "image",
        )

    def as_learned(self, optics: BrightFieldOptics, system: BrightFieldSystem) -> BrightFieldOptics:
        """The defocus that was learned, and the source as lamps."""
        found: dict[str, object] = {}
        if "defocus" in optics.learn:
            found["defocus"] = number(system.defocus_m)
        if "source" in optics.learn or optics.source == "image":
            source = system.source
            places = (source.sines / optics.condenser_na).tolist()
            powers = tuple(source.weights.detach().tolist())
            found |= {"source": "lamps", "lamps": tuple(map(tuple, places)), "powers": powers}
            found |= {"inner": None, "image": None}
        return optics.model_copy(update=found)

    def checks(self, design: Design, optics: BrightFieldOptics) -> Iterator[Check]:  # noqa: D102 (documented on the base)
        light = "coherent light along the axis" if optics.coherence == 0.0 else "light of a condenser"
        yield illumination_check(design, "the object's mean beyond", light)
        yield _condenser(design, optics)
        yield from _objective_checks(design, optics)
        yield _defocus(design, optics)
        if optics.masks:
            pitch_m = min(self.build(design, optics).mask_pitch_m)
            yield from mask_checks(design, pitch_m, part="square of the mask", wider="fewer optics.mask_points")
        yield _camera_band(design, optics)
        yield camera_check(design)

    def perturbed(  # noqa: D102 (documented on the base)
        self,
        design: Design,
        system: BrightFieldSystem,
        process: FabricationProcess,
        phases_rad: Tensor,
        crossed: int | None,  # noqa: ARG002 (there is one mask at most)
        ways: dict[Hop, Way] | None,  # noqa: ARG002 (there are no hops)
    ) -> PerturbedBrightField:
        return PerturbedBrightField(design, system, process, phases_rad)

    def second_opinion(  # noqa: D102 (documented on the base)
        self,
        design: Design,
        optics: BrightFieldOptics,
        masks: Sequence[MaskInFile],
        fields: Fields,
        effort: Effort,  # noqa: ARG002 (no window, and as many nodes as waves ask for)
    ) -> SecondOpinion:
        return behind_objective(design, optics, masks, fields)


def source_of(design: Design, optics: BrightFieldOptics) -> SourcePoints:
    """The points of a microscope's source.

    Raises:
        DataError: a file of grey values cannot be read.
    """
    if optics.source == "lamps":
        places = torch.tensor(optics.lamps, dtype=torch.float64)
        powers = torch.tensor(optics.powers or (1.0,) * len(places), dtype=torch.float64)
        return lamps(places, powers, optics.condenser_na)
    if optics.source == "image":
        return _pictured(Path(optics.image or ""), optics.condenser_na)
    rings = optics.rings or _Trial.of(design, optics).rings(_accuracy(optics))
    return ringed_condenser(optics.coherence, optics.aperture, rings, optics.inner or 0.0)


def _accuracy(optics: BrightFieldOptics) -> float:
    """Of the reading by the points of the source: those that learn are the same, however exactly all else is done."""
    return _OF_LEARNED if "source" in optics.learn else optics.accuracy


def _pictured(path: Path, condenser_na: float) -> SourcePoints:
    """The pixels of an image over the square around a condenser's aperture; what lies beyond the aperture is dark."""
    with open_contents(path) as contents:
        arrays = [stored for stored in contents.arrays.values() if len(stored.shape) == 2]
        values = np.asarray(arrays[0].values(), np.float64) if len(arrays) == 1 else np.zeros((0, 0))
    finite = values.size > 0 and bool(np.isfinite(values).all()) and values.min() >= 0.0
    rows, columns = ((np.arange(count) + 0.5) * 2.0 / max(count, 1) - 1.0 for count in values.shape)
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    inside = np.hypot(*places.T) <= 1.0
    lit = int(np.count_nonzero(values.ravel()[inside])) if finite else 0
    if not 1 <= lit <= _MOST_POINTS:
        raise DataError(
            path,
            f"{lit} lit pixels inside the condenser's aperture",
            expected=f"one array (rows, columns) of finite values of 0 or more, 1 to {_MOST_POINTS} of them lit",
            remedy="bin the image, or correct optics.image",
        )
    return lamps(torch.from_numpy(places[inside]), torch.from_numpy(values.ravel()[inside]), condenser_na)


def _objective(design: Design, optics: BrightFieldOptics) -> Objective:
    wavelength_m = design.light.wavelength
    return Objective(
        wavelength_m,
        material_of(design.fabrication.medium).index(wavelength_m),
        optics.aperture,
        optics.focal or 1.0,
        optics.magnification,
        {int(term): rms for term, rms in optics.aberrations.items()},
    )


@dataclass(frozen=True)
class _Trial:
    """A source that lights a patch of random phases in an even beam, without aberrations and masks."""

    wavelength_m: float
    index: float
    aperture: float
    pitch_m: float
    defocus_m: float
    coherence: float
    inner: float
    binning: int

    @classmethod
    def of(cls, design: Design, optics: BrightFieldOptics) -> _Trial:
        objective = _objective(design, optics)
        return cls(
            objective.wavelength_m,
            objective.index,
            optics.aperture,
            optics.pitch,
            optics.defocus,
            optics.coherence,
            optics.inner or 0.0,
            design.detector.binning,
        )

    def error(self, rings: int) -> float:
        """Error of the camera's reading by so few rings, rms over its mean."""
        ours, right = _trial_reading(self, rings), _trial_reading(self, _REFERENCE)
        return float((ours - right).square().mean().sqrt() / right.mean())

    def rings(self, accuracy: float) -> int:
        """The fewest rings with which the reading is right to an accuracy; the most that are tried if none is."""
        if self.coherence == 0.0:
            return 1
        return next((rings for rings in range(1, _RINGS) if self.error(rings) <= accuracy), _RINGS)


@lru_cache(maxsize=64)
def _trial_reading(trial: _Trial, rings: int) -> Tensor:
    grid, noise = Grid.square(_TRIED, trial.pitch_m), torch_stream(0, "objects")
    source = ringed_condenser(trial.coherence, trial.aperture, rings, trial.inner)
    setting = Setting(Objective(trial.wavelength_m, trial.index, trial.aperture), source, trial.defocus_m)
    field = phasor(torch.rand(grid.shape, generator=noise) * (2.0 * math.pi))
    with torch.no_grad():
        return mean_bins(BrightFieldSystem(grid, setting, grid, endless=True).intensity(field), trial.binning)


def _condenser(design: Design, optics: BrightFieldOptics) -> Check:
    """The condenser's aperture, and whether its points stand for it."""
    source = source_of(design, optics)
    what = f"NA {optics.condenser_na:.3g}, S = {optics.coherence:g}: {optics.source} of {len(source.weights)} points"
    if optics.coherence == 0.0:
        return Check("condenser", "pass", "S = 0: coherent, one point on the axis", "S ≥ 0")
    if optics.source in ("lamps", "image"):
        return Check("condenser", "pass", what, "S·NA ≤ 1")
    trial = _Trial.of(design, optics)
    error = trial.error(optics.rings or trial.rings(_accuracy(optics)))
    return graded(
        "condenser",
        error,
        _accuracy(optics),
        math.inf,
        f"{what}, error of the reading {error:.2%} for an object of random phases",
        f"≤ {_accuracy(optics):.2%} ({'of a source that learns' if 'source' in optics.learn else 'optics.accuracy'})",
        'set optics.rings = "auto" or more, or raise optics.accuracy',
    )


def _objective_checks(design: Design, optics: BrightFieldOptics) -> Iterator[Check]:
    """Whether such an objective exists, and whether the object's samples carry all that it passes."""
    objective = _objective(design, optics)
    sine = optics.aperture / objective.index
    yield graded(
        "objective",
        sine,
        0.95,
        1.0 - 1e-9,
        f"NA {optics.aperture:g} in {design.fabrication.medium}, sin θ = {sine:.3g}",
        "sin θ ≤ 0.95 for a real objective; at 1 there is no light",
        "lower optics.aperture, or choose a denser fabrication.medium",
    )
    finest_m = objective.wavelength_m / (2.0 * (optics.aperture + optics.condenser_na))
    carried = objective.wavelength_m / (2.0 * optics.pitch)
    yield graded(
        "sampling",
        optics.pitch / finest_m,
        1.0 + 1e-9,
        math.inf,
        f"object sampled every {format_length(optics.pitch)}, waves to NA {carried:.3g}",
        f"≤ {format_length(finest_m)}: all that an objective of this NA passes of tilted light",
        "choose a smaller pitch, or accept that finer parts of the object are left out",
    )


def _defocus(design: Design, optics: BrightFieldOptics) -> Check:
    """Defocus against the depth of field."""
    objective = _objective(design, optics)
    depth_m = depth_of_field_m(objective.wavelength_m, objective.index, objective.numerical_aperture)
    ratio = abs(optics.defocus) / depth_m
    blind = ratio < _SHALLOW and not optics.masks and not optics.aberrations and "defocus" not in optics.learn
    return Check(
        "defocus",
        "warn" if blind else "pass",
        f"{format_length(optics.defocus)}, {ratio:.2g} of the depth of field nλ/NA² = {format_length(depth_m)}",
        f"≥ {_SHALLOW:g} of it, or a mask in the pupil: in focus an object of phase alone is invisible",
        f'set optics.defocus = "{format_length(depth_m)}" or so' if blind else "",
    )


def _camera_band(design: Design, optics: BrightFieldOptics) -> Check:
    """How often the intensity's spectrum folds over in the camera."""
    objective, binning = _objective(design, optics), design.detector.binning
    pixel_m = optics.pitch * binning
    factor = pixel_m * 4.0 * objective.numerical_aperture / objective.wavelength_m
    folds = factor > 1.0 and design.decoder.kind == "none"
    return Check(
        "camera band",
        "warn" if folds else "pass",
        f"pixels of {format_length(pixel_m * optics.magnification)}, {format_length(pixel_m)} at the object: aliasing "
        f"factor {factor:.3g}",
        f"1 is {format_length(pixel_m / factor)} at the object, λ/4NA; above, a decoder has to find what folds back",
        "lower detector.binning or raise optics.magnification" if folds else "",
    )
