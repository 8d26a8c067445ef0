"""Grey-scale bitmaps: greys by a contrast curve of any shape, confirmed by Pillow; heights that no grey leaves."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opticdesign.design import Export
from opticdesign.design.exporting import GreyScale
from opticdesign.errors import UsageError, VerificationError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob, export_design, exporters, verify_files
from opticdesign.handover.manifest import load_manifest

PNG = "grey/layer2.png"
RISING = [(0, 0.0), (100, 300.0), (255, 1300.0)]  # nm
FALLING = [(10, 1400.0), (60, 900.0), (250, 0.0)]


def curve_of(points) -> Export:
    return Export(grey=GreyScale(contrast=[[grey, f"{height} nm"] for grey, height in points]))


def heights_nm(job) -> np.ndarray:
    step = 632.8 / (1.45702 - 1.0003) / job.process.levels
    return np.arange(job.process.levels) * step


def grey_at(points, height: float) -> float:
    """Place on the curve, between two greys, by the line between the points around it."""
    for (low, start), (high, end) in pairwise(points):
        if min(start, end) <= height <= max(start, end):
            return low + (height - start) / (end - start) * (high - low)
    raise ValueError(height)


@pytest.mark.parametrize("points", [RISING, FALLING])
def test_pillow_sees_the_greys_of_the_curve(points, make_job, tmp_path):
    job = make_job(8, (2, 21, 34), spec=curve_of(points))
    export_design(job, ["grey"], tmp_path / "x", {})
    expected = np.array([round(grey_at(points, height)) for height in heights_nm(job)])
    for layer in (1, 2):
        with Image.open(tmp_path / f"x/grey/layer{layer}.png") as image:
            assert (image.mode, image.size) == ("L", (34, 21))
            np.testing.assert_array_equal(np.asarray(image), expected[job.levels[layer - 1]])


def test_without_a_curve_grey_rises_straight_from_0_to_255(make_job, tmp_path):
    job = make_job(4, array=np.array([[[0, 1, 2, 3]]], np.uint8))
    export_design(job, ["grey"], tmp_path / "x", {})
    with Image.open(tmp_path / "x/grey/layer1.png") as image:
        assert np.asarray(image).tolist() == [[0, 85, 170, 255]]


@pytest.mark.parametrize("points", [RISING, FALLING])
def test_the_phase_is_that_of_the_heights_that_the_greys_leave(points, make_job, tmp_path):
    job = make_job(8, (1, 9, 7), spec=curve_of(points))
    export_design(job, ["grey"], tmp_path / "x", {})
    (check,) = verify_files(tmp_path / "x", job.levels, job.process)
    assert check.ok, check.problems
    with Image.open(tmp_path / "x/grey/layer1.png") as image:
        left_nm = np.interp(np.asarray(image), *np.array(points).T)
    phase = 2 * math.pi * left_nm * 1e-9 * (1.45702 - 1.0003) / 632.8e-9
    np.testing.assert_allclose(check.readback.phase_rad[0], phase, rtol=1e-6)
    assert 0 < check.phase_error_rad < 0.5 * 2 * math.pi * 20 / 1385  # half of 20 nm, the steepest step of a grey


@settings(deadline=None, max_examples=25)
@given(
    st.integers(2, 12),
    st.lists(st.integers(1, 254), min_size=1, max_size=4, unique=True),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_any_curve_reads_back_or_is_refused(tmp_path_factory, levels, inner, seed, falling):
    draw = np.random.default_rng(seed)
    heights = np.sort(draw.uniform(0, 1400, len(inner) + 2).round(3))
    points = list(zip([0, *sorted(inner), 255], (heights[::-1] if falling else heights).tolist(), strict=True))
    if len(set(heights.tolist())) < len(heights):
        return
    process = FabricationProcess(levels, 632.8e-9, 1.45702, 1.0003)
    job = ExportJob("x", draw.integers(0, levels, (1, 5, 6), np.uint8), process, (3e-7, 3e-7), spec=curve_of(points))
    folder = tmp_path_factory.mktemp("grey") / "x"
    try:
        export_design(job, ["grey"], folder, {})
    except UsageError as error:
        assert "beyond the contrast curve" in error.message or "fall on one grey" in error.message
        return
    (check,) = verify_files(folder, job.levels, process)
    assert check.ok, check.problems


def test_levels_on_one_grey_are_refused(make_job, tmp_path):
    job = make_job(16, spec=curve_of([(0, 0.0), (10, 1400.0)]))
    with pytest.raises(UsageError, match=r"levels \d+ and \d+ fall on one grey, \d+"):
        export_design(job, ["grey"], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([(0, 0.0), (255, 1000.0)], r"level 6 is 1039\.\d+ nm high, beyond the contrast curve"),
        ([(0, 100.0), (255, 1400.0)], "level 0 is 0 nm high, beyond the contrast curve"),
    ],
)
def test_heights_beyond_the_curve_are_refused(points, why, make_job, tmp_path):
    with pytest.raises(UsageError, match=why):
        export_design(make_job(8, spec=curve_of(points)), ["grey"], tmp_path / "x", {})


def test_a_grey_that_is_no_level_is_located(small_of):
    _, folder = small_of("grey")
    with Image.open(folder / PNG) as image:
        values = np.array(image)
    values[4, 6] = 77
    Image.fromarray(values).save(folder / PNG)
    with pytest.raises(VerificationError, match=rf"^{PNG}: layer 2 row 4 column 6: grey 77 is no level"):
        exporters()["grey"].read(folder, load_manifest(folder))


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("contrast", "no json", "no curve with the grey of each level"),
        ("contrast", "[[0, 0.0]]", "grey 0 does not leave the height of level 0"),
        ("contrast", "[[255, 0.0], [0, 1.2e-6]]", "no curve"),
        ("contrast", "[[0, 0.0], [255, Infinity]]", "no curve"),
        ("contrast", "[[0, 0.0], [255, 1e-6]]", "grey 36 does not leave the height of level 1"),
        ("grey_of_level", "[0, 1]", "no curve"),
        ("grey_of_level", "[0, 36, 73, 109, 146, 182, 219, 256]", "no curve"),
        ("grey_of_level", "[0, 40, 73, 109, 146, 182, 219, 255]", "grey 40 does not leave the height of level 1"),
        ("grey_of_level", "1", "no curve"),
        ("grey_of_level", 1, "no curve"),
    ],
)
def test_a_manifest_with_another_curve_is_refused(key, value, why, small_of):
    _, folder = small_of("grey")
    manifest = load_manifest(folder)
    (record,) = manifest.exports
    assert json.loads(record.options["grey_of_level"])[:2] == [0, 36]
    damaged = record.model_copy(update={"options": {**record.options, key: value}})
    with pytest.raises(VerificationError, match=rf"^manifest\.json: grey: {why}"):
        exporters()["grey"].read(folder, manifest.model_copy(update={"exports": (damaged,)}))
