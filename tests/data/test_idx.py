from __future__ import annotations

import gzip
import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from opticdesign.data.idx import read_idx
from opticdesign.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WHOLE = np.arange(24, dtype="u1").reshape(2, 3, 4)


def encoded(array: np.ndarray) -> bytes:
    """An array as an idx file, written from the format's description."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@QUICK
@given(data=st.data(), kind=st.sampled_from(sorted(CODES)), packed=st.booleans())
def test_idx_arrays_come_back_as_written(tmp_path: Path, data: st.DataObject, kind: str, packed: bool) -> None:
    shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
    array = data.draw(arrays(np.dtype(kind), shapes))
    content = encoded(array)
    path = tmp_path / "digits"  # no suffix: what is packed is seen from the content
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_idx_published_example_is_read_by_hand(tmp_path: Path) -> None:
    """The first bytes of MNIST's labels as its page lists them: magic number 2049, then the count, then the labels."""
    (tmp_path / "labels").write_bytes(struct.pack(">II", 2049, 3) + bytes([5, 0, 4]))
    assert read_idx(tmp_path / "labels").tolist() == [5, 0, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"begins with the bytes \(none\)"),
        (b"\0\0\x08", "begins with the bytes 00 00 08"),
        (b"\x89PNG\r\n", "begins with the bytes 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\0", "begins with the bytes 00 00 0a 01"),  # no such type
        (b"\0\0\x08\0", "begins with the bytes 00 00 08 00"),  # no axes
        (encoded(WHOLE)[:9], "12 bytes are due where 5 bytes are left"),
        (encoded(WHOLE)[:-1], "24 bytes are due where 23 bytes are left"),
        (encoded(WHOLE) + b"\0", "24 bytes are due where more follow"),
        (struct.pack(">BBBBII", 0, 0, 8, 2, 2**31, 2**31), "an array of 2147483648 × 2147483648 values"),
        (struct.pack(">BBBB9I", 0, 0, 8, 9, *[1] * 9) + b"\0", "an array of 1 × 1"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_that_lie_are_refused(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    path = tmp_path / "digits"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


@pytest.mark.parametrize("kept", [3, 15, -1, -8])
def test_idx_packed_file_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "digits.gz"
    path.write_bytes(gzip.compress(encoded(np.arange(256, dtype="u1")))[:kept])
    with pytest.raises(DataError, match=r"damaged: |bytes are due|begins with the bytes \(none\)"):
        read_idx(path)


def test_idx_packed_file_with_wrong_checksum_is_refused(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(encoded(WHOLE)))
    content[-8] ^= 1
    (tmp_path / "digits.gz").write_bytes(content)
    with pytest.raises(DataError, match="damaged: CRC check failed"):
        read_idx(tmp_path / "digits.gz")


def test_idx_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_idx(tmp_path)


def test_idx_unpacks_no_more_than_its_header_promises(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(encoded(WHOLE) + bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="24 bytes are due where more follow"):
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@QUICK
@given(data=st.data(), packed=st.booleans())
def test_idx_mutants_are_read_or_refused(tmp_path: Path, data: st.DataObject, packed: bool) -> None:
    content = bytearray(gzip.compress(encoded(WHOLE), mtime=0) if packed else encoded(WHOLE))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "mutant").write_bytes(content)
    try:
        found = read_idx(tmp_path / "mutant")
    except DataError:
        return
    assert found.nbytes <= math.prod(WHOLE.shape) * 8
