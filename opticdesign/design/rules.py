"""What types alone cannot say about a design: rules that tie values together.

A rule gives the problems it sees. Keys are relative to the table it is asked about; where two values do not fit
together, both keys stand there with a comma between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem, UsageError
from opticdesign.optics.materials import MATERIALS, material
from opticdesign.units import format_length

if TYPE_CHECKING:
    from opticdesign.design.instrument import DetectorSpec
    from opticdesign.design.learning import Stage
    from opticdesign.design.schema import Design

__all__ = [
    "PROBLEMS",
    "check_camera",
    "check_contrast",
    "check_data_split",
    "check_detector",
    "check_doses",
    "check_light",
    "check_material",
    "check_milestones",
    "check_parts",
    "check_perceptual",
    "check_phase_range",
    "check_power_of_two",
    "check_probe",
    "check_scale",
    "check_slm",
    "check_stage",
    "check_tiles",
    "refuse",
]

PROBLEMS = "design_problems"
"""Type of the pydantic error that carries our own problems in its context."""
_POOLINGS = 3  # of the U-Net
_PARTS = 'one or both of "optics", "decoder"'
_BEFORE_DECODER = ("intensity-l1", "linear-probe")  # losses of the light alone


def refuse(problems: Sequence[DesignProblem]) -> None:
    """Hand problems, if any, to pydantic, which adds the path to the table they stand in."""
    if problems:
        raise PydanticCustomError(PROBLEMS, "{message}", {"message": problems[0].message, "problems": list(problems)})


def check_material(name: str) -> str:
    """The name of a known material."""
    if name not in MATERIALS:
        near = get_close_matches(name, MATERIALS, n=1, cutoff=0.5)
        remedy = f'did you mean "{near[0]}"?' if near else "choose a listed material"
        refuse([DesignProblem("", "unknown material", expected="one of " + ", ".join(MATERIALS), remedy=remedy)])
    return name


def check_power_of_two(binning: int) -> int:
    """A binning that a stack of 2 × 2 means can do."""
    if binning < 1 or binning & (binning - 1):
        message = "binning is a stack of 2 × 2 means"
        refuse([DesignProblem("", message, expected="1, 2, 4, 8, 16 or 32", remedy="choose a power of two")])
    return binning


def check_contrast(points: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """A contrast curve that can be read backwards: none, or two points or more, greys rising, heights monotonic."""
    greys, heights = [point[0] for point in points], [point[1] for point in points]
    rises = [second > first for first, second in pairwise(heights)]
    level = any(first == second for first, second in pairwise(heights))
    wrong = len(points) == 1 or any(second <= first for first, second in pairwise(greys))
    if wrong or level or (any(rises) and not all(rises)) or any(height < 0 for height in heights):
        expected = "two points or more, grey values rising, heights above 0 that all rise or all fall"
        remedy = 'for example [[0, "0 nm"], [255, "1400 nm"]]'
        refuse([DesignProblem("", "no curve that can be read backwards", expected=expected, remedy=remedy)])
    return points


def check_phase_range(ends: tuple[float, float]) -> tuple[float, float]:
    """A phase range that rises."""
    if not ends[0] < ends[1]:
        message = "the phase of full scale does not lie above the phase of zero"
        refuse([DesignProblem("", message, expected="two rising angles", remedy='for example ["0 rad", "6.28 rad"]')])
    return ends


def check_scale(ends: tuple[float, float]) -> tuple[float, float]:
    """Factors that do not fall."""
    if ends[0] > ends[1]:
        message = "the smallest factor lies above the largest"
        refuse([DesignProblem("", message, expected="two rising factors", remedy="for example [0.8, 1.4]")])
    return ends


def check_data_split(fractions: tuple[float, float, float]) -> tuple[float, float, float]:
    """Fractions that sum to 1."""
    total = math.fsum(fractions)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        message = f"the fractions sum to {total:.6g}"
        refuse([DesignProblem("", message, expected="a sum of 1", remedy="for example [0.5, 0.25, 0.25]")])
    return fractions


def check_stage(stage: Stage) -> list[DesignProblem]:
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
            '"l1", "ssim", "l1+ssim" or "gan" where the decoder is trained',
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


def check_milestones(steps: tuple[int, ...]) -> tuple[int, ...]:
    """Steps that rise."""
    if any(later <= earlier for earlier, later in pairwise(steps)):
        remedy = "for example [50, 400, 650]"
        refuse([DesignProblem("", "the milestones do not rise", expected="rising steps", remedy=remedy)])
    return steps


def check_parts(design: Design) -> list[DesignProblem]:
    """Stages that train what the design has, and a camera that its decoder can read."""
    problems = []
    for name, stage in design.training.stages.items():
        key = f"training.stages.{name}"
        if design.decoder.kind == "none" and stage.loss != "intensity-l1":
            value = f'{toml_value(stage.loss)}, "none"'
            expected = '"intensity-l1" where there is no decoder'
            remedy = 'change the loss, or choose decoder.kind = "unet"'
            problems.append(
                DesignProblem(f"{key}.loss, decoder.kind", "this loss needs a decoder", value, expected, remedy)
            )
        if stage.loss == "ridge" and design.decoder.kind != "none" and not design.decoder.reader:
            message, remedy = "this decoder has no linear reader to fit", "set decoder.reader = true"
            keys = f"{key}.loss, decoder.reader"
            problems.append(DesignProblem(keys, message, '"ridge", false', "a decoder with a reader", remedy))
    if (design.detector.binning == 1) != (design.decoder.kind == "none"):
        value = f"{design.detector.binning}, {toml_value(design.decoder.kind)}"
        message = "a decoder puts back what a camera of fewer pixels leaves out; without one, none may be left out"
        expected = 'a binning of 1 with decoder.kind = "none", of 2 or more with another'
        remedy = "change detector.binning or decoder.kind"
        problems.append(DesignProblem("detector.binning, decoder.kind", message, value, expected, remedy))
    return problems


def check_perceptual(design: Design) -> list[DesignProblem]:
    """A perceptual loss where one is used."""
    training = design.training
    stages = [name for name, stage in training.stages.items() if stage.loss == "gan"]
    if not stages or training.perceptual is not None:
        return []
    message = f"stage {stages[0]!r} uses a perceptual loss"
    expected = 'kind = "vgg19" with weights, or kind = "structure"'
    remedy = 'add a table [training.perceptual] with kind = "structure"'
    return [DesignProblem("training.perceptual", message, expected=expected, remedy=remedy)]


def check_probe(design: Design) -> list[DesignProblem]:
    """A batch that a linear probe can halve."""
    stages = [name for name, stage in design.training.stages.items() if stage.loss == "linear-probe"]
    if not stages or design.training.batch > 1:
        return []
    key = f"training.batch, training.stages.{stages[0]}.loss"
    message = "a linear probe is fitted to one half of a batch and judged on the other"
    return [DesignProblem(key, message, '1, "linear-probe"', "a batch of 2 or more", "raise training.batch")]


def check_doses(design: Design) -> list[DesignProblem]:
    """A dose for every level, or none."""
    doses, levels = design.export.layout.doses, design.fabrication.levels
    if not doses or len(doses) == levels:
        return []
    message = f"{len(doses)} doses for {levels} levels"
    remedy = "give one dose for each level, or none"
    key = "export.layout.doses, fabrication.levels"
    return [DesignProblem(key, message, f"{len(doses)} doses", f"{levels} doses", remedy)]


def check_light(design: Design) -> list[DesignProblem]:
    """A wavelength at which both materials are known and the mask is denser than its medium."""
    wavelength, process = design.light.wavelength, design.fabrication
    indices = {}
    for name in dict.fromkeys((process.material, process.medium)):
        try:
            indices[name] = material(name).index(wavelength)
        except UsageError as error:
            role = "material" if name == process.material else "medium"
            key, value = f"light.wavelength, fabrication.{role}", f"{format_length(wavelength)}, {toml_value(name)}"
            return [DesignProblem(key, error.message, value, error.expected, error.remedy)]
    mask, medium = indices[process.material], indices[process.medium]
    if mask > medium:
        return []
    return [
        DesignProblem(
            "fabrication.material, fabrication.medium",
            f"{process.material} (index {mask:.5g}) in {process.medium} (index {medium:.5g}) delays nothing",
            f"{toml_value(process.material)}, {toml_value(process.medium)}",
            expected="a material denser than its medium",
            remedy="choose another material or medium",
        )
    ]


def check_camera(camera: DetectorSpec) -> list[DesignProblem]:
    """A full well under a converter, above what intensity 1 fills."""
    if camera.bits is not None and camera.full_well is None:
        message, remedy = "missing key 'full_well' beside bits", 'add full_well = "30000 electron"'
        return [DesignProblem("bits", message, str(camera.bits), "the electrons of the highest code", remedy)]
    return []


def check_detector(design: Design) -> list[DesignProblem]:
    """Whole camera pixels, as many as the poolings of a U-Net need."""
    (rows, columns), binning = _neurons(design), design.detector.binning
    samples = design.optics.neuron_samples
    pools = 2**_POOLINGS if design.decoder.kind == "unet" else 1
    multiple = binning * pools // math.gcd(binning * pools, samples)
    if rows % multiple == 0 and columns % multiple == 0:
        return []
    whole = rows * samples % binning == 0 and columns * samples % binning == 0
    pixels = (
        f"{rows * samples // binning} × {columns * samples // binning} pixels, which the decoder cannot halve "
        f"{_POOLINGS} times"
    )
    near = ", ".join(str(max(1, round(side / multiple)) * multiple) for side in (rows, columns))
    return [
        DesignProblem(
            "detector.binning, optics.neurons",
            f"{rows} × {columns} neurons binned by {binning} make "
            + (pixels if whole else "no whole number of pixels"),
            f"{binning}, {toml_value((rows, columns))}",
            expected=f"neurons that are multiples of {multiple}",
            remedy=f"set optics.neurons = [{near}], or another binning",
        )
    ]


def _neurons(design: Design) -> tuple[int, int]:
    """Rows and columns of neurons in the field of view."""
    (rows, columns), samples = design.optics.shape, design.optics.neuron_samples
    return rows // samples, columns // samples


def check_tiles(design: Design) -> list[DesignProblem]:
    """Tiles that advance."""
    side, overlap = min(design.optics.shape), design.evaluation.overlap
    if overlap < side:
        return []
    message = f"tiles of {side} neurons that share {overlap} do not advance"
    remedy = f"set evaluation.overlap = {side // 4}"
    key, value = "evaluation.overlap, optics.neurons", f"{overlap}, {toml_value(_neurons(design))}"
    return [DesignProblem(key, message, value, expected=f"an overlap of less than {side}", remedy=remedy)]


def check_slm(design: Design) -> list[DesignProblem]:
    """A grey of its own for every level."""
    levels, greys = design.fabrication.levels, design.slm.two_pi_grey
    if greys >= levels:
        return []
    message = f"{levels} levels do not fit into {greys} greys"
    remedy = "choose fewer levels, or a panel with more greys"
    key, value = "slm.two_pi_grey, fabrication.levels", f"{greys}, {levels}"
    return [DesignProblem(key, message, value, expected=f"at least {levels} greys", remedy=remedy)]
