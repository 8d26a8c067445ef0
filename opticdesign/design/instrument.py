"""Tables of a design that say what the instrument is: light, optics, process, camera, decoder, panel."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opticdesign.design.fields import MaterialName, Table, sequence
from opticdesign.design.mask_rules import check_heights
from opticdesign.design.rules import check_camera, check_power_of_two, refuse
from opticdesign.units import Electrons, Length, Photons

__all__ = [
    "Decoder",
    "DetectorSpec",
    "Fabrication",
    "Light",
    "NoDecoder",
    "SlmPanel",
    "SwinIRSpec",
    "UNetSpec",
]


class Light(Table):
    """The illumination.

    Attributes:
        wavelength: vacuum wavelength, metres.
    """

    wavelength: Annotated[Length, Field(gt=0, description="vacuum wavelength", examples=["632.8 nm"])]


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
        refuse(check_heights(self))
        return self


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
        refuse(check_camera(self))
        return self


class UNetSpec(Table):
    """A U-Net decoder with three poolings.

    Attributes:
        kind: "unet".
        channels: channels of the first level.
        reader: whether it adds to what a linear reader finds, which a stage with loss = "ridge" fits in closed form.
    """

    kind: Literal["unet"] = Field(description="kind of decoder", examples=["unet"])
    channels: int = Field(default=48, ge=8, le=1024, multiple_of=8, description="a multiple of 8", examples=[32])
    reader: bool = Field(default=False, description="with a linear reader beside it", examples=[True])


class SwinIRSpec(Table):
    """A SwinIR decoder.

    Attributes:
        kind: "swinir".
        preset: its size: that of the paper, light, or tiny for trials on a CPU.
        reader: as for a U-Net.
    """

    kind: Literal["swinir"] = Field(description="kind of decoder", examples=["swinir"])
    preset: Literal["paper", "light", "tiny"] = Field(default="paper", description="size", examples=["tiny"])
    reader: bool = Field(default=False, description="with a linear reader beside it", examples=[True])


class NoDecoder(Table):
    """No decoder: the light on the camera is the image, but for one factor.

    Attributes:
        kind: "none".
    """

    kind: Literal["none"] = Field(description="kind of decoder", examples=["none"])


class SlmPanel(Table):
    """The panel that shows the masks.

    Attributes:
        two_pi_grey: grey levels that make a phase of 2π.
    """

    two_pi_grey: int = Field(default=256, ge=2, le=256, description="grey levels of 2π, 2 to 256", examples=[256])


Decoder: TypeAlias = Annotated[UNetSpec | SwinIRSpec | NoDecoder, Field(discriminator="kind")]
