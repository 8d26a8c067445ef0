"""The schema of a design: frozen tables of SI numbers, named exactly as in the TOML file.

Lengths are metres and angles radians inside; in a file every quantity is text with a unit. `Design.to_toml` writes a
file that reads back as an equal design.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from opticdesign.design.rules import (
    check_cell,
    check_data_split,
    check_depth,
    check_detector,
    check_light,
    check_material,
    check_phase_range,
    check_power_of_two,
    check_probe,
    check_scale,
    check_slm,
    check_stage,
    check_tiles,
    refuse,
)
from opticdesign.design.toml_text import to_toml
from opticdesign.errors import DesignProblem
from opticdesign.materials import MATERIALS
from opticdesign.units import Angle, Electrons, Length, Photons

__all__ = [
    "Augmentation",
    "D2NNOptics",
    "Design",
    "DetectorSpec",
    "Evaluation",
    "Fabrication",
    "FolderData",
    "Light",
    "SlmPanel",
    "Stage",
    "SyntheticData",
    "Training",
    "UNetSpec",
    "design_schema",
]


class _Table(BaseModel):
    """A table of the design file: unknown keys, other types and changes are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _pair(value: object) -> object:
    """One number for both axes, or the pair itself."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else _sequence(value)


def _sequence(value: object) -> object:
    """A TOML list as the tuple it becomes."""
    return tuple(value) if isinstance(value, list) else value


_Neurons: TypeAlias = Annotated[int, Field(ge=8, le=8192)]
_NEURONS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 8, "maximum": 8192},
        {"type": "array", "items": {"type": "integer", "minimum": 8, "maximum": 8192}, "minItems": 2, "maxItems": 2},
    ]
}
_MaterialName: TypeAlias = Annotated[
    str, AfterValidator(check_material), WithJsonSchema({"type": "string", "enum": list(MATERIALS)})
]
_Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
_Factor: TypeAlias = Annotated[float, Field(gt=0, le=10)]
_Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
_Part: TypeAlias = Literal["optics", "decoder"]


class Light(_Table):
    """The illumination.

    Attributes:
        wavelength: vacuum wavelength, metres.
    """

    wavelength: Annotated[Length, Field(gt=0, description="vacuum wavelength", examples=["632.8 nm"])]


class D2NNOptics(_Table):
    """Layers of square phase neurons one behind the other, all of one size.

    Attributes:
        kind: "d2nn".
        layers: number of layers.
        neurons: neurons along y and x.
        pitch: distance between neighbouring neurons, metres.
        samples: samples of the field across one neuron, more than one where neurons are wider than half a wave.
        input_gap: distance from the object to the first layer, metres.
        layer_gap: distance from layer to layer, metres.
        detector_gap: distance from the last layer to the detector, metres.
        cell: neurons of a square cell that repeats over each mask and is learned as one; None lets every neuron go its
            own way. Repeating masks act alike everywhere, so that a decoder of convolutions can read them.
        start: what the masks are before training: flat, uniformly random, or flat but for 0.1 rad of random phase,
            which gives learning a direction where symmetry leaves none.
        model: each mask as a thin element, or as a relief that light is marched through slice by slice, one slice for
            each height level ("bpm").
        subdivide: samples of the march across one sample of the field, for model = "bpm".
        propagator: the method of propagation; "auto" chooses for each gap, and `check` says what and why.
        padding: width of the computed window over the width of the aperture.
    """

    kind: Literal["d2nn"] = Field(description="kind of optics", examples=["d2nn"])
    layers: int = Field(ge=1, le=32, description="number of layers, 1 to 32", examples=[5])
    neurons: Annotated[tuple[_Neurons, _Neurons], BeforeValidator(_pair), WithJsonSchema(_NEURONS_SCHEMA)] = Field(
        description="rows and columns of neurons, each 8 to 8192", examples=[[256, 256]]
    )
    pitch: Length = Field(gt=0, description="distance between neighbouring neurons", examples=["316.4 nm"])
    samples: int = Field(default=1, ge=1, le=16, description="samples of the field across a neuron", examples=[4])
    input_gap: Length = Field(gt=0, description="distance from object to first layer", examples=["3.373 um"])
    layer_gap: Length = Field(gt=0, description="distance from layer to layer", examples=["3.373 um"])
    detector_gap: Length = Field(gt=0, description="distance from last layer to detector", examples=["5.904 um"])
    cell: int | None = Field(default=None, ge=2, le=8192, description="neurons of a repeating cell", examples=[32])
    start: Literal["clear", "random", "rippled"] = Field(
        default="rippled", description="masks before training", examples=["rippled"]
    )
    model: Literal["thin", "bpm"] = Field(default="thin", description="model of a mask", examples=["bpm"])
    subdivide: int = Field(default=2, ge=1, le=8, description="samples of the march across a sample", examples=[2])
    propagator: Literal[
        "auto", "rayleigh-sommerfeld", "angular-spectrum", "band-limited", "fresnel", "fresnel-impulse"
    ] = Field(default="auto", description="method of propagation", examples=["rayleigh-sommerfeld"])
    padding: float = Field(default=1.5, ge=1, le=4, description="window over aperture, 1 to 4", examples=[1.5])

    @property
    def shape(self) -> tuple[int, int]:
        """Samples of the field along y and x."""
        return self.neurons[0] * self.samples, self.neurons[1] * self.samples

    @property
    def sample_pitch(self) -> float:
        """Distance between samples of the field, metres."""
        return self.pitch / self.samples


class Fabrication(_Table):
    """The process that makes the masks.

    Attributes:
        material: name of the mask's material.
        medium: name of the material around the masks.
        levels: number of heights.
        min_feature: smallest width the process can make, metres.
        max_aspect_ratio: height over width above which thin-element theory is doubtful.
    """

    material: _MaterialName = Field(description="material of the masks", examples=["fused silica"])
    medium: _MaterialName = Field(default="air", description="material around the masks", examples=["air"])
    levels: int = Field(ge=2, le=256, description="number of heights, 2 to 256", examples=[8])
    min_feature: Length = Field(gt=0, description="smallest width the process can make", examples=["300 nm"])
    max_aspect_ratio: float = Field(default=1.0, gt=0, le=100, description="height over width", examples=[1.0])


class DetectorSpec(_Table):
    """The camera.

    Attributes:
        binning: samples of the field per camera pixel along each axis, a power of two; the compression is its square.
        max_photons: photons a pixel counts at intensity 1.
        read_noise: standard deviation of the read noise, electrons.
    """

    binning: Annotated[int, AfterValidator(check_power_of_two)] = Field(
        ge=2, le=32, description="field samples per camera pixel along each axis: 2, 4, 8, 16 or 32", examples=[8]
    )
    max_photons: Photons = Field(gt=0, description="photons per pixel at intensity 1", examples=["10000 photon"])
    read_noise: Electrons = Field(ge=0, description="standard deviation of the read noise", examples=["6 electron"])


class UNetSpec(_Table):
    """A U-Net decoder with three poolings.

    Attributes:
        kind: "unet".
        channels: channels of the first level.
    """

    kind: Literal["unet"] = Field(description="kind of decoder", examples=["unet"])
    channels: int = Field(default=48, ge=8, le=1024, multiple_of=8, description="a multiple of 8", examples=[32])


class SyntheticData(_Table):
    """Synthetic cells from a seeded generator.

    Attributes:
        kind: "synthetic".
        fields: number of fields, dealt out to training, validation and test.
    """

    kind: Literal["synthetic"] = Field(description="kind of data", examples=["synthetic"])
    fields: int = Field(default=24, ge=3, le=100_000, description="number of fields, 3 or more", examples=[24])


class FolderData(_Table):
    """Phase images or complex fields from a file or a folder.

    Attributes:
        kind: "folder".
        path: the file or folder; a relative path starts at the current directory. Whether it exists is seen on reading.
        pitch: distance between neighbouring samples of the files, metres; None where it is the design's.
        key: name of the array inside npz, mat and h5 files; None where there is one candidate only.
        phase_range: phases of zero and of full scale in integer images, radians.
        split_by: divide each field into sectors, or deal out whole files.
        split: fractions for training, validation and test; their sum is 1.
    """

    kind: Literal["folder"] = Field(description="kind of data", examples=["folder"])
    path: str = Field(min_length=1, max_length=4096, description="a file or folder", examples=["fields/"])
    pitch: Length | None = Field(default=None, gt=0, description="distance of samples", examples=["316.4 nm"])
    key: str | None = Field(default=None, min_length=1, description="name of an array", examples=["phase"])
    phase_range: (
        Annotated[tuple[Angle, Angle], BeforeValidator(_sequence), AfterValidator(check_phase_range)] | None
    ) = Field(default=None, description="phases of zero and full scale", examples=[["0 rad", "6.28 rad"]])
    split_by: Literal["sector", "file"] = Field(default="sector", description="what is divided", examples=["sector"])
    split: Annotated[
        tuple[_Fraction, _Fraction, _Fraction], BeforeValidator(_sequence), AfterValidator(check_data_split)
    ] = Field(
        default=(0.5, 0.25, 0.25),
        description="fractions for training, validation and test",
        examples=[[0.5, 0.25, 0.25]],
    )


class Stage(_Table):
    """One stage of training.

    Attributes:
        train: the parts whose parameters change.
        loss: what is made small; "intensity-l1" compares |A_out|² with phase/2π, "linear-probe" is the error of the
            best linear reader of the camera; both train the optics and need no decoder.
        steps: number of optimiser steps.
        optics_rate: learning rate of the optics, where they are trained.
        decoder_rate: learning rate of the decoder, where it is trained.
        quantised: whether the masks are seen as the process would make them.
        noise: whether the detector is noisy.
    """

    train: Annotated[tuple[_Part, ...], BeforeValidator(_sequence)] = Field(
        description="parts that are trained",
        examples=[["optics", "decoder"]],
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )
    loss: Literal["intensity-l1", "linear-probe", "l1", "ssim", "l1+ssim"] = Field(description="loss", examples=["l1"])
    steps: int = Field(ge=1, le=10_000_000, description="optimiser steps, 1 to 10 million", examples=[100])
    optics_rate: float | None = Field(default=None, gt=0, le=100, description="learning rate", examples=[0.01])
    decoder_rate: float | None = Field(default=None, gt=0, le=100, description="learning rate", examples=[0.002])
    quantised: bool = Field(default=False, description="quantisation-aware", examples=[True])
    noise: bool = Field(default=True, description="with detector noise", examples=[True])

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        refuse(check_stage(self))
        return self


class Augmentation(_Table):
    """New samples made of the given ones.

    Attributes:
        superpose: share of patches that are a weighted sum of two.
        scale: smallest and largest factor on the phase of such a sum.
    """

    superpose: float = Field(default=0.0, ge=0, le=1, description="share of summed patches, 0 to 1", examples=[0.7])
    scale: Annotated[tuple[_Factor, _Factor], BeforeValidator(_sequence), AfterValidator(check_scale)] = Field(
        default=(1.0, 1.0), description="factors on the phase of sums", examples=[[0.8, 1.4]]
    )


class Training(_Table):
    """How the design is trained.

    Attributes:
        seed: seed of every random draw.
        batch: patches per step.
        augmentation: how training patches are varied.
        stages: the stages by name, in the order in which they run.
    """

    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="seed, 0 or more", examples=[0])
    batch: int = Field(default=4, ge=1, le=4096, description="patches per step, 1 to 4096", examples=[4])
    augmentation: Augmentation = Augmentation()
    stages: dict[_Name, Stage] = Field(min_length=1, description="stages by name, in order")


class Evaluation(_Table):
    """How the trained design is judged.

    Attributes:
        overlap: samples of the field shared by neighbouring tiles of a full field.
        random_masks: number of fixed random masks that stand beside the design as floors.
    """

    overlap: int = Field(default=64, ge=0, le=8191, description="field samples shared by tiles", examples=[64])
    random_masks: int = Field(default=1, ge=0, le=100, description="number of random masks, 0 to 100", examples=[1])


class SlmPanel(_Table):
    """The panel that shows the masks.

    Attributes:
        two_pi_grey: grey levels that make a phase of 2π.
    """

    two_pi_grey: int = Field(default=256, ge=2, le=256, description="grey levels of 2π, 2 to 256", examples=[256])


Optics: TypeAlias = D2NNOptics  # a union told apart by `kind`, as Data is, once there is a second kind
Decoder: TypeAlias = UNetSpec
Data: TypeAlias = Annotated[SyntheticData | FolderData, Field(discriminator="kind")]


class Design(_Table):
    """A complete design: what is built, trained, judged and made.

    Attributes:
        name: name of the design, also of its run folder and its layout cell.
        light: the illumination.
        optics: the optics.
        fabrication: the process that makes the masks.
        detector: the camera.
        decoder: the network that reads the camera.
        data: the fields it is trained and tested on.
        training: the stages.
        evaluation: how it is judged.
        slm: the panel that shows the masks.
    """

    name: _Name = Field(description="letters, digits, - and _, at most 32", examples=["d2nn5"])
    light: Light
    optics: Optics
    fabrication: Fabrication
    detector: DetectorSpec
    decoder: Decoder
    data: Data
    training: Training
    evaluation: Evaluation = Evaluation()
    slm: SlmPanel = SlmPanel()

    @model_validator(mode="after")
    def _consistent(self) -> Design:
        light = check_light(self)
        problems: list[DesignProblem] = [
            *light,
            *check_detector(self),
            *check_tiles(self),
            *check_slm(self),
            *check_cell(self),
            *(check_depth(self) if not light else []),
            *check_probe(self),
        ]
        refuse(problems)
        return self

    def to_toml(self) -> str:
        """The design as a TOML file in SI units, which reads back as an equal design."""
        return to_toml(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> str:
        """SHA-256 of the resolved design as canonical JSON, 64 hexadecimal digits; the order of stages counts.

        Defaults are left out, so that a key added to the schema later does not estrange the runs made before.
        """
        text = json.dumps(self.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def design_schema() -> dict[str, Any]:
    """JSON schema of a design file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Design.model_json_schema()}
