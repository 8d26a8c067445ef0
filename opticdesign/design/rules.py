"""What types alone cannot say about a design: rules that tie values together.

A rule is handed the tables that it ties and gives the problems it sees, with whole keys; where two values do not fit
together, both keys stand there with a comma between. Rules of one table stand beside it, those of one value in
`values`.
"""

from __future__ import annotations

import math

from opticdesign.design.exporting import Export
from opticdesign.design.instrument import DecoderSpec, DetectorSpec, Fabrication, Light, SlmPanel
from opticdesign.design.learning import Data, Evaluation, Training
from opticdesign.design.materials import material_of, material_text
from opticdesign.design.optics_spec import OpticsSpec
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem, UsageError
from opticdesign.units import format_length

__all__ = [
    "check_detector",
    "check_doses",
    "check_light",
    "check_measured",
    "check_parts",
    "check_perceptual",
    "check_pixel",
    "check_probe",
    "check_relief",
    "check_slm",
    "check_tiles",
]


def check_parts(detector: DetectorSpec, decoder: DecoderSpec, training: Training) -> list[DesignProblem]:
    """Stages that train what the design has, and a camera that its decoder can read."""
    problems = []
    for name, stage in training.stages.items():
        key = f"training.stages.{name}"
        if decoder.kind == "none" and stage.loss != "intensity-l1":
            value = f'{toml_value(stage.loss)}, "none"'
            expected = '"intensity-l1" where there is no decoder'
            remedy = 'change the loss, or choose decoder.kind = "unet"'
            problems.append(
                DesignProblem(f"{key}.loss, decoder.kind", "this loss needs a decoder", value, expected, remedy)
            )
        if stage.loss == "ridge" and decoder.kind != "none" and not decoder.with_reader:
            message, remedy = "this decoder has no linear reader to fit", "set decoder.reader = true"
            keys = f"{key}.loss, decoder.reader"
            problems.append(DesignProblem(keys, message, '"ridge", false', "a decoder with a reader", remedy))
    if (detector.binning == 1) != (decoder.kind == "none"):
        value = f"{detector.binning}, {toml_value(decoder.kind)}"
        message = "a decoder puts back what a camera of fewer pixels leaves out; without one, none may be left out"
        expected = 'a binning of 1 with decoder.kind = "none", of 2 or more with another'
        remedy = "change detector.binning or decoder.kind"
        problems.append(DesignProblem("detector.binning, decoder.kind", message, value, expected, remedy))
    return problems


def check_measured(optics: OpticsSpec, data: Data) -> list[DesignProblem]:
    """Measured frames where light is not modelled, and nowhere else."""
    if optics.measured == (data.kind == "stacks"):
        return []
    value = f"{toml_value(optics.kind)}, {toml_value(data.kind)}"
    message = "light is either modelled from phase images or was measured in stacks of frames"
    expected = 'optics.kind = "measured" and data.kind = "stacks", or neither'
    remedy = "change optics.kind or data.kind"
    return [DesignProblem("optics.kind, data.kind", message, value, expected, remedy)]


def check_perceptual(training: Training) -> list[DesignProblem]:
    """A perceptual loss where one is used."""
    stages = [name for name, stage in training.stages.items() if stage.loss == "gan"]
    if not stages or training.perceptual is not None:
        return []
    message = f"stage {stages[0]!r} uses a perceptual loss"
    expected = 'kind = "vgg19" with weights, or kind = "structure"'
    remedy = 'add a table [training.perceptual] with kind = "structure"'
    return [DesignProblem("training.perceptual", message, expected=expected, remedy=remedy)]


def check_probe(training: Training) -> list[DesignProblem]:
    """A batch that a linear probe can halve."""
    stages = [name for name, stage in training.stages.items() if stage.loss == "linear-probe"]
    if not stages or training.batch > 1:
        return []
    key = f"training.batch, training.stages.{stages[0]}.loss"
    message = "a linear probe is fitted to one half of a batch and judged on the other"
    return [DesignProblem(key, message, '1, "linear-probe"', "a batch of 2 or more", "raise training.batch")]


def check_doses(fabrication: Fabrication, export: Export) -> list[DesignProblem]:
    """A dose for every level, or none."""
    doses, levels = export.layout.doses, fabrication.levels
    if not doses or len(doses) == levels:
        return []
    message = f"{len(doses)} doses for {levels} levels"
    remedy = "give one dose for each level, or none"
    key = "export.layout.doses, fabrication.levels"
    return [DesignProblem(key, message, f"{len(doses)} doses", f"{levels} doses", remedy)]


def check_light(light: Light, process: Fabrication) -> list[DesignProblem]:
    """A wavelength at which both materials are known, and a mask denser than its medium, which absorbs nothing."""
    wavelength, indices = light.wavelength, dict[str, float]()
    choices = {"material": process.material, "medium": process.medium}
    texts = {role: material_text(choice) for role, choice in choices.items()}
    for role, choice in choices.items():
        try:
            indices[role] = material_of(choice).index(wavelength)
        except UsageError as error:
            key = f"light.wavelength, fabrication.{role}"
            value = f"{format_length(wavelength)}, {toml_value(texts[role])}"
            return [DesignProblem(key, error.message, value, error.expected, error.remedy)]
    if (k := material_of(process.medium).extinction(wavelength)) > 0.0:
        message, expected = f"a medium that absorbs (k = {k:.3g})", "a medium without absorption: only masks lose light"
        value, remedy = toml_value(texts["medium"]), "choose another medium, or leave its absorption out"
        return [DesignProblem("fabrication.medium", message, value, expected, remedy)]
    mask, medium = indices["material"], indices["medium"]
    if mask > medium:
        return []
    return [
        DesignProblem(
            "fabrication.material, fabrication.medium",
            f"{texts['material']} (index {mask:.5g}) in {texts['medium']} (index {medium:.5g}) delays nothing",
            f"{toml_value(texts['material'])}, {toml_value(texts['medium'])}",
            expected="a material denser than its medium",
            remedy="choose another material or medium",
        )
    ]


def check_relief(light: Light, made: Fabrication) -> list[DesignProblem]:
    """Heights of a table that stay below a phase of 2π."""
    if made.heights is None:
        return []
    full = light.wavelength / (
        material_of(made.material).index(light.wavelength) - material_of(made.medium).index(light.wavelength)
    )
    if made.heights[-1] < full:
        return []
    value, expected = format_length(made.heights[-1]), f"less than {format_length(full)}, the height of 2π"
    message = "the highest level is a whole turn or more above the lowest"
    remedy = "take whole turns off the heights, and sort them"
    return [DesignProblem("fabrication.heights", message, value, expected, remedy)]


def check_detector(optics: OpticsSpec, detector: DetectorSpec, decoder: DecoderSpec) -> list[DesignProblem]:
    """Whole camera pixels, as many as a decoder that halves them needs."""
    (rows, columns), binning, samples = _neurons(optics), detector.binning, optics.neuron_samples
    pools = 2**decoder.halvings
    multiple = binning * pools // math.gcd(binning * pools, samples)
    if rows % multiple == 0 and columns % multiple == 0:
        return []
    whole = rows * samples % binning == 0 and columns * samples % binning == 0
    pixels = (
        f"{rows * samples // binning} × {columns * samples // binning} pixels, which the decoder cannot halve "
        f"{decoder.halvings} times"
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


def _neurons(optics: OpticsSpec) -> tuple[int, int]:
    """Rows and columns of neurons in the field of view."""
    (rows, columns), samples = optics.shape, optics.neuron_samples
    return rows // samples, columns // samples


def check_pixel(optics: OpticsSpec, detector: DetectorSpec) -> list[DesignProblem]:
    """Samples of the image that are the camera's pixels, where the design says how large those are."""
    pixel, wanted = detector.pixel, optics.image_pitch
    if pixel is None or math.isclose(pixel, wanted, rel_tol=1e-3):
        return []
    message = f"samples of {format_length(optics.sample_pitch)} are {format_length(wanted)} wide on the camera"
    at_object = format_length(pixel * optics.sample_pitch / wanted)
    remedy = f'set optics.pitch = "{at_object}", or correct detector.pixel or the magnification'
    keys = "detector.pixel, optics.pitch"
    return [DesignProblem(keys, message, format_length(pixel), f"pixels of {format_length(wanted)}", remedy)]


def check_tiles(optics: OpticsSpec, evaluation: Evaluation) -> list[DesignProblem]:
    """Tiles that advance."""
    side, overlap = min(optics.shape), evaluation.overlap
    if overlap < side:
        return []
    message = f"tiles of {side} neurons that share {overlap} do not advance"
    remedy = f"set evaluation.overlap = {side // 4}"
    key, value = "evaluation.overlap, optics.neurons", f"{overlap}, {toml_value(_neurons(optics))}"
    return [DesignProblem(key, message, value, expected=f"an overlap of less than {side}", remedy=remedy)]


def check_slm(fabrication: Fabrication, slm: SlmPanel) -> list[DesignProblem]:
    """A grey of its own for every level."""
    levels, greys = fabrication.levels, slm.two_pi_grey
    if greys >= levels:
        return []
    message = f"{levels} levels do not fit into {greys} greys"
    remedy = "choose fewer levels, or a panel with more greys"
    key, value = "slm.two_pi_grey, fabrication.levels", f"{greys}, {levels}"
    return [DesignProblem(key, message, value, expected=f"at least {levels} greys", remedy=remedy)]
