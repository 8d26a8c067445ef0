"""Layers of phase neurons as a design says them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from opticdesign.design.fields import NeuronPair, automatic
from opticdesign.design.instrument import DetectorSpec, Fabrication, Light
from opticdesign.design.learning import Training
from opticdesign.design.materials import material_of
from opticdesign.design.optics_spec import Accuracy, FillFactor, Gaps, Margin, OpticsSpec, Samples, Surroundings
from opticdesign.design.rules import check_light
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem
from opticdesign.units import Length, format_length

__all__ = ["D2NNOptics"]

Padding: TypeAlias = Annotated[Annotated[float, Field(ge=1, le=12)] | None, *automatic("number", 1, 12)]
_OF_PANELS = ("lut", "crosstalk", "flicker", "flatness")


class D2NNOptics(OpticsSpec):
    """Layers of square phase neurons one behind the other, all of one size.

    Attributes:
        kind: "d2nn".
        layers: number of layers.
        neurons: neurons along y and x.
        pitch: distance between neighbouring neurons, metres.
        samples: samples of light and mask across one neuron, along each axis: None ("auto") takes as many as `accuracy`
            asks. A neuron is a square then; 1 makes it a point, as the literature's models do, which is another device.
        image_samples: samples of object and image across one neuron; the camera's binning counts these.
        fill_factor: share of a neuron's area that the process or panel shapes, in the middle of it.
        gaps: what lies between: "dark" lets no light pass, "clear" lets it pass unmodulated.
        input_gap: distance from the object to the first layer, metres.
        layer_gap: distance from layer to layer, metres.
        detector_gap: distance from the last layer to the detector, metres.
        output_after: layers that light passes before it goes to the detector, the first ones; None for all.
        cell: neurons of a square cell that repeats over each mask and is learned as one; None lets every neuron go its
            own way. Repeating masks act alike everywhere, so that a decoder of convolutions can read them.
        start: what the masks are before training: flat, uniformly random, or flat but for 0.1 rad of random phase,
            which gives learning a direction where symmetry leaves none.
        model: each mask as a thin element, or as a relief that light is marched through slice by slice ("bpm"), each
            slice a height level or a part of one.
        surroundings: what lies around the part of the object that is imaged: its neighbours as far as `margin`, and
            beyond darkness, or before a filter the object's mean; nothing behind a field stop, which is a part of the
            device then; or the same part again.
        margin: how far illumination and neighbours reach beyond the field of view, metres; None ("auto") for as far as
            light crosses.
        propagator: the method of propagation; "auto" chooses for each gap, and `check` says what and why.
        padding: width of the computed window over the width of the aperture; None ("auto") for what `accuracy` asks.
        accuracy: largest error of the camera's reading by sampling and windows, rms over its mean; below 0.005 light
            that is steeper than masks multiply without aliasing goes on too.
    """

    kind: Literal["d2nn"] = Field(description="kind of optics", examples=["d2nn"])
    layers: int = Field(ge=1, le=32, description="number of layers, 1 to 32", examples=[5])
    neurons: NeuronPair = Field(description="rows and columns of neurons, each 8 to 8192", examples=[[256, 256]])
    pitch: Length = Field(gt=0, description="distance between neighbouring neurons", examples=["316.4 nm"])
    samples: Samples = Field(default=None, description="samples of light across a neuron", examples=["auto"])
    image_samples: int = Field(default=1, ge=1, le=16, description="samples of the image across a neuron", examples=[4])
    fill_factor: FillFactor = Field(default=1.0, description="shaped share of a neuron's area", examples=[0.93])
    gaps: Gaps = Field(default="dark", description="what lies between neurons", examples=["dark"])
    input_gap: Length = Field(gt=0, description="distance from object to first layer", examples=["3.373 um"])
    layer_gap: Length = Field(gt=0, description="distance from layer to layer", examples=["3.373 um"])
    detector_gap: Length = Field(gt=0, description="distance from last layer to detector", examples=["5.904 um"])
    output_after: int | None = Field(default=None, ge=1, le=32, description="layers that light passes", examples=[3])
    cell: int | None = Field(default=None, ge=2, le=8192, description="neurons of a repeating cell", examples=[32])
    start: Literal["clear", "random", "rippled"] = Field(
        default="rippled", description="masks before training", examples=["rippled"]
    )
    model: Literal["thin", "bpm"] = Field(default="thin", description="model of a mask", examples=["bpm"])
    propagator: Literal[
        "auto",
        "rayleigh-sommerfeld",
        "impulse-response",
        "angular-spectrum",
        "band-limited",
        "fresnel",
        "fresnel-impulse",
    ] = Field(default="auto", description="method of propagation", examples=["rayleigh-sommerfeld"])
    surroundings: Surroundings = Field(
        default="neighbours", description="what lies around the field of view", examples=["neighbours"]
    )
    margin: Margin = Field(default=None, description="reach of light beyond the field of view", examples=["10 um"])
    padding: Padding = Field(default=None, description="window over aperture, 1 to 12", examples=["auto"])
    accuracy: Accuracy = Field(default=0.01, description="largest error of the camera's reading", examples=[0.01])

    @property
    def shape(self) -> tuple[int, int]:
        """Samples of object and image along y and x, in the field of view."""
        return self.neurons[0] * self.image_samples, self.neurons[1] * self.image_samples

    @property
    def sample_pitch(self) -> float:
        """Distance between samples of object and image, metres."""
        return self.pitch / self.image_samples

    @property
    def crossed(self) -> int:
        """Layers that light passes."""
        return self.output_after or self.layers

    @property
    def period(self) -> int:
        """Samples of the image after which the masks repeat; 1 where they do not."""
        return 1 if self.cell is None else self.cell * self.image_samples

    @property
    def neuron_samples(self) -> int:  # noqa: D102 (documented on the base)
        return self.image_samples

    @property
    def light_samples(self) -> int | None:  # noqa: D102 (documented on the base)
        return None if self.samples is None else math.ceil(self.samples / self.image_samples)

    @property
    def masks(self) -> int:  # noqa: D102 (documented on the base)
        return self.layers

    @property
    def camera_room(self) -> float:  # noqa: D102 (documented on the base)
        return self.detector_gap

    @property
    def pointlike(self) -> bool:  # noqa: D102 (documented on the base)
        return self.samples == 1

    def mask_size(self, wavelength: float) -> tuple[float, float]:  # noqa: ARG002, D102 (documented on the base)
        return self.neurons[0] * self.pitch, self.neurons[1] * self.pitch

    def clear(self) -> D2NNOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": "clear", "fill_factor": 1.0, "cell": None})

    def random(self) -> D2NNOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": "random", "cell": None})

    def random_cells(self) -> D2NNOptics:  # noqa: D102 (documented on the base)
        return self.model_copy(update={"start": "random"})

    def reach(self, wavelength: float) -> float:
        """As far as the object's steepest light goes to the side, at a tangent of 3 at most."""
        sine = wavelength / (2.0 * self.sample_pitch)
        tangent = 3.0 if sine >= 3.0 / math.sqrt(10.0) else sine / math.sqrt(1.0 - sine * sine)
        return self.input_gap * tangent

    def regular_as(self, other: OpticsSpec) -> bool:
        """Cells are made of whole cells."""
        if self.cell is None:
            return True
        return isinstance(other, D2NNOptics) and other.cell is not None and self.cell % other.cell == 0

    def problems(  # noqa: D102 (documented on the base)
        self, *, light: Light, made: Fabrication, detector: DetectorSpec, training: Training
    ) -> list[DesignProblem]:
        found = [*self._cell_problems(detector.binning), *self._output_problems()]
        if self.model == "bpm" and not check_light(light, made):
            found += self._relief_problems(light.wavelength, made)
        return [*found, *self._feature_problems(made.min_feature, training)]

    def _cell_problems(self, binning: int) -> Iterator[DesignProblem]:
        """Cells that fill the masks with whole camera pixels."""
        (rows, columns), cell = self.neurons, self.cell
        if cell is not None and (rows % cell or columns % cell or self.period % binning):
            yield DesignProblem(
                "optics.cell, optics.neurons, detector.binning",
                f"cells of {cell} neurons do not fit {rows} × {columns} neurons and pixels of {binning}",
                f"{cell}, {toml_value(self.neurons)}, {binning}",
                expected="cells of whole camera pixels that divide optics.neurons",
                remedy=f"set optics.cell = {2 * binning}, or leave it out",
            )

    def _output_problems(self) -> Iterator[DesignProblem]:
        """An output behind a layer that is there."""
        if self.crossed > self.layers:
            message = f"there is no layer {self.crossed}"
            key, value = "optics.output_after, optics.layers", f"{self.crossed}, {self.layers}"
            remedy = f"set optics.output_after = {self.layers}, or leave it out"
            yield DesignProblem(key, message, value, expected=f"1 to {self.layers}", remedy=remedy)

    def _relief_problems(self, wavelength: float, made: Fabrication) -> Iterator[DesignProblem]:
        """Gaps behind reliefs that are longer than the reliefs are deep, and reliefs of equal levels."""
        depth = wavelength / (material_of(made.material).index(wavelength) - material_of(made.medium).index(wavelength))
        for key, gap in (("layer_gap", self.layer_gap), ("detector_gap", self.detector_gap)):
            if gap <= depth:
                message = f"the relief of {format_length(depth)} does not fit into this gap"
                remedy = 'choose a longer gap, or model = "thin"'
                expected = f"more than {format_length(depth)}"
                yield DesignProblem(f"optics.{key}", message, format_length(gap), expected, remedy)
        if made.heights is not None:
            message = "light is marched through slices of one height, one for each level of equal ones"
            value, expected = f'{len(made.heights)} heights, "bpm"', 'model = "thin" with a table of heights'
            remedy = 'leave fabrication.heights out, or set optics.model = "thin"'
            yield DesignProblem("fabrication.heights, optics.model", message, value, expected, remedy)

    def _feature_problems(self, least: float, training: Training) -> Iterator[DesignProblem]:
        """A smallest feature of more than one neuron, where a stage weighs features."""
        weights = {name: stage.feature for name, stage in training.stages.items() if stage.feature is not None}
        if weights and least <= self.pitch:
            name, weight = next(iter(weights.items()))
            message = "each neuron is as wide as the smallest feature, so that no part can be too narrow"
            key = f"training.stages.{name}.feature, fabrication.min_feature, optics.pitch"
            value = f"{weight:g}, {format_length(least)}, {format_length(self.pitch)}"
            expected = f"a min_feature of more than {format_length(self.pitch)}"
            yield DesignProblem(key, message, value, expected, "remove feature, or correct min_feature")

    def error_problem(self, name: str) -> DesignProblem | None:
        """Light that is marched through a relief meets no panel."""
        if self.model == "thin" or name not in _OF_PANELS:
            return super().error_problem(name)
        message = "a relief that light is marched through is no panel"
        return DesignProblem("optics.model", message, toml_value(self.model), 'model = "thin"', f"remove {name}")
