"""The table of a design that says how far what is built may be from what was designed, and how that is studied.

Each error has one spread: `sigma`, the standard deviation of a normal distribution around the design, or `range`, the
ends of a uniform one. It is drawn once for everything it is common to, which its description names.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from opticdesign.design.fields import Table
from opticdesign.design.ranges import AngleRange, LengthRange, NumberRange
from opticdesign.design.values import refuse
from opticdesign.errors import DesignProblem
from opticdesign.units import Angle, Length, format_length

__all__ = [
    "AngleError",
    "BlurError",
    "EtchError",
    "LengthError",
    "LengthPattern",
    "NumberError",
    "PhasePattern",
    "Tolerance",
]

_CORRELATION = "distance at which the correlation is 1/e, 0 for none"
_DROPS = {"psnr_db": 1.0, "ssim": 0.05, "ssim_rescaled": 0.05, "mae_rad": 0.05, "mae_free_rad": 0.05}


class _Error(Table):
    """An error with one spread."""

    @model_validator(mode="after")
    def _one_spread(self) -> _Error:
        refuse(_check_spread(self))
        return self


class LengthError(_Error):
    """An error that is a length.

    Attributes:
        sigma: standard deviation of a normal distribution, metres.
        range: smallest and largest of a uniform one, metres.
    """

    sigma: Length | None = Field(default=None, gt=0, description="standard deviation", examples=["30 nm"])
    range: LengthRange | None = Field(default=None, description="± one value, or both ends", examples=["1 um"])


class AngleError(_Error):
    """An error that is an angle, or a phase.

    Attributes:
        sigma: standard deviation of a normal distribution, radians.
        range: smallest and largest of a uniform one, radians.
    """

    sigma: Angle | None = Field(default=None, gt=0, description="standard deviation", examples=["1 mrad"])
    range: AngleRange | None = Field(default=None, description="± one value, or both ends", examples=["1 mrad"])


class NumberError(_Error):
    """An error that is a plain number, often relative.

    Attributes:
        sigma: standard deviation of a normal distribution.
        range: smallest and largest of a uniform one.
    """

    sigma: float | None = Field(default=None, gt=0, le=1, description="standard deviation", examples=[0.01])
    range: NumberRange | None = Field(default=None, description="± one value, or both ends", examples=[0.02])


class EtchError(NumberError):
    """An error of etch depths, relative.

    Attributes:
        per: one error for all depths of the wafer, or one for each etch step, which makes one bit of the level.
    """

    per: Literal["wafer", "bit"] = Field(default="wafer", description="what has one error", examples=["bit"])


class BlurError(Table):
    """A blur, whose width is uniform between two ends.

    Attributes:
        range: least and largest full width at half maximum of a Gaussian, metres; one value is from 0 to it.
    """

    range: LengthRange = Field(description="least and largest width", examples=[["50 nm", "100 nm"]])

    @model_validator(mode="after")
    def _no_sharpening(self) -> BlurError:
        refuse(_check_blur(self))
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Least and largest width in metres."""
        return max(self.range[0], 0.0), self.range[1]


class LengthPattern(Table):
    """A length that varies over a mask at random.

    Attributes:
        sigma: its standard deviation, metres.
        correlation: distance at which its correlation has fallen to 1/e, metres; 0 for none from sample to sample.
    """

    sigma: Length = Field(gt=0, description="standard deviation", examples=["6 nm"])
    correlation: Length = Field(default=0.0, ge=0, description=_CORRELATION, examples=["300 nm"])


class PhasePattern(Table):
    """A phase that varies over a panel at random.

    Attributes:
        sigma: its standard deviation, radians.
        correlation: distance at which its correlation has fallen to 1/e, metres; 0 for none from sample to sample.
    """

    sigma: Angle = Field(gt=0, description="standard deviation", examples=["0.3 rad"])
    correlation: Length = Field(default=0.0, ge=0, description=_CORRELATION, examples=["1 mm"])


class Tolerance(Table):
    """How far what is built may be from what was designed.

    An error that is left out does not occur; where all are, those usual for the design's kind of optics do.

    Attributes:
        samples: draws of a study.
        sampler: how they are spread over the errors: independently ("random"), as all intervals take them to be, or
            more evenly, as a Latin hypercube or a Sobol sequence has them.
        images: test images in every draw.
        metric: what is judged.
        spec: least value of the metric that passes, or the largest where it is an error; None where `drop` says.
        drop: largest loss against the nominal instrument that passes; None for 1 dB, 0.05, or 0.05 rad.
        least_yield: share of draws that have to pass for the study to succeed; None for no such demand.
        etch_depth: relative error of etch depths, one for the wafer or one for each etch step.
        height_noise: height that varies over each mask.
        blur: width of a blur of the relief by writing and developing, one for the wafer.
        overlay_shift: way along y and along x of each bit mask but the first of each layer against it.
        overlay_rotation: turn of each such mask.
        overlay_scale: relative error of the size of each such mask.
        cd_bias: widening of what is kept on each bit mask, half of it at either edge.
        edge_roughness: way of the edges on each bit mask, which varies along them.
        layer_shift: way of each layer along y and along x.
        gap: error of each distance between planes.
        tilt: turn of each layer out of its plane, as its slope along y and along x.
        rotation: turn of each layer in its plane.
        wavelength: relative error of the wavelength.
        index: error of the refractive index of the masks.
        lut: relative error of the phases of each panel's grey levels.
        crosstalk: width of the smear by fringing fields between pixels, one for all panels.
        flicker: change of a phase of 2π at the moment of exposure, on each panel, others in proportion.
        flatness: phase error that varies over each panel.
        aperture: relative error of a microscope's numerical aperture.
        coherence: relative error of the size of its condenser's aperture.
    """

    samples: int = Field(default=1000, ge=1, le=1_000_000, description="draws, 1 to 1 million", examples=[200])
    sampler: Literal["sobol", "latin-hypercube", "random"] = Field(
        default="random", description="how draws are spread", examples=["random"]
    )
    images: int = Field(default=8, ge=1, le=1000, description="test images in a draw, 1 to 1000", examples=[8])
    metric: Literal["psnr_db", "ssim", "ssim_rescaled", "mae_rad", "mae_free_rad"] = Field(
        default="psnr_db", description="what is judged", examples=["psnr_db"]
    )
    spec: float | None = Field(default=None, description="limit of the metric", examples=[25.0])
    drop: float | None = Field(default=None, gt=0, description="largest loss against nominal", examples=[1.0])
    least_yield: float | None = Field(default=None, ge=0, le=1, description="share that has to pass", examples=[0.9])
    etch_depth: EtchError | None = None
    height_noise: LengthPattern | None = None
    blur: BlurError | None = None
    overlay_shift: LengthError | None = None
    overlay_rotation: AngleError | None = None
    overlay_scale: NumberError | None = None
    cd_bias: LengthError | None = None
    edge_roughness: LengthPattern | None = None
    layer_shift: LengthError | None = None
    gap: LengthError | None = None
    tilt: AngleError | None = None
    rotation: AngleError | None = None
    wavelength: NumberError | None = None
    index: NumberError | None = None
    lut: NumberError | None = None
    crosstalk: BlurError | None = None
    flicker: AngleError | None = None
    flatness: PhasePattern | None = None
    aperture: NumberError | None = None
    coherence: NumberError | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Tolerance:
        refuse(_check_target(self))
        return self

    @property
    def errors(self) -> dict[str, Table]:
        """The errors that occur, by name."""
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Table)}

    @property
    def allowed_drop(self) -> float:
        """Largest loss of the metric against nominal that passes, where no limit is given."""
        return _DROPS[self.metric] if self.drop is None else self.drop

    def limit(self, nominal: float) -> float:
        """Value of the metric that just passes, of an instrument with this nominal value."""
        if self.spec is not None:
            return self.spec
        return nominal + self.allowed_drop if self.metric.startswith("mae") else nominal - self.allowed_drop


def _check_spread(error: Table) -> list[DesignProblem]:
    """One spread, and not two."""
    given = [key for key in ("sigma", "range") if getattr(error, key) is not None]
    if len(given) == 1:
        return []
    message = "this error has two spreads" if given else "this error has no spread"
    remedy = "remove one of them" if given else "add sigma or range, or remove the table"
    expected = "sigma of a normal distribution, or range of a uniform one"
    return [DesignProblem("sigma, range" if given else "sigma", message, expected=expected, remedy=remedy)]


def _check_blur(error: BlurError) -> list[DesignProblem]:
    """Widths from 0 on: one value is from 0 to it, two may not start below."""
    low, high = error.range
    if low >= 0 or low == -high:
        return []
    message = "no blur is narrower than nothing"
    remedy = 'for example range = ["50 nm", "100 nm"]'
    value = f"{format_length(low)} to {format_length(high)}"
    return [DesignProblem("range", message, value, "a range from 0 or more", remedy)]


def _check_target(tolerance: Tolerance) -> list[DesignProblem]:
    """A limit, or a largest loss."""
    if tolerance.spec is None or tolerance.drop is None:
        return []
    message = "a limit of the metric leaves nothing for a loss against nominal to say"
    value = f"{tolerance.spec:g}, {tolerance.drop:g}"
    return [DesignProblem("spec, drop", message, value, "spec or drop", "remove one of them")]
