"""Tables of a design that say what it learns from, how, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from opticdesign.design.fields import (
    DataUnit,
    Factor,
    Fraction,
    Name,
    OneOf,
    Part,
    StepNumber,
    Table,
    Temperature,
    sequence,
    usual_unit,
)
from opticdesign.design.toml_text import toml_value
from opticdesign.design.values import (
    check_data_split,
    check_milestones,
    check_phase_range,
    check_scale,
    check_temperature,
    refuse,
)
from opticdesign.errors import DesignProblem
from opticdesign.plugins import Plugins, function
from opticdesign.units import Angle, Length, format_length

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "MORE_LOSSES",
    "Augmentation",
    "Data",
    "DataTables",
    "Evaluation",
    "FolderData",
    "Perceptual",
    "StackData",
    "Stage",
    "StructureSpec",
    "SyntheticData",
    "Training",
    "Vgg19Spec",
]


_PARTS = 'one or both of "optics", "decoder"'
_BEFORE_DECODER = ("intensity-l1", "linear-probe")  # losses of the light alone
_LOSSES = ("intensity-l1", "linear-probe", "l1", "mse", "ssim", "l1+ssim", "gan", "ridge")
MORE_LOSSES: Plugins[Callable[[Tensor, Tensor], Tensor]] = Plugins("opticdesign.losses", "loss", function, _LOSSES)
"""Losses of other packages: a scalar of a decoder's image and its target, both phase over 2π (batch, y, x)."""


LeastEdges: TypeAlias = Annotated[float, Field(ge=0, lt=1, description="share of edges", examples=[0.02])]


class SyntheticData(Table):
    """Synthetic cells from a seeded generator.

    Attributes:
        kind: "synthetic".
        fields: number of fields, dealt out to training, validation and test.
        least_edges: as of files.
    """

    kind: Literal["synthetic"] = Field(description="kind of data", examples=["synthetic"])
    fields: int = Field(default=24, ge=3, le=100_000, description="number of fields, 3 or more", examples=[24])
    least_edges: LeastEdges = 0.0


class FolderData(Table):
    """Phase images or complex fields from a file or a folder.

    Attributes:
        kind: "folder".
        path: the file or folder; a relative path starts at the current directory. Whether it exists is seen on reading.
        pitch: distance between neighbouring samples of the files, metres; None where it is what they say, or the
            design's where they say nothing.
        key: name of the array inside npz, mat and h5 files, or a pattern such as "*/phase/raw", whose every match is a
            map; None where there is one candidate only.
        unit: what real numbers are in: an angle, waves, a length of optical path, or grey values of so many bits, "full
            scale" for floats from 0 to 1; None where they are radians that look like it, or integers.
        complex: what complex numbers are: a field A·exp(iφ), or amplitude and phase as real and imaginary parts.
        wrapped: what becomes of a phase that jumps by 2π: refused, unwrapped, or accepted as it is.
        phase_range: phases of zero and of full scale of grey values, radians.
        split_by: divide each field into sectors, or deal out whole files, or whole maps; "leaking" puts every map into
            all parts, as a random split of mirrored patches does: for comparison with results made so, and no test.
        split: fractions for training, validation and test; their sum is 1.
        least_edges: share of a patch's samples at which the phase rises by more than 0.25 rad/µm; patches with fewer
            are empty and left out.
    """

    kind: Literal["folder"] = Field(description="kind of data", examples=["folder"])
    path: str = Field(min_length=1, max_length=4096, description="a file or folder", examples=["fields/"])
    pitch: Length | None = Field(default=None, gt=0, description="distance of samples", examples=["316.4 nm"])
    key: str | None = Field(
        default=None, min_length=1, description="name of an array, or a pattern", examples=["phase"]
    )
    unit: Annotated[DataUnit, BeforeValidator(usual_unit)] | None = Field(
        default=None, description="what the numbers are in", examples=["nm"]
    )
    complex: Literal["field", "amplitude+phase"] | None = Field(
        default=None, description="what complex numbers are", examples=["field"]
    )
    wrapped: Literal["refuse", "unwrap", "accept"] = Field(
        default="refuse", description="what becomes of a phase that jumps by 2π", examples=["unwrap"]
    )
    phase_range: Annotated[tuple[Angle, Angle], BeforeValidator(sequence), AfterValidator(check_phase_range)] | None = (
        Field(default=None, description="phases of zero and full scale", examples=[["0 rad", "6.28 rad"]])
    )
    split_by: Literal["sector", "file", "map", "leaking"] = Field(
        default="sector", description="what is divided", examples=["sector"]
    )
    split: Annotated[
        tuple[Fraction, Fraction, Fraction], BeforeValidator(sequence), AfterValidator(check_data_split)
    ] = Field(
        default=(0.5, 0.25, 0.25),
        description="fractions for training, validation and test",
        examples=[[0.5, 0.25, 0.25]],
    )
    least_edges: LeastEdges = 0.0


class StackData(Table):
    """Stacks of measured frames in several planes, for optics of the kind "measured".

    The label is the phase of the transport-of-intensity equation.

    Attributes:
        kind: "stacks".
        path: a file of frames or a folder of them; in a file a frame for each plane, stack after stack.
        planes: where the frames of a stack lie along the light, metres; 0 is in focus.
        read: which of these planes the decoder reads.
        pitch: distance between pixels in the object, metres; None for what the files state, or the design's.
        method, longest, darkest: how the phase is solved for, as of `opticdesign tie`.
        least_edges: as of files.
        split_by: deal out whole files, or stacks, or divide each field into sectors.
        split: fractions for training, validation and test; their sum is 1.
    """

    kind: Literal["stacks"] = Field(description="kind of data", examples=["stacks"])
    path: str = Field(min_length=1, max_length=4096, description="a file or folder", examples=["stacks/"])
    planes: Annotated[tuple[Length, ...], BeforeValidator(sequence)] = Field(
        description="where the frames of a stack lie", examples=[["0 um", "2.5 um"]]
    )
    read: Length = Field(description="the plane that the decoder reads", examples=["2.5 um"])
    pitch: Length | None = Field(default=None, gt=0, description="distance of pixels", examples=["232.5 nm"])
    method: Literal["fft", "dct", "universal"] = Field(
        default="universal", description="solver of the phase", examples=["universal"]
    )
    longest: Length | None = Field(
        default=None, gt=0, description="period of which half is believed", examples=["100 um"]
    )
    darkest: float = Field(default=0.1, gt=0, lt=1, description="share of the usual light", examples=[0.1])
    least_edges: LeastEdges = 0.0
    split_by: Literal["sector", "file", "map"] = Field(default="file", description="what is divided", examples=["file"])
    split: Annotated[
        tuple[Fraction, Fraction, Fraction], BeforeValidator(sequence), AfterValidator(check_data_split)
    ] = Field(
        default=(0.5, 0.25, 0.25),
        description="fractions for training, validation and test",
        examples=[[0.5, 0.25, 0.25]],
    )

    @model_validator(mode="after")
    def _consistent(self) -> StackData:
        refuse(_check_planes(self))
        return self


def _check_planes(data: StackData) -> list[DesignProblem]:
    """Planes apart from each other, one of which is read."""
    shown = toml_value([format_length(plane) for plane in data.planes])
    if len(set(data.planes)) < 2:
        message, remedy = "the planes of a stack give no derivative", 'set planes = ["0 um", "2.5 um"]'
        return [DesignProblem("planes", message, shown, "two planes or more, apart", remedy)]
    if data.read in data.planes:
        return []
    value, remedy = f"{format_length(data.read)}, {shown}", "set read to one of planes"
    return [DesignProblem("read, planes", "no frame lies in the plane that is read", value, "one of planes", remedy)]


class Stage(Table):
    """One stage of training.

    Attributes:
        train: the parts whose parameters change.
        loss: what is made small; "intensity-l1" compares |A_out|² with phase/2π, "linear-probe" is the error of the
            best linear reader of the camera; both train the optics and need no decoder. "gan" is L1, the perceptual
            loss and a tenth of what a discriminator learns to tell. "ridge" fits the decoder's linear reader.
            "mse" is in waves²; on a scale of 255 greys over a phase range Φ it is (255·2π/Φ)² times as much.
        steps: number of optimiser steps.
        optics_rate: learning rate of the optics, where they are trained.
        decoder_rate: learning rate of the decoder, where it is trained.
        discriminator_rate: learning rate of the discriminator, for loss = "gan".
        decay: how the rates fall: a short rise and half a cosine, a factor at each milestone, or not at all.
        milestones: steps after which the rates are multiplied by gamma, for decay = "milestones".
        gamma: that factor.
        layerwise: train layer after layer: each alone with its own output power for `steps`, then with all before it
            for `joint_steps` (Algorithm 1 of compressed quantitative phase microscopy).
        joint_steps: optimiser steps of each joint part of a layerwise stage.
        joint_rate: learning rate of the optics there.
        quantised: whether the masks are seen as the process would make them.
        rounding: how optics learn through the levels of a quantised stage: the nearest level, with the gradient of the
            phase before it; the mean of the levels around the phase; or one of these drawn at random.
        temperature: how wide those levels lie around the phase, at the first step and at the last, for a rounding
            that has one: at 1 the mean is the phase itself, at 0 it would be the nearest level.
        variation: weight of the masks' total variation, in radians a neuron, beside the loss.
        feature: weight of the share of the masks that is narrower than fabrication.min_feature, beside the loss.
        noise: whether the detector is noisy.
        vaccinated: whether each batch sees an instrument with errors of its own, drawn from [tolerance].
        draws: whether each patch of such a batch sees one of its own.
    """

    train: Annotated[tuple[Part, ...], BeforeValidator(sequence)] = Field(
        description="parts that are trained",
        examples=[["optics", "decoder"]],
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )
    loss: Annotated[str, OneOf(lambda: (*_LOSSES, *MORE_LOSSES.names()))] = Field(description="loss", examples=["l1"])
    steps: int = Field(ge=1, le=10_000_000, description="optimiser steps, 1 to 10 million", examples=[100])
    optics_rate: float | None = Field(default=None, gt=0, le=100, description="learning rate", examples=[0.01])
    decoder_rate: float | None = Field(default=None, gt=0, le=100, description="learning rate", examples=[0.002])
    discriminator_rate: float | None = Field(default=None, gt=0, le=100, description="learning rate", examples=[1e-4])
    decay: Literal["cosine", "milestones", "none"] = Field(
        default="cosine", description="how the rates fall", examples=["cosine"]
    )
    milestones: Annotated[tuple[StepNumber, ...], BeforeValidator(sequence), AfterValidator(check_milestones)] = Field(
        default=(), description="rising steps", examples=[[50, 400, 650, 1000, 1400]]
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="factor at a milestone", examples=[0.1])
    layerwise: bool = Field(default=False, description="layer after layer", examples=[True])
    joint_steps: int | None = Field(default=None, ge=1, le=10_000_000, description="optimiser steps", examples=[100])
    joint_rate: float | None = Field(default=None, gt=0, le=100, description="learning rate", examples=[5e-5])
    quantised: bool = Field(default=False, description="quantisation-aware", examples=[True])
    rounding: Literal["straight-through", "soft", "gumbel"] = Field(
        default="straight-through", description="how optics learn through levels", examples=["soft"]
    )
    temperature: (
        Annotated[tuple[Temperature, Temperature], BeforeValidator(sequence), AfterValidator(check_temperature)] | None
    ) = Field(default=None, description="first and last, each above 0 and at most 1", examples=[[1.0, 0.005]])
    variation: float | None = Field(
        default=None, gt=0, le=1e6, description="weight of the total variation", examples=[0.01]
    )
    feature: float | None = Field(default=None, gt=0, le=1e6, description="weight of narrow parts", examples=[0.1])
    noise: bool = Field(default=True, description="with detector noise", examples=[True])
    vaccinated: bool = Field(default=False, description="with errors of [tolerance]", examples=[True])
    draws: Literal["batch", "patch"] = Field(
        default="batch", description="what has errors of its own", examples=["patch"]
    )

    @model_validator(mode="after")
    def _consistent(self) -> Stage:
        refuse([*_check_stage(self), *_check_masks(self), *_check_vaccinated(self)])
        return self


def _check_stage(stage: Stage) -> list[DesignProblem]:
    """Parts named once, a rate for each trained part, a loss that reaches them."""
    problems = []
    if not stage.train:
        problems.append(DesignProblem("train", "this stage trains nothing", "[]", _PARTS, 'write train = ["optics"]'))
    if len(set(stage.train)) < len(stage.train):
        problems.append(
            DesignProblem("train", "a part is named twice", toml_value(stage.train), _PARTS, "name it once")
        )
    for part, rate in (("optics", stage.optics_rate), ("decoder", stage.decoder_rate)):
        if part in stage.train and rate is None and stage.loss != "ridge":
            key = f"{part}_rate"
            message = f"missing key {key!r}: this stage trains the {part}"
            problems.append(DesignProblem(key, message, expected="a number above 0", remedy=f"add {key} = 0.001"))
        if rate is not None and (part not in stage.train or stage.loss == "ridge"):
            key = f"{part}_rate"
            closed = "a linear reader is fitted in closed form"
            message = closed if stage.loss == "ridge" else f"this stage does not train the {part}"
            problems.append(
                DesignProblem(key, message, f"{rate:g}", f"no {key}", "remove it, or change train and loss")
            )
    if stage.loss in _BEFORE_DECODER and "decoder" in stage.train:
        message = "this loss compares light in front of the decoder, which learns nothing from it"
        expected, remedy = (
            '"l1", "mse", "ssim", "l1+ssim" or "gan" where the decoder is trained',
            'change loss, or train = ["optics"]',
        )
        value = f"{toml_value(stage.loss)}, {toml_value(stage.train)}"
        problems.append(DesignProblem("loss, train", message, value, expected, remedy))
    if stage.loss == "ridge" and tuple(stage.train) != ("decoder",):
        value = f"{toml_value(stage.loss)}, {toml_value(stage.train)}"
        message = "ridge regression fits the decoder's linear reader and nothing else"
        problems.append(DesignProblem("loss, train", message, value, 'train = ["decoder"]', "change loss or train"))
    if stage.layerwise and tuple(stage.train) != ("optics",):
        message = "a layerwise stage trains the optics alone"
        value = f"true, {toml_value(stage.train)}"
        remedy = "change train, or remove layerwise"
        problems.append(DesignProblem("layerwise, train", message, value, 'train = ["optics"]', remedy))
    return [*problems, *_check_dependent_keys(stage)]


def _check_dependent_keys(stage: Stage) -> list[DesignProblem]:
    """Keys that stand only, and always, beside a certain value of another."""
    gan = stage.loss == "gan"
    if gan and "decoder" not in stage.train:
        value = f"{toml_value(stage.loss)}, {toml_value(stage.train)}"
        message = "a discriminator judges what the decoder learns to make"
        expected, remedy = '"decoder" in train', "change loss, or train the decoder"
        return [DesignProblem("loss, train", message, value, expected, remedy)]
    rules = [
        ("discriminator_rate", stage.discriminator_rate, gan, 'loss = "gan"', "discriminator_rate = 0.0001"),
        ("milestones", stage.milestones, stage.decay == "milestones", 'decay = "milestones"', "milestones = [400]"),
        (
            "temperature",
            stage.temperature,
            stage.rounding != "straight-through",
            'rounding = "soft" or "gumbel"',
            "temperature = [1.0, 0.005]",
        ),
        ("joint_steps", stage.joint_steps, stage.layerwise, "layerwise = true", "joint_steps = 100"),
        ("joint_rate", stage.joint_rate, stage.layerwise, "layerwise = true", "joint_rate = 0.00005"),
    ]
    problems = []
    for key, given, wanted, beside, example in rules:
        if wanted and not given:
            message = f"missing key {key!r}: it belongs to {beside}"
            problems.append(DesignProblem(key, message, expected="a value", remedy=f"add {example}"))
        if given and not wanted:
            message = f"{key} says nothing without {beside}"
            problems.append(DesignProblem(key, message, toml_value(given), beside, f"remove it, or set {beside}"))
    return problems


def _check_masks(stage: Stage) -> list[DesignProblem]:
    """Keys about how masks learn, in stages that train masks."""
    problems = []
    trains = "optics" in stage.train
    if stage.rounding != "straight-through" and not (stage.quantised and trains):
        value = f"{toml_value(stage.rounding)}, {toml_value(stage.quantised)}, {toml_value(stage.train)}"
        message = "this rounding is for optics that learn to be quantised"
        expected, remedy = 'quantised = true and "optics" in train', "remove rounding, or change quantised and train"
        problems.append(DesignProblem("rounding, quantised, train", message, value, expected, remedy))
    for key, weight in (("variation", stage.variation), ("feature", stage.feature)):
        if weight is not None and not trains:
            message = f"{key} is a weight on masks, which this stage does not train"
            value = f"{weight:g}, {toml_value(stage.train)}"
            remedy = f"remove {key}, or change train"
            problems.append(DesignProblem(f"{key}, train", message, value, '"optics" in train', remedy))
    return problems


def _check_vaccinated(stage: Stage) -> list[DesignProblem]:
    """Errors of making for masks that are seen as made, and draws of errors alone."""
    if not stage.vaccinated and stage.draws != "batch":
        message, remedy = "there are no errors to draw", "set vaccinated = true, or remove draws"
        value = f"{toml_value(stage.draws)}, false"
        return [DesignProblem("draws, vaccinated", message, value, "vaccinated = true beside it", remedy)]
    if not stage.vaccinated or stage.quantised:
        return []
    message = "errors befall masks as the process makes them"
    key, value = "vaccinated, quantised", "true, false"
    return [DesignProblem(key, message, value, "quantised = true beside it", "set quantised = true")]


class Augmentation(Table):
    """New samples made of the given ones.

    Attributes:
        superpose: share of patches that are a weighted sum of two.
        scale: smallest and largest factor on the phase of such a sum.
    """

    superpose: float = Field(default=0.0, ge=0, le=1, description="share of summed patches, 0 to 1", examples=[0.7])
    scale: Annotated[tuple[Factor, Factor], BeforeValidator(sequence), AfterValidator(check_scale)] = Field(
        default=(1.0, 1.0), description="factors on the phase of sums", examples=[[0.8, 1.4]]
    )


class Vgg19Spec(Table):
    """The perceptual loss of the paper, on features of a VGG19 whose weights the user has.

    Attributes:
        kind: "vgg19".
        weights: a safetensors file; a relative path starts at the current directory.
        sha256: its SHA-256; None takes the file as it is and records its hash.
    """

    kind: Literal["vgg19"] = Field(description="kind of perceptual loss", examples=["vgg19"])
    weights: str = Field(min_length=1, max_length=4096, description="a file", examples=["vgg19.safetensors"])
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-fA-F]{64}$", description="64 hexadecimal digits", examples=["0" * 64]
    )


class StructureSpec(Table):
    """A substitute that needs no weights: similarity of structure at several scales, and of gradients.

    Attributes:
        kind: "structure".
    """

    kind: Literal["structure"] = Field(description="kind of perceptual loss", examples=["structure"])


Perceptual: TypeAlias = Annotated[Vgg19Spec | StructureSpec, Field(discriminator="kind")]


class Training(Table):
    """How the design is trained.

    Attributes:
        seed: seed of every random draw.
        batch: patches of a batch.
        accumulate: batches of a step, whose gradients are averaged; the processes of torchrun share them.
        precision: number type of the decoder's arithmetic; the optics are always complex64.
        ema: decay of the running mean of the decoder's weights that is kept as the result; 0 keeps the last weights.
        augmentation: how training patches are varied.
        discriminator_features: features of the discriminator's first level, for the loss "gan".
        perceptual: the perceptual part of the loss "gan".
        stages: the stages by name, in the order in which they run.
    """

    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="seed, 0 or more", examples=[0])
    batch: int = Field(default=4, ge=1, le=4096, description="patches of a batch, 1 to 4096", examples=[4])
    accumulate: int = Field(default=1, ge=1, le=4096, description="batches per step, 1 to 4096", examples=[1])
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="number type of the decoder", examples=["bfloat16"]
    )
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay of averaged weights, 0 is off", examples=[0.999])
    augmentation: Augmentation = Augmentation()
    discriminator_features: int = Field(default=64, ge=4, le=512, description="features, 4 to 512", examples=[64])
    perceptual: Perceptual | None = None
    stages: dict[Name, Stage] = Field(min_length=1, description="stages by name, in order")


class Evaluation(Table):
    """How the trained design is judged.

    Attributes:
        overlap: samples of the field shared by neighbouring tiles of a full field.
        random_masks: number of fixed random masks that stand beside the design as floors.
        tiling: how tiles make a full field: blended where they overlap, each cut to its middle, or side by side on a
            field that is padded to whole tiles.
    """

    overlap: int = Field(default=64, ge=0, le=8191, description="field samples shared by tiles", examples=[64])
    random_masks: int = Field(default=1, ge=0, le=100, description="number of random masks, 0 to 100", examples=[1])
    tiling: Literal["blend", "crop", "pad"] = Field(
        default="blend", description="how tiles make a full field", examples=["blend"]
    )


class DataTables(Table):
    """The table [data] alone, of files, where there is no design."""

    data: FolderData


Data: TypeAlias = Annotated[SyntheticData | FolderData | StackData, Field(discriminator="kind")]
