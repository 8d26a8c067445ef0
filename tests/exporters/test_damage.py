"""Damaged files: a located problem or an equal read-back, never another exception (and no warning)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from opticdesign.errors import RunError, VerificationError
from opticdesign.handover.export import exporters, verify_files
from opticdesign.handover.manifest import MANIFEST_NAME, load_manifest

MUTANTS = 400
FILES = (
    ("gds", "gds/d2nn5.gds"),
    ("oasis", "oasis/d2nn5.oas"),
    ("heightmap", "heightmap/layer2.tif"),
    ("heightmap", "heightmap/heights.npz"),
    ("slm", "slm/layer2.png"),
    ("3mf", "3mf/layer2.3mf"),
    ("grey", "grey/layer2.png"),
    ("gsf", "gsf/layer2.gsf"),
    ("png16", "png16/layer2.png"),
    ("png16", "png16/scale.json"),
    ("preview", "preview/layer2.png"),
    ("stl", "stl/layer2.stl"),
    ("xyz", "xyz/layer2.csv"),
    ("zemax", "zemax/layer2_sag.DAT"),
    ("zemax", "zemax/layer2_phase.DAT"),
)
installed = cache(exporters)
every_file = pytest.mark.parametrize(("name", "path"), FILES)


def mutant(data: bytes, draw: np.random.Generator) -> bytes:
    """Flip, set, cut, repeat, insert or swap a few bytes."""
    result = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at, size = int(draw.integers(max(1, len(result)))), int(draw.choice((1, 2, 4, 8, 64)))
        kind = draw.integers(6)
        if kind == 0:
            result[at : at + 1] = bytes(value ^ (1 << int(draw.integers(8))) for value in result[at : at + 1])
        elif kind == 1:
            result[at : at + size] = bytes((int(draw.choice((0, 1, 127, 128, 255))),)) * len(result[at : at + size])
        elif kind == 2:
            del result[at : at + size]
        elif kind == 3:
            result[at:at] = result[at : at + size]
        elif kind == 4:
            result[at:at] = draw.bytes(size)
        else:
            del result[at:]
    return bytes(result)


def outcome(folder: Path, name: str, path: str, levels: np.ndarray) -> str:
    """`equal`, `different` or `refused`; anything else raises."""
    manifest = load_manifest(folder)
    try:
        readback = installed()[name].read(folder, manifest)
    except VerificationError as error:
        assert path in error.message  # names the file
        return "refused"
    assert readback.levels.shape == levels.shape
    return "equal" if np.array_equal(readback.levels, levels) else "different"


@every_file
def test_mutants_are_refused_or_read(name, path, small_of):
    job, folder = small_of(name)
    good = (folder / path).read_bytes()
    draw = np.random.default_rng(len(path))
    outcomes = []
    for _ in range(MUTANTS):
        (folder / path).write_bytes(mutant(good, draw))
        outcomes.append(outcome(folder, name, path, job.levels))
    assert outcomes.count("refused") > MUTANTS // 4


@every_file
def test_every_truncation_is_refused(name, path, small_of):
    job, folder = small_of(name)
    good = (folder / path).read_bytes()
    for size in sorted({*range(0, len(good), max(1, len(good) // 150)), *range(len(good) - 40, len(good))}):
        (folder / path).write_bytes(good[:size])
        assert outcome(folder, name, path, job.levels) == "refused"


@every_file
def test_any_change_is_a_problem_that_names_the_file(name, path, small_of):
    job, folder = small_of(name)
    good = (folder / path).read_bytes()
    draw = np.random.default_rng(len(path))
    for _ in range(40):
        changed = mutant(good, draw)
        (folder / path).write_bytes(changed)
        check = next(check for check in verify_files(folder, job.levels, job.process) if check.exporter == name)
        assert check.ok == (changed == good)
        assert all(path in problem for problem in check.problems)


def test_damaged_manifests_are_refused_or_read(small):
    job, folder = small
    good = (folder / MANIFEST_NAME).read_bytes()
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(MUTANTS):
        (folder / MANIFEST_NAME).write_bytes(mutant(good, draw))
        try:
            verify_files(folder, job.levels, job.process)
        except VerificationError as error:
            refused += 1
            assert str(folder) in error.message
    assert refused > MUTANTS // 4


@pytest.mark.parametrize(
    "number", ["1e300", "1e-300", "-1.0", "0", "NaN", "Infinity", '"3.164e-7"', "3.164e-7 ", "1.0"]
)
def test_a_manifest_with_another_pitch_is_refused_or_read(number, small):
    job, folder = small
    text = (folder / MANIFEST_NAME).read_text()
    changed = re.sub(r'"pitch_m": \[[^]]*\]', f'"pitch_m": {number}', text)
    assert changed != text
    (folder / MANIFEST_NAME).write_text(changed)
    try:
        checks = verify_files(folder, job.levels, job.process)
    except VerificationError as error:
        assert "pitch_m" in error.message
    else:
        same = (float(number),) * 2 == job.pitch_m
        assert [check.ok for check in checks] == [same, same, True]  # frames have no pitch


def test_a_manifest_of_another_process_is_refused(small):
    job, folder = small
    other = type(job.process)(16, 632.8e-9, 1.45702, 1.0003)
    with pytest.raises(VerificationError, match="exported for the process"):
        verify_files(folder, job.levels, other)


def test_a_manifest_of_another_shape_is_refused(small):
    job, folder = small
    with pytest.raises(VerificationError, match=r"exported for the shape \(2, 9, 7\)"):
        verify_files(folder, job.levels[:, :-1], job.process)


def test_a_missing_manifest_is_a_usage_error(tmp_path, make_job):
    job = make_job()
    with pytest.raises(RunError, match=r"manifest\.json: no such manifest"):
        verify_files(tmp_path, job.levels, job.process)


@pytest.mark.parametrize(
    "path",
    ["../x.gds", "/etc/passwd", "gds/../../x", "./x", "gds//x", "a\\\\b", "C:x", ".", "manifest.json", "a\\u0000b"],
)
def test_a_path_out_of_the_folder_is_refused(path, small):
    _, folder = small
    text = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(text.replace("gds/d2nn5.gds", path))
    with pytest.raises(VerificationError, match="expected a relative path inside the export folder"):
        load_manifest(folder)


def test_a_link_out_of_the_folder_is_refused(small, tmp_path):
    job, folder = small
    path = folder / "gds/d2nn5.gds"
    path.rename(tmp_path / "elsewhere.gds")
    path.symlink_to(tmp_path / "elsewhere.gds")
    check = next(check for check in verify_files(folder, job.levels, job.process) if check.exporter == "gds")
    assert check.problems == ("gds/d2nn5.gds: a link that leads out of the export folder",)


def test_files_of_an_exporter_that_is_gone_are_a_problem(small):
    job, folder = small
    text = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(text.replace('"exporter": "gds"', '"exporter": "dxf"'))
    check = next(check for check in verify_files(folder, job.levels, job.process) if check.exporter == "dxf")
    assert check.problems == ("the exporter 'dxf' is not installed",)
