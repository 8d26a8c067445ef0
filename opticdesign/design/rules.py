"""What types alone cannot say about a design: rules that tie values together.

A rule is handed the tables that it ties and gives the problems it sees, with whole keys; where two values do not fit
together, both keys stand there with a comma between. Rules of one table stand beside it, those of one value in
`values`.
"""

from __future__ import annotations

import math

from opticdesign.design.exporting import Export
from opticdesign.design.instrument import DecoderSpec, DetectorSpec, Fabrication, Light, Optics, SlmPanel
from opticdesign.design.learning import Evaluation, Training
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem, UsageError
from opticdesign.optics.materials import material
from opticdesign.units import format_length

__all__ = [
    "check_cell",
    "check_depth",
    "check_detector",
    "check_doses",
    "check_light",
    "check_output",
    "check_parts",
    "check_perceptual",
    "check_probe",
    "check_slm",
    "check_tiles",
]


def check_output(optics: Optics) -> list[DesignProblem]:
    """An output behind a layer that is there."""
    if optics.kind != "d2nn" or optics.crossed <= optics.layers:
        return []
    message = f"there is no layer {optics.crossed}"
    key, value = "optics.output_after, optics.layers", f"{optics.crossed}, {optics.layers}"
    remedy = f"set optics.output_after = {optics.layers}, or leave it out"
    return [DesignProblem(key, message, value, expected=f"1 to {optics.layers}", remedy=remedy)]


def check_parts(
    optics: Optics, detector: DetectorSpec, decoder: DecoderSpec, training: Training
) -> list[DesignProblem]:
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
        if optics.kind != "fourier-filter":
            continue
        if stage.layerwise:
            message, remedy = "a filter has no layers to train one by one", "remove layerwise and its keys"
            problems.append(DesignProblem(f"{key}.layerwise", message, "true", "false for a filter", remedy))
        if optics.mode == "none" and "optics" in stage.train:
            value = f'{toml_value(stage.train)}, "none"'
            remedy = "choose a mode that learns, or train the decoder alone"
            message = "of this filter nothing is learned"
            problems.append(DesignProblem(f"{key}.train, optics.mode", message, value, 'train = ["decoder"]', remedy))
    if (detector.binning == 1) != (decoder.kind == "none"):
        value = f"{detector.binning}, {toml_value(decoder.kind)}"
        message = "a decoder puts back what a camera of fewer pixels leaves out; without one, none may be left out"
        expected = 'a binning of 1 with decoder.kind = "none", of 2 or more with another'
        remedy = "change detector.binning or decoder.kind"
        problems.append(DesignProblem("detector.binning, decoder.kind", message, value, expected, remedy))
    if optics.kind == "fourier-filter" and optics.radius is not None and optics.neurons[0] != optics.neurons[1]:
        value = f"{optics.radius:g}, {toml_value(optics.neurons)}"
        message = "a radius in points is that of a circle on a square filter only"
        remedy = "make optics.neurons square, or leave optics.radius out"
        problems.append(DesignProblem("optics.radius, optics.neurons", message, value, "square neurons", remedy))
    return problems


def check_perceptual(training: Training) -> list[DesignProblem]:
    """A perceptual loss where one is used."""
    stages = [name for name, stage in training.stages.items() if stage.loss == "gan"]
    if not stages or training.perceptual is not None:
        return []
    message = f"stage {stages[0]!r} uses a perceptual loss"
    expected = 'kind = "vgg19" with weights, or kind = "structure"'
    remedy = 'add a table [training.perceptual] with kind = "structure"'
    return [DesignProblem("training.perceptual", message, expected=expected, remedy=remedy)]


def check_cell(optics: Optics, detector: DetectorSpec) -> list[DesignProblem]:
    """Cells that fill the masks with whole camera pixels."""
    if optics.kind != "d2nn" or optics.cell is None:
        return []
    (rows, columns), cell, binning = optics.neurons, optics.cell, detector.binning
    if not (rows % cell or columns % cell or optics.period % binning):
        return []
    return [
        DesignProblem(
            "optics.cell, optics.neurons, detector.binning",
            f"cells of {cell} neurons do not fit {rows} × {columns} neurons and pixels of {binning}",
            f"{cell}, {toml_value(optics.neurons)}, {binning}",
            expected="cells of whole camera pixels that divide optics.neurons",
            remedy=f"set optics.cell = {2 * binning}, or leave it out",
        )
    ]


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
    """A wavelength at which both materials are known and the mask is denser than its medium."""
    wavelength, indices = light.wavelength, dict[str, float]()
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


def check_depth(light: Light, optics: Optics, made: Fabrication) -> list[DesignProblem]:
    """Gaps behind thick masks that are longer than the masks are deep."""
    if optics.kind != "d2nn":
        return []
    wavelength = light.wavelength
    depth = wavelength / (material(made.material).index(wavelength) - material(made.medium).index(wavelength))
    problems = []
    for key, gap in (("layer_gap", optics.layer_gap), ("detector_gap", optics.detector_gap)):
        if optics.model == "bpm" and gap <= depth:
            message = f"the relief of {format_length(depth)} does not fit into this gap"
            remedy = 'choose a longer gap, or model = "thin"'
            expected = f"more than {format_length(depth)}"
            problems.append(DesignProblem(f"optics.{key}", message, format_length(gap), expected, remedy))
    return problems


def check_detector(optics: Optics, detector: DetectorSpec, decoder: DecoderSpec) -> list[DesignProblem]:
    """Whole camera pixels, as many as a decoder that halves them needs."""
    (rows, columns), binning = optics.neurons, detector.binning
    samples = optics.shape[0] // rows
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
            f"{binning}, {toml_value(optics.neurons)}",
            expected=f"neurons that are multiples of {multiple}",
            remedy=f"set optics.neurons = [{near}], or another binning",
        )
    ]


def check_tiles(optics: Optics, evaluation: Evaluation) -> list[DesignProblem]:
    """Tiles that advance."""
    side, overlap = min(optics.shape), evaluation.overlap
    if overlap < side:
        return []
    message = f"tiles of {side} neurons that share {overlap} do not advance"
    remedy = f"set evaluation.overlap = {side // 4}"
    key, value = "evaluation.overlap, optics.neurons", f"{overlap}, {toml_value(optics.neurons)}"
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
