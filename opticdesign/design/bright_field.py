"""A bright-field microscope as a design says it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from opticdesign.design.fields import NeuronPair, automatic, distinct, sequence
from opticdesign.design.instrument import DetectorSpec, Fabrication, Light
from opticdesign.design.learning import Training
from opticdesign.design.optics_spec import Accuracy, Margin, OpticsSpec, Surroundings
from opticdesign.design.toml_text import toml_value
from opticdesign.design.values import check_odd
from opticdesign.errors import DesignProblem
from opticdesign.units import Angle, Length

__all__ = ["BrightFieldOptics"]

Share: TypeAlias = Annotated[float, Field(ge=-1, le=1)]
Place: TypeAlias = Annotated[tuple[Share, Share], BeforeValidator(sequence)]
Power: TypeAlias = Annotated[float, Field(ge=0, le=1e9)]
Term: TypeAlias = Annotated[str, Field(pattern=r"^[1-9][0-9]?$")]
Rings: TypeAlias = Annotated[Annotated[int, Field(ge=1, le=32)] | None, *automatic("integer", 1, 32)]
Learned: TypeAlias = Annotated[
    tuple[Literal["defocus", "source", "pupil"], ...], BeforeValidator(sequence), AfterValidator(distinct)
]

_AIRY = 4.0  # radii of the point image, 0.61 λ/NA, that the margin holds beside what defocus spreads


class BrightFieldOptics(OpticsSpec):
    """A bright-field microscope out of focus: partially coherent light, an objective, perhaps a mask in its pupil.

    Attributes:
        kind: "bright-field".
        neurons: samples of object and image along y and x.
        pitch: distance between samples, metres in the plane of the object: the camera's over the magnification.
        magnification: of the image on the camera.
        aperture: numerical aperture of the objective.
        defocus: distance of the plane in focus behind the sample, metres; negative in front of it.
        coherence: S, numerical aperture of the condenser over that of the objective; 0 is coherent light.
        source: what lights the condenser's aperture evenly: a disc, or an annulus; or "lamps" in it, or the grey
            values of an "image" over it.
        inner: radius of the dark middle of an annulus over that of the aperture.
        lamps: places of lamps along y and x, in units of the aperture's radius.
        powers: power of each lamp; all the same when left out.
        image: a file of grey values over the square around the aperture, row 0 at its lowest y; a relative path starts
            at the current directory.
        rings: rings of points that stand for a disc or an annulus; None ("auto") for as many as `accuracy` asks.
        aberrations: phase of the objective, radians rms, by the number of Zernike's polynomial as Noll counts.
        learn: what learns with the decoder: the defocus, the shape of the source, a phase mask in the pupil.
        start: the mask in the pupil before it learns; None for none, or where it learns, 0.1 rad of random phase.
        focal: focal length of the objective, metres, which says how large its pupil is; asked for a mask.
        mask_points: squares of the mask across the pupil, an odd number, so that undiffracted light meets one.
        surroundings, margin, accuracy: as of layers, beyond the margin the object's mean.
    """

    kind: Literal["bright-field"] = Field(description="kind of optics", examples=["bright-field"])
    neurons: NeuronPair = Field(description="rows and columns of samples, each 8 to 8192", examples=[[256, 256]])
    pitch: Length = Field(gt=0, description="distance between samples, at the object", examples=["170 nm"])
    magnification: float = Field(gt=0, le=1000, description="of the image on the camera", examples=[20.0])
    aperture: float = Field(gt=0, le=1.7, description="numerical aperture of the objective", examples=[0.6])
    defocus: Length = Field(default=0.0, description="distance of the plane in focus", examples=["4 um"])
    coherence: float = Field(default=0.0, ge=0, le=4, description="NA of condenser over objective", examples=[0.1])
    source: Literal["disc", "annulus", "lamps", "image"] = Field(
        default="disc", description="what lights the condenser's aperture", examples=["disc"]
    )
    inner: float | None = Field(default=None, gt=0, lt=1, description="dark middle of an annulus", examples=[0.8])
    lamps: Annotated[tuple[Place, ...], BeforeValidator(sequence)] | None = Field(
        default=None, description="places of lamps", examples=[[[0.0, 0.5], [0.0, -0.5]]]
    )
    powers: Annotated[tuple[Power, ...], BeforeValidator(sequence)] | None = Field(
        default=None, description="power of each lamp", examples=[[1.0, 0.5]]
    )
    image: str | None = Field(
        default=None, min_length=1, max_length=4096, description="a file of grey values", examples=["source.npy"]
    )
    rings: Rings = Field(default=None, description="rings of points of a disc or an annulus", examples=["auto"])
    aberrations: dict[Term, Angle] = Field(default={}, description="phase by Zernike number", examples=[{"5": "1 rad"}])
    learn: Learned = Field(default=(), description="what learns", examples=[["defocus", "pupil"]])
    start: Literal["clear", "random", "rippled"] | None = Field(
        default=None, description="mask in the pupil before training", examples=["rippled"]
    )
    focal: Length | None = Field(default=None, gt=0, description="focal length of the objective", examples=["9 mm"])
    mask_points: Annotated[int, AfterValidator(check_odd)] = Field(
        default=63, ge=3, le=2047, description="squares across the pupil, an odd number", examples=[63]
    )
    surroundings: Surroundings = Field(
        default="neighbours", description="what lies around the field of view", examples=["neighbours"]
    )
    margin: Margin = Field(default=None, description="reach of light beyond the field of view", examples=["10 um"])
    accuracy: Accuracy = Field(default=0.01, description="largest error of the camera's reading", examples=[0.01])

    @property
    def shape(self) -> tuple[int, int]:
        """Samples of the field along y and x."""
        return self.neurons

    @property
    def sample_pitch(self) -> float:
        """Distance between samples in the plane of the object, metres."""
        return self.pitch

    @property
    def image_pitch(self) -> float:
        """On the camera, magnified."""
        return self.pitch * self.magnification

    @property
    def condenser_na(self) -> float:
        """Numerical aperture of the condenser."""
        return self.coherence * self.aperture

    @property
    def masks(self) -> int:
        """One where there is a mask in the pupil, else none."""
        return int("pupil" in self.learn or self.start is not None)

    @property
    def acts_alike(self) -> bool:
        """A microscope knows no place; a field stop does."""
        return self.surroundings != "field-stop"

    @property
    def learns(self) -> bool:  # noqa: D102 (documented on the base)
        return bool(self.learn)

    @property
    def keeps_phase(self) -> bool:  # noqa: D102 (documented on the base)
        return "pupil" in self.learn

    @property
    def way_to_masks(self) -> str:  # noqa: D102 (documented on the base)
        return 'set optics.learn = ["pupil"] and optics.focal for a mask in the pupil, and train again'

    @property
    def distances(self) -> int:
        """One: of the plane in focus from the sample."""
        return 1

    def mask_size(self, wavelength: float) -> tuple[float, float]:  # noqa: ARG002 (a pupil is as wide for any light)
        """The diameter of the pupil, 2·NA·focal."""
        side = 2.0 * self.aperture * (self.focal or 0.0)
        return side, side

    def clear(self) -> BrightFieldOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": None, "learn": ()})

    def random(self) -> BrightFieldOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": "random", "learn": ()})

    def pupil_radius(self, wavelength: float) -> float | None:
        """That of the objective, if the field of view is square and its samples carry as much."""
        rows, columns = self.neurons
        radius = self.aperture * rows * self.pitch / wavelength
        return radius if rows == columns and radius < rows / 2 else None

    def reach(self, wavelength: float) -> float:
        """As far as defocus spreads the steepest wave, at a tangent of 3 at most, and some radii of a point's image.

        A mask may send light as far as the width of a square in its pupil has it, λ/2NA for each square across.
        """
        sine, radius = min(self.aperture, 0.95), 0.61 * wavelength / self.aperture
        squares = self.mask_points * self.masks * wavelength / (2.0 * self.aperture)
        return abs(self.defocus) * min(3.0, sine / math.sqrt(1.0 - sine**2)) + _AIRY * radius + squares

    def margin_samples(self, wavelength: float) -> tuple[int, int]:
        """None where object and image repeat."""
        return (0, 0) if self.surroundings == "repeat" else super().margin_samples(wavelength)

    def problems(  # noqa: D102 (documented on the base)
        self,
        *,
        light: Light,  # noqa: ARG002 (neither light nor process nor camera have a say)
        made: Fabrication,  # noqa: ARG002
        detector: DetectorSpec,  # noqa: ARG002
        training: Training,
    ) -> list[DesignProblem]:
        return [*self._source_problems(), *self._pupil_problems(), *self._stage_problems(training)]

    def _source_problems(self) -> Iterator[DesignProblem]:
        """Keys that stand only, and always, beside a kind of source, and sources that light can come from."""
        rules = (
            ("inner", self.inner, "annulus", "inner = 0.8"),
            ("lamps", self.lamps, "lamps", "lamps = [[0.0, 0.5], [0.0, -0.5]]"),
            ("image", self.image, "image", 'image = "source.npy"'),
        )
        for key, given, source, example in rules:
            beside = f'source = "{source}"'
            if self.source == source and not given:
                message = f"missing key {key!r}: it belongs to {beside}"
                yield DesignProblem(f"optics.{key}", message, expected="a value", remedy=f"add {example}")
            if given is not None and self.source != source:
                message, value = f"{key} says nothing without {beside}", toml_value(given)
                yield DesignProblem(f"optics.{key}", message, value, beside, f"remove it, or set {beside}")
        if self.powers is not None and (len(self.powers) != len(self.lamps or ()) or not any(self.powers)):
            message = "there is not one power for each lamp, or all are dark"
            value = f"{len(self.powers)} powers, {len(self.lamps or ())} lamps"
            yield DesignProblem(
                "optics.powers, optics.lamps", message, value, "a power for each", "correct optics.powers"
            )
        if self.condenser_na > 1.0:
            message, value = "no condenser is that wide", f"{self.coherence:g}, {self.aperture:g}"
            remedy = f"set optics.coherence = {math.floor(100.0 / self.aperture) / 100.0:g} or less"
            yield DesignProblem("optics.coherence, optics.aperture", message, value, "a product of at most 1", remedy)
        if self.coherence == 0.0 and (self.source != "disc" or "source" in self.learn):
            message = "coherent light comes from a point, which has no shape"
            value = f"0, {toml_value(self.source)}, {toml_value(self.learn)}"
            key = "optics.coherence, optics.source, optics.learn"
            yield DesignProblem(key, message, value, "a coherence above 0", "set optics.coherence = 0.1")

    def _pupil_problems(self) -> Iterator[DesignProblem]:
        """A pupil whose size is known where a mask lies in it."""
        if self.masks and self.focal is None:
            message = "missing key 'focal': a mask in the pupil is as large as the objective makes the pupil"
            yield DesignProblem("optics.focal", message, expected="a length", remedy='add focal = "9 mm"')

    def _stage_problems(self, training: Training) -> Iterator[DesignProblem]:
        """Stages that train what these optics have."""
        for name, stage in training.stages.items():
            key = f"training.stages.{name}"
            if stage.layerwise:
                message, remedy = "a microscope has no layers to train one by one", "remove layerwise and its keys"
                yield DesignProblem(f"{key}.layerwise", message, "true", "false for a microscope", remedy)
            if "optics" in stage.train and not self.learn:
                message, value = "of these optics nothing is learned", f"{toml_value(stage.train)}, []"
                remedy = 'name what learns in optics.learn, or set train = ["decoder"]'
                yield DesignProblem(f"{key}.train, optics.learn", message, value, "something that learns", remedy)
            for weight, given in (("variation", stage.variation), ("feature", stage.feature)):
                if given is not None and not self.masks:
                    message = f"{weight} is a weight on masks, and these optics have none"
                    remedy = f"remove {weight}"
                    yield DesignProblem(f"{key}.{weight}, optics.learn", message, f"{given:g}", "a mask", remedy)

    def error_problem(self, name: str) -> DesignProblem | None:
        """What befalls masks alone, where there is none; and turns, which have no model here or change nothing."""
        if name == "coherence" and self.coherence == 0.0:
            message = "coherent light comes from a point, whose size cannot be wrong"
            return DesignProblem("optics.coherence", message, "0", "a coherence above 0", f"remove {name}")
        if name in ("aperture", "coherence", "gap", "wavelength"):
            return None
        if name in ("tilt", "rotation"):
            message = {
                "tilt": "the tilt of a mask in a pupil changes nothing to first order",
                "rotation": "the turn of a mask in a pupil has no model",
            }[name]
            return DesignProblem("optics.kind", message, toml_value(self.kind), "layers", f"remove {name}")
        if self.masks:
            return None
        message = "these optics have no mask that it could befall"
        return DesignProblem("optics.learn", message, toml_value(self.learn), 'learn = ["pupil"]', f"remove {name}")
