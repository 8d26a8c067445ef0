# ruff: noqa: E501 (one row a case)
import os
from dataclasses import dataclass

import pytest

from tests.support.design_texts import BASE, FOLDER, SYNTHETIC, refused, write


@dataclass(frozen=True)
class Broken:
    """One edit of BASE and what its error must say; `at` begins the line the error must point to."""

    name: str
    old: str
    new: str
    key: str
    at: str | None
    value: str
    expected: str
    remedy: str


def part(begin: str, end: str) -> str:
    """The part of BASE from one text to another."""
    return BASE[BASE.index(begin) : BASE.index(end)]


LAYERS, MADE = part('kind = "d2nn"', "[fabrication]"), part("[fabrication]", "[training.stages.both]")
FILTER = 'kind = "fourier-filter"\nneurons = [64, 128]\npitch = "316.4 nm"\nfocal = "10 mm"\nmode = "phase"\n\n'
FIRST, BOTH = part("[training.stages.first]", "[training.stages.both]"), part("[training.stages.both]", "[evaluation]")
CAMERA, DATA = part("[detector]", "[data]"), part("[data]", "[training.stages.both]")
NO_DECODER = CAMERA.replace('"unet"\nchannels = 8', '"none"')
RATES = "optics_rate = 0.01\ndecoder_rate = 0.002\n"
"""Of the second stage, which trains both parts."""
LAYERWISE = "layerwise = true\njoint_steps = 10\njoint_rate = 1e-4\n"


def first(*lines: str) -> str:
    """The first stage with other lines below its name."""
    return "[training.stages.first]\n" + "".join(f"{line}\n" for line in lines)


THIN = 'padding = 1.5\n\n[fabrication]\nmaterial = "fused silica"\nlevels = 8'
# fmt: off
BROKEN = [
    # what is written is no design
    Broken("empty table list", BASE, "# nothing\n", "name", None, "", "", "opticdesign init"),
    Broken("unquoted quantity", '"632.8 nm"', "632.8 nm", "", "wavelength", "632.8 nm", "key = value", "in quotes"),
    Broken("open quote", '"632.8 nm"', '"632.8 nm', "", "wavelength", '"632.8 nm', "key = value", "in quotes"),
    Broken("open table", "[light]", "[light", "", "[light", "[light", "key = value", ""),
    Broken("no value", "layers = 2", "layers =", "", "layers", "layers =", "key = value", ""),
    Broken("key twice", "layers = 2", "layers = 2\nlayers = 3", "", "layers = 3", "layers = 3", "", "keep one"),
    Broken("table twice", "[decoder]", "[light]\n[decoder]", "", None, "[light]", "", "keep one"),
    Broken("huge number", "layers = 2", f"layers = {'9' * 5000}", "", None, "", "TOML", "shorter number"),
    Broken("nested lists", "layers = 2", f"layers = {'[' * 5000}", "", None, "", "TOML", "opticdesign init"),
    # keys
    Broken("unknown key", "wavelength", "wavelenght", "light.wavelenght", "wavelenght", '"632.8 nm"', "one of wavelength", "did you mean 'wavelength'?"),
    Broken("unknown table", "[evaluation]", "[evalution]", "evalution", "[evalution]", "", "one of name", "did you mean 'evaluation'?"),
    Broken("unknown stage key", "decoder_rate =", "decoder_rat =", "training.stages.both.decoder_rat", "decoder_rat", "0.002", "one of train", "did you mean 'decoder_rate'?"),
    Broken("strange key", "layers = 2", "layers = 2\nzzz = 1", "optics.zzz", "zzz", "1", "one of kind", "remove it"),
    Broken("long key", "layers = 2", f"layers = 2\n{'z' * 5000} = 1", "optics.zzz", "[optics]", "1", "one of kind", "remove it"),
    Broken("control key", "layers = 2", 'layers = 2\n"\\n\\u001b[31m" = 1', "optics", "[optics]", "1", "one of kind", "remove it"),
    Broken("key of the other kind", SYNTHETIC, 'kind = "synthetic"\npath = "x"\n', "data.path", "path", '"x"', "one of kind, fields", "remove it"),
    Broken("missing key", 'pitch = "316.4 nm"\n', "", "optics.pitch", "[optics]", "", "distance between", 'add pitch = "316.4 nm"'),
    Broken("missing keys", 'layers = 2\nneurons = [64, 128]\n', "", "optics.layers", "[optics]", "", "", "opticdesign init"),
    Broken("missing table", '[light]\nwavelength = "632.8 nm"\n', "", "light", None, "", "a table", "add a table [light]"),
    Broken("missing kind", 'kind = "synthetic"\n', "", "data.kind", "[data]", "", '"synthetic" or "folder"', 'add kind = "synthetic"'),
    Broken("missing path", SYNTHETIC, 'kind = "folder"\n', "data.path", "[data]", "", "a file or folder", "add path"),
    Broken("missing name", 'name = "small"', "", "name", None, "", "letters", 'add name = "d2nn5"'),
    # quantities
    Broken("bare number", '"632.8 nm"', "632.8", "light.wavelength", "wavelength", "632.8", "with a unit", '"632.8 nm"'),
    Broken("no unit", '"632.8 nm"', '"632.8"', "light.wavelength", "wavelength", '"632.8"', "with a unit", '"632.8 nm"'),
    Broken("wrong unit", '"632.8 nm"', '"632.8 kg"', "light.wavelength", "wavelength", '"632.8 kg"', "a length", "write a length"),
    Broken("unknown unit", '"632.8 nm"', '"632.8 nn"', "light.wavelength", "wavelength", '"632.8 nn"', "a length", "did you mean nm?"),
    Broken("expression", '"632.8 nm"', '"9**9**9 m"', "light.wavelength", "wavelength", '"9**9**9 m"', "a length", "without operators"),
    Broken("infinite", '"632.8 nm"', '"1e400 nm"', "light.wavelength", "wavelength", '"1e400 nm"', "a length", "exponent"),
    Broken("negative gap", 'layer_gap = "3.373 um"', 'layer_gap = "-3 um"', "optics.layer_gap", "layer_gap", '"-3 um"', "more than 0", "for example layer_gap"),
    Broken("photons in metres", '"10000 photon"', '"10000 m"', "detector.max_photons", "max_photons", '"10000 m"', "a number of photons", "photon"),
    Broken("length in electrons", '"6 electron"', '"6 nm"', "detector.read_noise", "read_noise", '"6 nm"', "a number of electrons", "electron"),
    # types and ranges
    Broken("word for number", "layers = 2", 'layers = "two"', "optics.layers", "layers", '"two"', "a whole number", "layers = 5"),
    Broken("quoted number", "layers = 2", 'layers = "2"', "optics.layers", "layers", '"2"', "a whole number", "layers = 5"),
    Broken("fraction for whole", "layers = 2", "layers = 2.5", "optics.layers", "layers", "2.5", "a whole number", "layers = 5"),
    Broken("boolean for number", "layers = 2", "layers = true", "optics.layers", "layers", "true", "a whole number", "layers = 5"),
    Broken("number for boolean", "steps = 10\n", "steps = 10\nnoise = 1\n", "training.stages.first.noise", "noise", "1", "true or false", "noise = true"),
    Broken("date", "layers = 2", "layers = 2020-01-01", "optics.layers", "layers", "2020-01-01", "a whole number", "layers = 5"),
    Broken("number for table", 'name = "small"\n', 'name = "small"\nslm = 3\n', "slm", "slm", "3", "a table", "write [slm]"),
    Broken("empty data", SYNTHETIC, "", "data.kind", "[data]", "", '"synthetic"', "add kind"),
    Broken("array of tables", "[decoder]", "[[decoder]]", "decoder", "[[decoder]]", "", "a table", "write [decoder]"),
    Broken("too many layers", "layers = 2", "layers = 33", "optics.layers", "layers", "33", "at most 32", "layers = 5"),
    Broken("no layer", "layers = 2", "layers = 0", "optics.layers", "layers", "0", "at least 1", "layers = 5"),
    Broken("long hex", "layers = 2", f"layers = 0x{'f' * 5000}", "optics.layers", "layers", "a very large", "at most 32", "layers = 5"),
    Broken("long hex rate", "optics_rate = 0.01\n\n", f"optics_rate = 0x{'f' * 5000}\n\n", "training.stages.first.optics_rate", "optics_rate", "a very large", "number", ""),
    Broken("not a number", "padding = 1.5", "padding = nan", "optics.padding", "padding", "nan", "a finite number", 'padding = "auto"'),
    Broken("infinite padding", "padding = 1.5", "padding = inf", "optics.padding", "padding", "inf", "", 'padding = "auto"'),
    Broken("half a pair", "[64, 128]", "[64]", "optics.neurons", "neurons", "[64]", "rows and columns", "neurons = [256, 256]"),
    Broken("no pair", "[64, 128]", "[]", "optics.neurons", "neurons", "[]", "rows and columns", "neurons = [256, 256]"),
    Broken("three of a pair", "[64, 128]", "[64, 64, 64]", "optics.neurons", "neurons", "[64, 64, 64]", "rows and columns", "neurons = [256, 256]"),
    Broken("small array", "[64, 128]", "[64, 4]", "optics.neurons[1]", "neurons", "4", "at least 8", "neurons = [256, 256]"),
    Broken("one bad neuron", "[64, 128]", '[64, "x"]', "optics.neurons[1]", "neurons", '"x"', "a whole number", "neurons = [256, 256]"),
    Broken("negative seed", "seed = 0", "seed = -1", "training.seed", "seed", "-1", "at least 0", "seed = 0"),
    Broken("big seed", "seed = 0", "seed = 9223372036854775808", "training.seed", "seed", "9223372036854775808", "at most", "seed = 0"),
    Broken("no steps", "steps = 10\noptics_rate = 0.01\n\n", "steps = 0\noptics_rate = 0.01\n\n", "training.stages.first.steps", "steps = 0", "0", "at least 1", "steps = 100"),
    Broken("two fields", "fields = 6", "fields = 2", "data.fields", "fields", "2", "at least 3", "fields = 24"),
    Broken("free rate", "decoder_rate = 0.002", "decoder_rate = 0.0", "training.stages.both.decoder_rate", "decoder_rate", "0.0", "more than 0", "decoder_rate = 0.002"),
    # words
    Broken("unknown kind of optics", 'kind = "d2nn"', 'kind = "d2n"', "optics.kind", "kind", '"d2n"', '"d2nn"', 'did you mean "d2nn"?'),
    Broken("unknown kind of data", 'kind = "synthetic"', 'kind = "sythetic"', "data.kind", "kind", '"sythetic"', '"synthetic" or "folder"', 'did you mean "synthetic"?'),
    Broken("kind is a list", 'kind = "synthetic"', "kind = [1]", "data.kind", "kind", "[1]", '"synthetic" or "folder"', "choose one"),
    Broken("unknown start", 'start = "rippled"', 'start = "ripled"', "optics.start", "start", '"ripled"', '"clear"', 'did you mean "rippled"?'),
    Broken("unknown loss", 'loss = "l1+ssim"', 'loss = "l2+ssim"', "training.stages.both.loss", "loss", '"l2+ssim"', '"ssim"', 'did you mean "l1+ssim"?'),
    Broken("unknown part", 'train = ["optics"]', 'train = ["optic"]', "training.stages.first.train[0]", "train", '"optic"', '"decoder"', 'did you mean "optics"?'),
    Broken("no part", 'train = ["optics"]', "train = []", "training.stages.first.train", "train", "[]", "one or both", "train ="),
    Broken("bad design name", 'name = "small"', 'name = "../small"', "name", "name", '"../small"', "letters", "rename it"),
    Broken("bad stage name", "[training.stages.first]", '[training.stages."a b"]', "training.stages.a b", '[training.stages."a b"]', "", "letters", "rename it"),
    Broken("unknown material", '"fused silica"', '"fused silca"', "fabrication.material", "material", '"fused silca"', "one of vacuum", 'did you mean "fused silica"?'),
    # values that do not fit together
    Broken("binning of 3", "binning = 8", "binning = 3", "detector.binning", "binning", "3", "2, 4, 8", "power of two"),
    Broken("binning of 64", "binning = 8", "binning = 64", "detector.binning", "binning", "64", "at most 32", "binning = 8"),
    Broken("broken pixels", "[64, 128]", "[64, 100]", "detector.binning, optics.neurons", "binning", "8, [64, 100]", "multiples of 64", "optics.neurons = [64, 128]"),
    Broken("odd decoder input", "[64, 128]", "[64, 96]", "detector.binning, optics.neurons", "binning", "8, [64, 96]", "multiples of 64", "optics.neurons ="),
    Broken("overlap", "overlap = 16", "overlap = 64", "evaluation.overlap, optics.neurons", "overlap", "64, [64, 128]", "less than 64", "evaluation.overlap = 16"),
    Broken("few greys", "[evaluation]", "[slm]\ntwo_pi_grey = 7\n[evaluation]", "slm.two_pi_grey, fabrication.levels", "two_pi_grey", "7, 8", "at least 8", "fewer levels"),
    Broken("wavelength beyond the glass", '"632.8 nm"', '"5 um"', "light.wavelength, fabrication.material", "wavelength", '5 µm, "fused silica"', "a wavelength from 210 nm", "another material"),
    Broken("nothing in nothing", 'material = "fused silica"', 'material = "air"', "fabrication.material, fabrication.medium", "material", '"air", "air"', "denser", "another material"),
    Broken("loss without a way", 'loss = "l1+ssim"', 'loss = "intensity-l1"', "training.stages.both.loss, training.stages.both.train", "loss", '"intensity-l1", ["optics", "decoder"]', '"l1"', "change loss"),
    Broken("trained without a rate", "decoder_rate = 0.002\n", "", "training.stages.both.decoder_rate", "[training.stages.both]", "", "above 0", "decoder_rate = 0.001"),
    Broken("part twice", '["optics", "decoder"]', '["optics", "optics"]', "training.stages.both.train", "train", '["optics", "optics"]', "one or both", "name it once"),
    Broken("no stage", BASE[BASE.index("[training.stages.first]") :], "[training.stages]\n", "training.stages", "[training.stages]", "", "stages by name", "training.stages"),
    Broken("split", SYNTHETIC, FOLDER + "split = [0.5, 0.2, 0.2]\n", "data.split", "split", "[0.5, 0.2, 0.2]", "a sum of 1", "[0.5, 0.25, 0.25]"),
    Broken("empty part of split", SYNTHETIC, FOLDER + "split = [0.5, 0.5, 0.0]\n", "data.split[2]", "split", "0.0", "more than 0", "split = "),
    Broken("falling phase", SYNTHETIC, FOLDER + 'phase_range = ["6 rad", "0 rad"]\n', "data.phase_range", "phase_range", '["6 rad", "0 rad"]', "rising", '["0 rad", "6.28 rad"]'),
    Broken("bare phase", SYNTHETIC, FOLDER + 'phase_range = ["0 rad", 6]\n', "data.phase_range[1]", "phase_range", "6", "an angle", '"6 rad"'),
    Broken("empty path", SYNTHETIC, 'kind = "folder"\npath = ""\n', "data.path", "path", '""', "a file or folder", "path ="),
    Broken("path with a number", SYNTHETIC, 'kind = "folder"\npath = 2024\n', "data.path", "path", "2024", "text in quotes", "path ="),
    # the optics, against what trains them
    Broken("output behind no layer", "layers = 2", "layers = 2\noutput_after = 3", "optics.output_after, optics.layers", "output_after", "3, 2", "1 to 2", "optics.output_after = 2"),
    Broken("radius of no circle", LAYERS, FILTER.replace("\n\n", "\nradius = 32.0\n\n"), "optics.radius, optics.neurons", "radius", "32, [64, 128]", "square neurons", "leave optics.radius out"),
    Broken("filter with layers", LAYERS, FILTER.replace("\n\n", "\nlayers = 2\n\n"), "optics.layers", "layers", "2", "one of kind, neurons, pitch, focal", "remove it"),
    Broken("filter without focal length", LAYERS, FILTER.replace('focal = "10 mm"\n', ""), "optics.focal", "[optics]", "", "focal length", 'add focal = "10 mm"'),
    Broken("filter that learns nothing", LAYERS, FILTER.replace('"phase"', '"none"'), "training.stages.first.train, optics.mode", "train", '["optics"], "none"', 'train = ["decoder"]', "a mode that learns"),
    Broken("filter layer by layer", LAYERS + MADE, FILTER + MADE + LAYERWISE, "training.stages.first.layerwise", "layerwise", "true", "false for a filter", "remove layerwise"),
    Broken("both parts layer by layer", RATES, RATES + LAYERWISE, "training.stages.both.layerwise, training.stages.both.train", "layerwise", 'true, ["optics", "decoder"]', 'train = ["optics"]', "remove layerwise"),
    Broken("layer by layer without joint steps", FIRST, first('train = ["optics"]', 'loss = "intensity-l1"', "steps = 10", "optics_rate = 0.01", "layerwise = true", "joint_rate = 0.001"), "training.stages.first.joint_steps", "[training.stages.first]", "", "a value", "add joint_steps = 100"),
    Broken("layer by layer without joint rate", FIRST, first('train = ["optics"]', 'loss = "intensity-l1"', "steps = 10", "optics_rate = 0.01", "layerwise = true", "joint_steps = 5"), "training.stages.first.joint_rate", "[training.stages.first]", "", "a value", "add joint_rate"),
    Broken("joint steps of nothing", RATES, RATES + "joint_steps = 5\n", "training.stages.both.joint_steps", "joint_steps", "5", "layerwise = true", "remove it, or set layerwise"),
    Broken("joint rate of nothing", RATES, RATES + "joint_rate = 0.1\n", "training.stages.both.joint_rate", "joint_rate", "0.1", "layerwise = true", "remove it, or set layerwise"),
    # how rates fall
    Broken("milestones that fall", RATES, RATES + 'decay = "milestones"\nmilestones = [5, 3]\n', "training.stages.both.milestones", "milestones", "[5, 3]", "rising", "for example [50, 400, 650]"),
    Broken("milestone twice", RATES, RATES + 'decay = "milestones"\nmilestones = [5, 5]\n', "training.stages.both.milestones", "milestones", "[5, 5]", "rising", "for example [50, 400, 650]"),
    Broken("milestone zero", RATES, RATES + 'decay = "milestones"\nmilestones = [0, 5]\n', "training.stages.both.milestones[0]", "milestones", "0", "at least 1", "milestones = "),
    Broken("decay without milestones", RATES, RATES + 'decay = "milestones"\n', "training.stages.both.milestones", "[training.stages.both]", "", "a value", "add milestones"),
    Broken("milestones without decay", RATES, RATES + "milestones = [5]\n", "training.stages.both.milestones", "milestones", "[5]", 'decay = "milestones"', "remove it, or set decay"),
    # heights of levels
    Broken("fewer heights than levels", "levels = 8", 'levels = 8\nheights = ["0 nm", "500 nm"]', "fabrication.heights, fabrication.levels", "heights", "2 heights, 8", "8 heights", "set fabrication.levels = 2"),
    Broken("heights that fall", "levels = 8", 'levels = 3\nheights = ["0 nm", "500 nm", "400 nm"]', "fabrication.heights", "heights", '"500 nm", "400 nm"]', "rising heights", "sort them"),
    Broken("heights twice", "levels = 8", 'levels = 3\nheights = ["0 nm", "500 nm", "500 nm"]', "fabrication.heights", "heights", '"500 nm", "500 nm"', "rising heights", "sort them"),
    Broken("heights above the ground", "levels = 8", 'levels = 2\nheights = ["10 nm", "500 nm"]', "fabrication.heights", "heights", '["10 nm", "500 nm"]', 'first "0 nm"', "from the lowest"),
    Broken("height of a turn", "levels = 8", 'levels = 2\nheights = ["0 nm", "1.4 um"]', "fabrication.heights", "heights", "1.4 µm", "less than 1.38", "take whole turns off"),
    Broken("height without a unit", "levels = 8", "levels = 2\nheights = [0, 500]", "fabrication.heights[0]", "heights", "0", "a length as text with a unit", "in quotes"),
    Broken("heights of thick masks", THIN, THIN.replace("padding", 'model = "bpm"\npadding').replace("levels = 8", 'levels = 2\nheights = ["0 nm", "500 nm"]'), "fabrication.heights, optics.model", "heights", '2 heights, "bpm"', 'model = "thin"', "leave fabrication.heights out"),
    # how masks learn
    Broken("unknown rounding", RATES, RATES + 'rounding = "hard"\n', "training.stages.both.rounding", "rounding", '"hard"', '"soft" or "gumbel"', "choose one"),
    Broken("rounding of float masks", RATES, RATES + 'rounding = "soft"\ntemperature = [1.0, 0.1]\n', "training.stages.both.rounding, training.stages.both.quantised", "rounding", '"soft", false', "quantised = true", "remove rounding"),
    Broken("rounding of no masks", FIRST, first('train = ["decoder"]', 'loss = "l1"', "steps = 10", "decoder_rate = 0.1", "quantised = true", 'rounding = "gumbel"', "temperature = [1.0, 0.1]"), "training.stages.first.rounding", "rounding", '["decoder"]', '"optics" in train', "remove rounding"),
    Broken("rounding without temperature", RATES, RATES + 'quantised = true\nrounding = "soft"\n', "training.stages.both.temperature", "[training.stages.both]", "", "a value", "add temperature = [1.0, 0.005]"),
    Broken("temperature of nothing", RATES, RATES + "quantised = true\ntemperature = [1.0, 0.1]\n", "training.stages.both.temperature", "temperature", "[1.0, 0.1]", 'rounding = "soft" or "gumbel"', "remove it"),
    Broken("temperature that rises", RATES, RATES + 'quantised = true\nrounding = "soft"\ntemperature = [0.1, 0.2]\n', "training.stages.both.temperature", "temperature", "[0.1, 0.2]", "falling", "for example [1.0, 0.005]"),
    Broken("temperature too high", RATES, RATES + 'quantised = true\nrounding = "soft"\ntemperature = [2.0, 0.2]\n', "training.stages.both.temperature[0]", "temperature", "2.0", "at most 1", "temperature = "),
    Broken("temperature zero", RATES, RATES + 'quantised = true\nrounding = "soft"\ntemperature = [1.0, 0.0]\n', "training.stages.both.temperature[1]", "temperature", "0.0", "more than 0", "temperature = "),
    Broken("variation of no masks", FIRST, first('train = ["decoder"]', 'loss = "l1"', "steps = 10", "decoder_rate = 0.1", "variation = 0.1"), "training.stages.first.variation, training.stages.first.train", "variation", "0.1", '"optics" in train', "remove variation"),
    Broken("features that no part can miss", RATES, RATES + "feature = 0.1\n", "training.stages.both.feature, fabrication.min_feature, optics.pitch", "feature", "0.1, 300 nm, 316.4 nm", "more than 316.4 nm", "remove feature"),
    # the generative recipe
    Broken("gan without perceptual loss", 'loss = "l1+ssim"', 'loss = "gan"\ndiscriminator_rate = 1e-4', "training.perceptual", "[training]", "", 'kind = "structure"', "[training.perceptual]"),
    Broken("gan without discriminator", 'loss = "l1+ssim"', 'loss = "gan"', "training.stages.both.discriminator_rate", "[training.stages.both]", "", "a value", "add discriminator_rate"),
    Broken("gan without decoder", 'loss = "intensity-l1"', 'loss = "gan"\ndiscriminator_rate = 1e-4', "training.stages.first.loss, training.stages.first.train", "loss", '"gan", ["optics"]', '"decoder" in train', "train the decoder"),
    Broken("discriminator of nothing", RATES, RATES + "discriminator_rate = 1e-4\n", "training.stages.both.discriminator_rate", "discriminator_rate", "0.0001", 'loss = "gan"', "remove it"),
    Broken("weights that are nowhere", "[training]", '[training]\nperceptual = {kind = "vgg19"}', "training.perceptual.weights", "perceptual", "", "a file", 'add weights = "vgg19.safetensors"'),
    Broken("hash of another length", "[training]", '[training]\nperceptual = {kind = "vgg19", weights = "x", sha256 = "12"}', "training.perceptual.sha256", "perceptual", '"12"', "64 hexadecimal digits", "sha256 ="),
    Broken("average of all time", "[training]", "[training]\nema = 1.0", "training.ema", "ema", "1.0", "less than 1", "ema = 0.999"),
    Broken("half the precision", "[training]", '[training]\nprecision = "float16"', "training.precision", "precision", '"float16"', '"bfloat16"', 'did you mean "bfloat16"?'),
    # readers and decoders
    Broken("ridge without reader", FIRST, first('train = ["decoder"]', 'loss = "ridge"', "steps = 10"), "training.stages.first.loss, decoder.reader", "loss", '"ridge", false', "a decoder with a reader", "decoder.reader = true"),
    Broken("ridge of the optics", 'loss = "intensity-l1"\nsteps = 10\noptics_rate = 0.01', 'loss = "ridge"\nsteps = 10', "training.stages.first.loss, training.stages.first.train", "loss", '"ridge", ["optics"]', 'train = ["decoder"]', "change loss or train"),
    Broken("ridge at a rate", FIRST, first('train = ["decoder"]', 'loss = "ridge"', "steps = 10", "decoder_rate = 0.1"), "training.stages.first.decoder_rate", "decoder_rate", "0.1", "no decoder_rate", "remove it"),
    Broken("loss of no decoder", CAMERA, NO_DECODER.replace("binning = 8", "binning = 1"), "training.stages.both.loss, decoder.kind", "loss", '"l1+ssim", "none"', '"intensity-l1" where', 'decoder.kind = "unet"'),
    Broken("codes without a well", "binning = 8", "binning = 8\nbits = 12", "detector.bits", "bits", "12", "electrons of the highest code", "add full_well"),
    Broken("binning without decoder", CAMERA + DATA + BOTH, NO_DECODER + DATA, "detector.binning, decoder.kind", "binning", '8, "none"', "a binning of 1", "change detector.binning or decoder.kind"),
    Broken("decoder without binning", "binning = 8", "binning = 1", "detector.binning, decoder.kind", "binning", '1, "unet"', "of 2 or more", "change detector.binning or decoder.kind"),
    Broken("unknown preset", 'kind = "unet"\nchannels = 8', 'kind = "swinir"\npreset = "large"', "decoder.preset", "preset", '"large"', '"paper" or "light" or "tiny"', "choose one"),
    Broken("unknown tiling", "overlap = 16", 'overlap = 16\ntiling = "mirror"', "evaluation.tiling", "tiling", '"mirror"', '"blend" or "crop" or "pad"', "choose one"),
    Broken("batch too small to probe", 'seed = 0\n\n[training.stages.first]  # the optics\ntrain = ["optics"]\nloss = "intensity-l1"', 'batch = 1\n[training.stages.first]\ntrain = ["optics"]\nloss = "linear-probe"', "training.batch, training.stages.first.loss", "batch", '1, "linear-probe"', "2 or more", "raise training.batch"),
]
# fmt: on


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_design_names_file_line_key_value_expected_and_remedy(case, tmp_path):
    assert BASE.count(case.old) >= 1
    text = BASE.replace(case.old, case.new, 1)
    path = write(tmp_path, text)
    problem = refused(path).problems[0]
    assert problem.source == str(path)
    assert problem.key.startswith(case.key)
    assert case.value in problem.value
    assert case.expected in problem.expected
    assert case.remedy in problem.remedy
    assert problem.remedy
    if case.at:
        assert problem.line is not None
        assert text.splitlines()[problem.line - 1].startswith(case.at)


@pytest.mark.parametrize(
    "text", ["a" + ".a" * 300_000 + " = 1", "[a" + " . 'b c'" * 9_000 + "]", "x = 1\na" + '."b"' * 90_000 + " = 1"]
)
def test_keys_of_thousands_of_parts_are_refused_at_once(text, tmp_path):
    problem = refused(write(tmp_path, text)).problems[0]
    assert "a key of 64 parts or more" in problem.message and problem.line == text.count("\n") + 1


def test_long_words_and_values_with_dots_are_no_long_keys(tmp_path):
    text = BASE + "\n[" + "w" * 500_000 + "]\n" + "v = '" + "1.5 um, " * 500 + "'"
    assert "64 parts" not in str(refused(write(tmp_path, text)))


def test_a_pipe_is_no_design(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    assert "no plain file" in str(refused(tmp_path / "pipe.toml"))


def test_broken_designs_are_at_least_thirty_kinds():
    assert len({case.name for case in BROKEN}) == len(BROKEN) >= 30
