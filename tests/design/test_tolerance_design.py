# ruff: noqa: E501 (one row a case)
"""The table [tolerance]: what it means, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from opticdesign.design import Tolerance, load_design
from tests.support.design_texts import BASE, refused, write

FILTER = 'kind = "fourier-filter"\nneurons = [64, 64]\npitch = "316.4 nm"\nfocal = "10 mm"\nmode = "phase"\n\n'
LAYERS = BASE[BASE.index('kind = "d2nn"') : BASE.index("[fabrication]")]


@dataclass(frozen=True)
class Broken:
    """Lines below [tolerance], an edit of BASE beside them, and what the error must say."""

    name: str
    lines: str
    key: str
    at: str
    value: str
    expected: str
    remedy: str
    old: str = ""
    new: str = ""


# fmt: off
BROKEN = [
    Broken("unknown error", 'shift = {sigma = "1 um"}', "tolerance.shift", "shift", "", "one of samples", "did you mean 'layer_shift'?"),
    Broken("no spread", "index = {}", "tolerance.index.sigma", "index", "", "sigma of a normal distribution, or range", "add sigma or range"),
    Broken("two spreads", 'gap = {sigma = "1 um", range = "2 um"}', "tolerance.gap.sigma, tolerance.gap.range", "gap", "", "sigma of a normal distribution, or range", "remove one"),
    Broken("bare length", "gap = {sigma = 1e-6}", "tolerance.gap.sigma", "gap", "1e-06", "with a unit", "write the unit"),
    Broken("length as an angle", 'tilt = {range = "1 um"}', "tolerance.tilt.range", "tilt", '"1 um"', "an angle", "write an angle"),
    Broken("angle as a length", 'layer_shift = {range = ["0 rad", "1 rad"]}', "tolerance.layer_shift.range", "layer_shift", '["0 rad", "1 rad"]', "a length", "write a length"),
    Broken("range of three", 'gap = {range = ["1 um", "2 um", "3 um"]}', "tolerance.gap.range", "gap", '["1 um", "2 um", "3 um"]', "one value above 0, which stands for ±, or two that rise", "which is ±"),
    Broken("empty range", "wavelength = {range = []}", "tolerance.wavelength.range", "wavelength", "[]", "or two that rise", "which is ±"),
    Broken("falling range", "wavelength = {range = [0.02, -0.02]}", "tolerance.wavelength.range", "wavelength", "[0.02, -0.02]", "or two that rise", "which is ±"),
    Broken("negative range", 'gap = {range = "-1 um"}', "tolerance.gap.range", "gap", '"-1 um"', "one value above 0", "which is ±"),
    Broken("range of a word", 'wavelength = {range = "much"}', "tolerance.wavelength.range", "wavelength", '"much"', "a plain number", "which is ±"),
    Broken("range of a truth", "wavelength = {range = true}", "tolerance.wavelength.range", "wavelength", "true", "a plain number", "which is ±"),
    Broken("no sigma", "index = {sigma = 0}", "tolerance.index.sigma", "index", "0", "more than 0", "sigma = 0.01"),
    Broken("negative sigma", 'rotation = {sigma = "-1 mrad"}', "tolerance.rotation.sigma", "rotation", '"-1 mrad"', "more than 0", "sigma ="),
    Broken("etch of a layer", 'etch_depth = {sigma = 0.01, per = "layer"}', "tolerance.etch_depth.per", "etch_depth", '"layer"', '"wafer" or "bit"', 'did you mean "wafer"?'),
    Broken("blur with a sigma", 'blur = {sigma = "50 nm"}', "tolerance.blur.sigma", "blur", '"50 nm"', "one of range", "remove it"),
    Broken("sharpening", 'blur = {range = ["-50 nm", "100 nm"]}', "tolerance.blur.range", "blur", "-50 nm to 100 nm", "from 0 or more", "range ="),
    Broken("noise without strength", 'height_noise = {correlation = "300 nm"}', "tolerance.height_noise.sigma", "height_noise", "", "standard deviation", "add sigma"),
    Broken("noise with a range", 'height_noise = {range = "6 nm"}', "tolerance.height_noise.range", "height_noise", '"6 nm"', "one of sigma, correlation", "remove it"),
    Broken("correlation below zero", 'height_noise = {sigma = "6 nm", correlation = "-1 um"}', "tolerance.height_noise.correlation", "height_noise", '"-1 um"', "at least 0", "correlation ="),
    Broken("no draws", "samples = 0", "tolerance.samples", "samples", "0", "at least 1", "samples ="),
    Broken("unknown sampler", 'sampler = "sobel"', "tolerance.sampler", "sampler", '"sobel"', '"latin-hypercube"', 'did you mean "sobol"?'),
    Broken("unknown metric", 'metric = "psnr"', "tolerance.metric", "metric", '"psnr"', '"psnr_db"', 'did you mean "psnr_db"?'),
    Broken("limit and loss", "spec = 25.0\ndrop = 1.0", "tolerance.spec, tolerance.drop", "spec", "25, 1", "spec or drop", "remove one"),
    Broken("loss that is none", "drop = 0.0", "tolerance.drop", "drop", "0.0", "more than 0", "drop ="),
    Broken("overlay of six levels", 'overlay_shift = {sigma = "20 nm"}', "tolerance.overlay_shift, fabrication.levels", "overlay_shift", "6", "2, 4, 8, … levels", "remove overlay_shift", "levels = 8", "levels = 6"),
    Broken("width of a table of heights", 'cd_bias = {range = "10 nm"}', "tolerance.cd_bias, fabrication.heights", "cd_bias", "", "equally spaced levels", "remove cd_bias", "levels = 8", 'levels = 3\nheights = ["0 nm", "300 nm", "900 nm"]'),
    Broken("bits of six levels", 'etch_depth = {sigma = 0.01, per = "bit"}', "tolerance.etch_depth, fabrication.levels", "etch_depth", "6", "2, 4, 8, … levels", "remove etch_depth", "levels = 8", "levels = 6"),
    Broken("overlay of one mask", 'overlay_rotation = {sigma = "1 mrad"}', "tolerance.overlay_rotation, fabrication.levels", "overlay_rotation", "2", "4 levels or more", "remove overlay_rotation", "levels = 8", "levels = 2"),
    Broken("tilted filter", 'tilt = {range = "1 mrad"}', "tolerance.tilt, optics.kind", "tilt", '"fourier-filter"', "layers", "remove tilt", LAYERS, FILTER),
    Broken("panel of thick masks", "lut = {sigma = 0.01}", "tolerance.lut, optics.model", "lut", '"bpm"', 'model = "thin"', "remove lut", 'start = "rippled"', 'start = "rippled"\nmodel = "bpm"'),
    Broken("vaccinated without a process", "samples = 8", "training.stages.first.vaccinated, training.stages.first.quantised", "vaccinated", "true, false", "quantised = true", "set quantised = true", "steps = 10\noptics_rate = 0.01\n\n", "steps = 10\noptics_rate = 0.01\nvaccinated = true\n\n"),
    Broken("draws of no errors", "samples = 8", "training.stages.first.draws, training.stages.first.vaccinated", "draws", '"patch", false', "vaccinated = true", "set vaccinated = true", "steps = 10\noptics_rate = 0.01\n\n", 'steps = 10\noptics_rate = 0.01\ndraws = "patch"\n\n'),
]
# fmt: on


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_wrong_tolerance_names_file_line_key_value_expected_and_remedy(case: Broken, tmp_path: Path) -> None:
    assert BASE.count(case.old) >= 1
    text = BASE.replace(case.old, case.new, 1) + f"\n[tolerance]\n{case.lines}\n"
    path = write(tmp_path, text)
    problem = next(each for each in refused(path).problems if each.key.startswith(case.key))
    assert problem.source == str(path)
    assert case.value in problem.value
    assert case.expected in problem.expected
    assert case.remedy in problem.remedy
    assert problem.remedy
    assert problem.line is not None
    assert text.splitlines()[problem.line - 1].startswith(case.at)


def tolerance(tmp_path: Path, lines: str) -> Tolerance:
    found = load_design(write(tmp_path, f"{BASE}\n[tolerance]\n{lines}\n")).tolerance
    assert found is not None
    return found


def test_a_design_without_the_table_has_none_and_keeps_its_hash(tmp_path: Path) -> None:
    plain = load_design(write(tmp_path, BASE))
    assert plain.tolerance is None
    assert load_design(write(tmp_path, BASE + "\n[tolerance]\n")).tolerance == Tolerance()
    assert plain.digest() != load_design(write(tmp_path, BASE + "\n[tolerance]\nsamples = 20\n")).digest()


def test_one_value_is_plus_or_minus_and_two_are_the_ends(tmp_path: Path) -> None:
    found = tolerance(
        tmp_path, 'gap = {range = "2 um"}\ntilt = {range = ["-1 mrad", "3 mrad"]}\nwavelength = {range = 0.02}'
    )
    assert found.gap is not None and found.gap.range == (-2e-6, 2e-6)
    assert found.tilt is not None and found.tilt.range == (-1e-3, 3e-3)
    assert found.wavelength is not None and found.wavelength.range == (-0.02, 0.02)


def test_the_table_reads_back_as_written(tmp_path: Path) -> None:
    lines = """samples = 59
sampler = "latin-hypercube"
metric = "ssim"
spec = 0.8
etch_depth = {sigma = 0.015, per = "bit"}
height_noise = {sigma = "6 nm", correlation = "300 nm"}
blur = {range = ["50 nm", "100 nm"]}
overlay_rotation = {sigma = "1 urad"}
index = {range = [-0.001, 0.005]}
crosstalk = {range = "5 um"}
flatness = {sigma = "0.3 rad", correlation = "1 mm"}
"""
    design = load_design(write(tmp_path, f"{BASE}\n[tolerance]\n{lines}"))
    again = load_design(write(tmp_path, design.to_toml()))
    assert again == design
    assert design.tolerance is not None
    assert list(design.tolerance.errors) == [
        "etch_depth", "height_noise", "blur", "overlay_rotation", "index", "crosstalk", "flatness",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "nominal", "limit"),
    [
        ("", 30.0, 29.0),
        ("drop = 2.5", 30.0, 27.5),
        ("spec = 25.0", 30.0, 25.0),
        ('metric = "ssim"', 0.9, 0.85),
        ('metric = "mae_rad"', 0.1, 0.15),
        ('metric = "mae_free_rad"\nspec = 0.3', 0.1, 0.3),
    ],
)
def test_the_limit_is_the_spec_or_nominal_less_the_allowed_loss(
    tmp_path: Path, lines: str, nominal: float, limit: float
) -> None:
    assert tolerance(tmp_path, lines).limit(nominal) == pytest.approx(limit)
