import struct

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from opticdesign.data.matfile import read_mat5


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "c16", "c8", "?"])
def test_mat_arrays_are_those_that_scipy_reads(tmp_path, dtype, compressed):
    path = tmp_path / "a.mat"
    values = (np.random.default_rng(0).random((3, 5, 2)) * 100).astype(dtype)
    savemat(path, {"flat": values[:, :, 0], "deep": values, "n": values[0, 0, 0]}, do_compression=compressed)
    found, expected = read_mat5(path), loadmat(path)
    assert sorted(found) == ["deep", "flat", "n"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
        assert array.shape == expected[name].shape
    assert found["flat"].dtype.kind == np.dtype(dtype).kind


def test_mat_cells_and_structures_are_passed_over_and_a_short_text_is_kept(tmp_path):
    cells = np.array([[1, "a"]], dtype=object)
    savemat(tmp_path / "a.mat", {"text": "hello", "cells": cells, "record": {"x": 1.0}, "good": np.eye(2)})
    found = read_mat5(tmp_path / "a.mat")
    assert list(found) == ["text", "good"] and found["text"].item() == "hello"


def test_mat_big_endian_file_with_narrow_numbers_is_read(tmp_path):
    """Two doubles stored as bytes in a short element, as MATLAB does, in the byte order of old workstations."""
    flags = struct.pack(">IIII", 6, 8, 6, 0)
    shape = struct.pack(">IIii", 5, 8, 1, 2)
    name = struct.pack(">HH4s", 1, 1, b"v")
    real = struct.pack(">HH4s", 2, 2, bytes([7, 200]))
    body = flags + shape + name + real
    (tmp_path / "b.mat").write_bytes(b" " * 124 + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body)
    np.testing.assert_array_equal(read_mat5(tmp_path / "b.mat")["v"], [[7.0, 200.0]])


def test_mat_file_of_version_4_is_refused(tmp_path):
    savemat(tmp_path / "a.mat", {"x": np.eye(30)}, format="4")
    with pytest.raises(ValueError, match=r"not a MATLAB file of version 5"):
        read_mat5(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (132, 1 << 30, "an element of 1073741824 bytes"),
        (160, 1000, r"numbers for an array of shape \(1000, "),
        (160, 0x80000000, "numbers for an array of shape"),
        (176, 77, "unknown type 77"),
    ],
)
def test_mat_lengths_that_lie_are_refused(tmp_path, at, value, message):
    path = tmp_path / "a.mat"
    savemat(path, {"x": np.eye(6)})
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, at, value)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_mat5(path)
