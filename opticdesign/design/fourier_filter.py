"""A learned filter in a pupil as a design says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from opticdesign.design.fields import NeuronPair
from opticdesign.design.instrument import DetectorSpec, Fabrication, Light
from opticdesign.design.learning import Training
from opticdesign.design.optics_spec import Accuracy, FillFactor, Gaps, Margin, OpticsSpec, Samples, Surroundings
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem
from opticdesign.units import Length

__all__ = ["FilterOptics"]

_FOCAL = "10 mm"  # of the 4-f system that holds Zernike's filter; the image does not depend on it


class FilterOptics(OpticsSpec):
    """A learned filter in the pupil of a 4-f system (LFF): the image of the object, filtered.

    Attributes:
        kind: "fourier-filter".
        neurons: samples of object and image along y and x; the filter has as many points, times the padding.
        pitch: distance between samples of object and image, metres.
        focal: focal length of both lenses, metres: a wave of frequency ν crosses the filter at x = λ·focal·ν.
        radius: radius of the pupil in points of the filter, 0.5 of its side when left out; at a pitch of λ/2 that is
            an NA of 1.
        mode: what of the filter is learned; "none" leaves a clear pupil, or what `start` says.
        start: the filter before training: clear, of random phase, flat but for 0.1 rad of random phase, or Zernike's
            quarter wave on the undiffracted light.
        rings: learn all points at one distance from the axis as one, to a point's width, as phase-contrast plates
            are made. A filter of some dozen numbers learns from few samples what one of thousands does not.
        padding: points of the filter over samples of the image, along each axis.
        samples: samples of the light on the camera across one of the image; 1 leaves out what is finer.
        fill_factor, gaps, surroundings, margin, accuracy: as of layers; points of the filter take the place of neurons.
    """

    kind: Literal["fourier-filter"] = Field(description="kind of optics", examples=["fourier-filter"])
    neurons: NeuronPair = Field(description="rows and columns of samples, each 8 to 8192", examples=[[256, 256]])
    pitch: Length = Field(gt=0, description="distance between neighbouring samples", examples=["316.4 nm"])
    focal: Length = Field(gt=0, description="focal length of both lenses", examples=["10 mm"])
    radius: float | None = Field(default=None, gt=0, le=65536, description="pupil radius, points", examples=[128.0])
    mode: Literal["amplitude+phase", "phase", "amplitude", "none"] = Field(
        default="amplitude+phase", description="what is learned", examples=["amplitude+phase"]
    )
    start: Literal["clear", "random", "rippled", "zernike"] = Field(
        default="random", description="filter before training", examples=["random"]
    )
    rings: bool = Field(default=False, description="a filter of concentric rings", examples=[True])
    padding: float = Field(default=1.0, ge=1, le=4, description="points over samples, 1 to 4", examples=[1.0])
    samples: Samples = Field(default=None, description="samples of light across one of the image", examples=["auto"])
    fill_factor: FillFactor = Field(default=1.0, description="shaped share of a point's area", examples=[0.93])
    gaps: Gaps = Field(default="dark", description="what lies between points", examples=["dark"])
    surroundings: Surroundings = Field(
        default="neighbours", description="what lies around the field of view", examples=["neighbours"]
    )
    margin: Margin = Field(default=None, description="reach of light beyond the field of view", examples=["40 um"])
    accuracy: Accuracy = Field(default=0.01, description="largest error of the camera's reading", examples=[0.01])

    @property
    def shape(self) -> tuple[int, int]:
        """Samples of the field along y and x."""
        return self.neurons

    @property
    def sample_pitch(self) -> float:
        """Distance between samples of the field, metres."""
        return self.pitch

    @property
    def distances(self) -> int:
        """One: of the camera from the image."""
        return 1

    @property
    def acts_alike(self) -> bool:
        """A filter in a pupil knows no place; a field stop does."""
        return self.surroundings != "field-stop"

    @property
    def absorbs(self) -> bool:  # noqa: D102 (documented on the base)
        return "amplitude" in self.mode

    @property
    def keeps_phase(self) -> bool:  # noqa: D102 (documented on the base)
        return "phase" in self.mode

    def mask_size(self, wavelength: float) -> tuple[float, float]:
        """λf over the pitch of the image.

        Points lie λf over the extent of the image's window apart, and the window has as many samples as it has points:
        so their number drops out.
        """
        side = wavelength * self.focal / self.pitch
        return side, side

    def clear(self) -> FilterOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": "clear", "fill_factor": 1.0, "mode": "none"})

    def random(self) -> FilterOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": "random", "mode": "none"})

    @classmethod
    def zernike(cls, optics: OpticsSpec, wavelength: float) -> FilterOptics:
        """Zernike's filter for the object, the camera and the surroundings of other optics, as accurate.

        In the place of a filter, it is that of the same lenses. Elsewhere its margin is its own, since light spreads in
        it otherwise than between layers. An objective passes no more in it than in the other optics.

        Args:
            optics: the other optics.
            wavelength: in vacuum, metres.
        """
        if isinstance(optics, cls):
            return optics.model_copy(update={"start": "zernike", "rings": False, "mode": "none"})
        return cls.model_validate(
            {
                "kind": "fourier-filter",
                "neurons": optics.shape,
                "pitch": f"{optics.sample_pitch!r} m",
                "focal": _FOCAL,
                "radius": optics.pupil_radius(wavelength),
                "mode": "none",
                "start": "zernike",
                "samples": optics.light_samples,
                "surroundings": optics.surroundings,
                "accuracy": optics.accuracy,
            }
        )

    def margin_samples(self, wavelength: float) -> tuple[int, int]:
        """None where object and image repeat."""
        return (0, 0) if self.surroundings == "repeat" else super().margin_samples(wavelength)

    def regular_as(self, other: OpticsSpec) -> bool:
        """Rings are rings of rings only."""
        return not self.rings or (isinstance(other, FilterOptics) and other.rings)

    def problems(  # noqa: D102 (documented on the base)
        self,
        *,
        light: Light,  # noqa: ARG002 (neither light nor process nor camera have a say)
        made: Fabrication,  # noqa: ARG002
        detector: DetectorSpec,  # noqa: ARG002
        training: Training,
    ) -> list[DesignProblem]:
        return [*self._stage_problems(training), *self._radius_problems()]

    def _stage_problems(self, training: Training) -> Iterator[DesignProblem]:
        """Stages that train what a filter has."""
        for name, stage in training.stages.items():
            key = f"training.stages.{name}"
            if stage.layerwise:
                message, remedy = "a filter has no layers to train one by one", "remove layerwise and its keys"
                yield DesignProblem(f"{key}.layerwise", message, "true", "false for a filter", remedy)
            if self.mode == "none" and "optics" in stage.train:
                value = f'{toml_value(stage.train)}, "none"'
                remedy = "choose a mode that learns, or train the decoder alone"
                message = "of this filter nothing is learned"
                yield DesignProblem(f"{key}.train, optics.mode", message, value, 'train = ["decoder"]', remedy)

    def _radius_problems(self) -> Iterator[DesignProblem]:
        """A radius on a square filter."""
        if self.radius is not None and self.neurons[0] != self.neurons[1]:
            value = f"{self.radius:g}, {toml_value(self.neurons)}"
            message = "a radius in points is that of a circle on a square filter only"
            remedy = "make optics.neurons square, or leave optics.radius out"
            yield DesignProblem("optics.radius, optics.neurons", message, value, "square neurons", remedy)

    def error_problem(self, name: str) -> DesignProblem | None:
        """A tilt changes nothing."""
        if name != "tilt":
            return super().error_problem(name)
        message = "the tilt of a filter in a pupil changes nothing to first order"
        return DesignProblem("optics.kind", message, toml_value(self.kind), "layers", "remove tilt")
