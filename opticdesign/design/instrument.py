"""Tables of a design that say what the instrument is: light, optics, process, camera, decoder, panel."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opticdesign.design.fields import MaterialName, NeuronPair, Table, Variant, automatic, kind_of, sequence
from opticdesign.design.toml_text import toml_value
from opticdesign.design.values import check_power_of_two, refuse
from opticdesign.errors import DesignProblem
from opticdesign.plugins import Plugins
from opticdesign.units import Electrons, Length, Photons, format_length

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "D2NNOptics",
    "DecoderSpec",
    "DetectorSpec",
    "Fabrication",
    "FilterOptics",
    "Light",
    "NoDecoder",
    "Optics",
    "SlmPanel",
    "SwinIRSpec",
    "UNetSpec",
]

Samples: TypeAlias = Annotated[Annotated[int, Field(ge=1, le=64)] | None, *automatic("integer", 1, 64)]
FillFactor: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Gaps: TypeAlias = Literal["dark", "clear"]
Surroundings: TypeAlias = Literal["neighbours", "field-stop", "repeat"]
Margin: TypeAlias = Annotated[Annotated[Length, Field(ge=0)] | None, *automatic("string")]
Padding: TypeAlias = Annotated[Annotated[float, Field(ge=1, le=12)] | None, *automatic("number", 1, 12)]
Accuracy: TypeAlias = Annotated[float, Field(ge=1e-4, le=0.2)]


class Light(Table):
    """The illumination.

    Attributes:
        wavelength: vacuum wavelength, metres.
    """

    wavelength: Annotated[Length, Field(gt=0, description="vacuum wavelength", examples=["632.8 nm"])]


class D2NNOptics(Table):
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
        accuracy: largest error of the camera's reading by sampling and windows, rms over its mean.
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


class FilterOptics(Table):
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
    def period(self) -> int:
        """A filter acts alike everywhere."""
        return 1


class Fabrication(Table):
    """The process that makes the masks.

    Attributes:
        material: name of the mask's material.
        medium: name of the material around the masks.
        levels: number of heights.
        heights: these heights above the lowest, metres, the lowest first; None for equal steps over a phase of 2π.
        min_feature: smallest width the process can make, metres.
        max_aspect_ratio: height over width above which thin-element theory is doubtful.
    """

    material: MaterialName = Field(description="material of the masks", examples=["fused silica"])
    medium: MaterialName = Field(default="air", description="material around the masks", examples=["air"])
    levels: int = Field(ge=2, le=256, description="number of heights, 2 to 256", examples=[8])
    heights: Annotated[tuple[Length, ...], BeforeValidator(sequence)] | None = Field(
        default=None, description="heights that rise from 0", examples=[["0 nm", "330 nm", "700 nm", "1030 nm"]]
    )
    min_feature: Length = Field(gt=0, description="smallest width the process can make", examples=["300 nm"])
    max_aspect_ratio: float = Field(default=1.0, gt=0, le=100, description="height over width", examples=[1.0])

    @model_validator(mode="after")
    def _consistent(self) -> Fabrication:
        refuse(_check_heights(self))
        return self


def _check_heights(made: Fabrication) -> list[DesignProblem]:
    """Heights that rise from zero, one for each level."""
    if made.heights is None:
        return []
    if len(made.heights) != made.levels:
        value, expected = f"{len(made.heights)} heights, {made.levels}", f"{made.levels} heights"
        remedy = f"set fabrication.levels = {len(made.heights)}, or give one height for each level"
        return [DesignProblem("heights, levels", "there is not one height for each level", value, expected, remedy)]
    if made.heights[0] == 0.0 and all(lower < upper for lower, upper in pairwise(made.heights)):
        return []
    value = toml_value([format_length(height) for height in made.heights])
    message, remedy = "the heights do not rise from zero", "sort them, and count them from the lowest"
    return [DesignProblem("heights", message, value, 'rising heights, the first "0 nm"', remedy)]


class DetectorSpec(Table):
    """The camera.

    Attributes:
        binning: samples of the field per camera pixel along each axis, a power of two; the compression is its square.
            A camera without a decoder may have 1.
        max_photons: photons a pixel counts at intensity 1.
        read_noise: standard deviation of the read noise, electrons.
        quantum_efficiency: electrons that one photon frees on average.
        full_well: electrons a pixel holds; what is more is lost. None: no end.
        bits: of the converter, whose codes run from 0 to the full well; None: readings are not rounded.
    """

    binning: Annotated[int, AfterValidator(check_power_of_two)] = Field(
        ge=1, le=32, description="field samples per camera pixel along each axis: 1, 2, 4, 8, 16 or 32", examples=[8]
    )
    max_photons: Photons = Field(gt=0, description="photons per pixel at intensity 1", examples=["10000 photon"])
    read_noise: Electrons = Field(ge=0, description="standard deviation of the read noise", examples=["6 electron"])
    quantum_efficiency: float = Field(default=1.0, gt=0, le=1, description="electrons per photon", examples=[0.8])
    full_well: Electrons | None = Field(default=None, gt=0, description="electrons", examples=["30000 electron"])
    bits: int | None = Field(default=None, ge=1, le=16, description="of the converter, 1 to 16", examples=[12])

    @model_validator(mode="after")
    def _consistent(self) -> DetectorSpec:
        refuse(_check_camera(self))
        return self


def _check_camera(camera: DetectorSpec) -> list[DesignProblem]:
    """A full well under a converter, above what intensity 1 fills."""
    if camera.bits is not None and camera.full_well is None:
        message, remedy = "missing key 'full_well' beside bits", 'add full_well = "30000 electron"'
        return [DesignProblem("bits", message, str(camera.bits), "the electrons of the highest code", remedy)]
    return []


class DecoderSpec(Variant):
    """What turns readings of the camera into phase: a kind of ours, or of the entry-point group `opticdesign.decoders`.

    A key `reader` that is true sets a linear reader beside the network.

    Attributes:
        kind: the kind of decoder, in a group's entry its name.
        halvings: how often the network halves the sides of a reading.
    """

    halvings: ClassVar[int] = 0

    @property
    def with_reader(self) -> bool:
        """Whether a linear reader stands beside the network."""
        return bool(getattr(self, "reader", False))

    def build(self, binning: int) -> nn.Module | None:
        """The network from readings (batch, y/b, x/b) to phase over 2π (batch, y, x); None for none.

        Its weights are drawn from torch's global generator, which the design seeds.

        Args:
            binning: samples of the phase for each camera pixel along each axis, b.
        """
        raise NotImplementedError

    @classmethod
    def kinds(cls) -> tuple[type[Variant], ...]:
        """All decoders, ours first."""
        return (*_DECODERS, *_MORE_DECODERS.all().values()) if cls is DecoderSpec else super().kinds()


class UNetSpec(DecoderSpec):
    """A U-Net decoder with three poolings.

    Attributes:
        kind: "unet".
        channels: channels of the first level.
        reader: whether it adds to what a linear reader finds, which a stage with loss = "ridge" fits in closed form.
    """

    halvings: ClassVar[int] = 3
    kind: Literal["unet"] = Field(description="kind of decoder", examples=["unet"])
    channels: int = Field(default=48, ge=8, le=1024, multiple_of=8, description="a multiple of 8", examples=[32])
    reader: bool = Field(default=False, description="with a linear reader beside it", examples=[True])

    def build(self, binning: int) -> nn.Module:
        """A U-Net."""
        from opticdesign.decoders import UNet

        return UNet(binning, self.channels)


class SwinIRSpec(DecoderSpec):
    """A SwinIR decoder.

    Attributes:
        kind: "swinir".
        preset: its size: that of the paper, light, or tiny for trials on a CPU.
        reader: as for a U-Net.
    """

    kind: Literal["swinir"] = Field(description="kind of decoder", examples=["swinir"])
    preset: Literal["paper", "light", "tiny"] = Field(default="paper", description="size", examples=["tiny"])
    reader: bool = Field(default=False, description="with a linear reader beside it", examples=[True])

    def build(self, binning: int) -> nn.Module:
        """A SwinIR."""
        from opticdesign.decoders import SwinIR

        return SwinIR(binning, self.preset)


class NoDecoder(DecoderSpec):
    """No decoder: the light on the camera is the image, but for one factor.

    Attributes:
        kind: "none".
    """

    kind: Literal["none"] = Field(description="kind of decoder", examples=["none"])

    def build(self, binning: int) -> None:
        """Nothing."""


def _decoder(name: str, named: Any) -> type[DecoderSpec]:
    """The spec that an entry of a name names."""
    if not (isinstance(named, type) and issubclass(named, DecoderSpec)):
        raise TypeError("it is no DecoderSpec")
    if kind_of(named) != name:
        raise TypeError(f"its kind is {kind_of(named)!r}")
    return named


_DECODERS = (UNetSpec, SwinIRSpec, NoDecoder)
_MORE_DECODERS = Plugins("opticdesign.decoders", "decoder", _decoder, [kind_of(spec) for spec in _DECODERS])


class SlmPanel(Table):
    """The panel that shows the masks.

    Attributes:
        two_pi_grey: grey levels that make a phase of 2π.
    """

    two_pi_grey: int = Field(default=256, ge=2, le=256, description="grey levels of 2π, 2 to 256", examples=[256])


Optics: TypeAlias = Annotated[D2NNOptics | FilterOptics, Field(discriminator="kind")]
