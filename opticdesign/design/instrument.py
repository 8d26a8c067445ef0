"""Tables of a design that say what stands around the optics: light, process, camera, decoder, panel."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opticdesign.design.fields import Table, Variant, kind_of, sequence, variant
from opticdesign.design.materials import MaterialChoice
from opticdesign.design.toml_text import toml_value
from opticdesign.design.values import check_power_of_two, refuse
from opticdesign.errors import DesignProblem
from opticdesign.plugins import Plugins
from opticdesign.units import Electrons, Length, Photons, Wavelength, format_length

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "DecoderSpec",
    "DetectorSpec",
    "Fabrication",
    "InterpolatedUNetSpec",
    "Light",
    "NoDecoder",
    "SRCNNSpec",
    "SlmPanel",
    "SwinIRSpec",
    "UNetSpec",
]


class Light(Table):
    """The illumination.

    Attributes:
        wavelength: vacuum wavelength, metres; in a file also a frequency.
    """

    wavelength: Annotated[
        Wavelength, Field(gt=0, description="vacuum wavelength, or frequency", examples=["632.8 nm", "0.4 THz"])
    ]


class Fabrication(Table):
    """The process that makes the masks.

    Attributes:
        material: the mask's material, by name or as a table of one's own.
        medium: the material around the masks, which absorbs nothing.
        levels: number of heights.
        heights: these heights above the lowest, metres, the lowest first; None for equal steps over a phase of 2π.
        min_feature: smallest width the process can make, metres.
        max_aspect_ratio: height over width above which thin-element theory is doubtful.
    """

    material: MaterialChoice = Field(description="material of the masks", examples=["fused silica"])
    medium: MaterialChoice = Field(default="air", description="material around the masks", examples=["air"])
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
        shot_noise: whether counts vary as photons do; else all noise is Gaussian, as large as the read noise.
        pixel: pitch of the camera's own pixels, one for each sample of the image, of which binning² are read as one,
            metres; None where the samples alone say it.
    """

    binning: Annotated[int, AfterValidator(check_power_of_two)] = Field(
        ge=1, le=32, description="field samples per camera pixel along each axis: 1, 2, 4, 8, 16 or 32", examples=[8]
    )
    max_photons: Photons = Field(gt=0, description="photons per pixel at intensity 1", examples=["10000 photon"])
    read_noise: Electrons = Field(ge=0, description="standard deviation of the read noise", examples=["6 electron"])
    quantum_efficiency: float = Field(default=1.0, gt=0, le=1, description="electrons per photon", examples=[0.8])
    full_well: Electrons | None = Field(default=None, gt=0, description="electrons", examples=["30000 electron"])
    bits: int | None = Field(default=None, ge=1, le=16, description="of the converter, 1 to 16", examples=[12])
    shot_noise: bool = Field(default=True, description="whether photons are counted", examples=[False])
    pixel: Length | None = Field(default=None, gt=0, description="pitch of the camera's pixels", examples=["3.4 um"])

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


class InterpolatedUNetSpec(DecoderSpec):
    """A U-Net decoder with four poolings that works on interpolated readings, of any size.

    Attributes:
        kind: "interpolated-unet".
        channels: channels at the sampling of the phase.
    """

    kind: Literal["interpolated-unet"] = Field(description="kind of decoder", examples=["interpolated-unet"])
    channels: int = Field(default=64, ge=1, le=1024, description="channels of the first level", examples=[64])

    def build(self, binning: int) -> nn.Module:
        """A U-Net behind an interpolation."""
        from opticdesign.decoders import InterpolatedUNet

        return InterpolatedUNet(binning, self.channels)


class SRCNNSpec(DecoderSpec):
    """An SRCNN decoder: three convolutions on interpolated readings, of any size.

    Attributes:
        kind: "srcnn".
    """

    kind: Literal["srcnn"] = Field(description="kind of decoder", examples=["srcnn"])

    def build(self, binning: int) -> nn.Module:
        """An SRCNN."""
        from opticdesign.decoders import SRCNN

        return SRCNN(binning)


class NoDecoder(DecoderSpec):
    """No decoder: the light on the camera is the image, but for one factor.

    Attributes:
        kind: "none".
    """

    kind: Literal["none"] = Field(description="kind of decoder", examples=["none"])

    def build(self, binning: int) -> None:
        """Nothing."""


_DECODERS = (UNetSpec, SwinIRSpec, InterpolatedUNetSpec, SRCNNSpec, NoDecoder)
_MORE_DECODERS = Plugins("opticdesign.decoders", "decoder", variant(DecoderSpec), [kind_of(spec) for spec in _DECODERS])


class SlmPanel(Table):
    """The panel that shows the masks.

    Attributes:
        two_pi_grey: grey levels that make a phase of 2π.
    """

    two_pi_grey: int = Field(default=256, ge=2, le=256, description="grey levels of 2π, 2 to 256", examples=[256])
