from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.errors import StorageError
from opticdesign.tolerance.store import Shard, Store

VALUES = np.array([[0.1, 1e-6], [1 / 3, -2e-9]])
SHARD = Shard.of("study", "evaluate", VALUES, [4, 5])
TABLE = {"psnr_db": np.array([[20.1, 1 / 3], [1e-300, -7.0]]), "ssim": np.array([[0.5, 0.25], [0.1, 0.7]])}


def stored(folder: Path) -> tuple[Store, list[str], Path]:
    news: list[str] = []
    store = Store(folder, news.append)
    store.write(SHARD, TABLE)
    (path,) = folder.glob("*.json")
    return store, news, path


def test_a_shard_reads_back_bit_for_bit(tmp_path: Path) -> None:
    store, news, _ = stored(tmp_path)
    again = store.read(SHARD)
    assert again is not None and list(again) == list(TABLE)
    assert all(np.array_equal(again[name], TABLE[name]) for name in TABLE)
    assert not news


@pytest.mark.parametrize(
    "other",
    [
        Shard.of("another study", "evaluate", VALUES, [4, 5]),
        Shard.of("study", "evaluate", VALUES, [4, 6]),
        Shard.of("study", "evaluate", np.nextafter(VALUES, 1.0), [4, 5]),
        Shard.of("study", "evaluate", VALUES[:1], [4]),
        Shard.of("study", "retuned", VALUES, [4, 5]),
    ],
    ids=["study", "number", "last bit of a value", "fewer points", "kind"],
)
def test_a_shard_of_anything_else_is_not_found(tmp_path: Path, other: Shard) -> None:
    store, _, _ = stored(tmp_path)
    assert store.read(other) is None


def test_an_empty_folder_holds_nothing_and_is_not_made(tmp_path: Path) -> None:
    assert Store(tmp_path / "none", print).read(SHARD) is None
    assert not (tmp_path / "none").exists()


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_gives_other_numbers(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    store, news, path = stored(tmp_path_factory.mktemp("shards"))
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    found = store.read(SHARD)
    if found is None:
        assert "set aside" in news[0] and path.with_suffix(".damaged").exists() and not path.exists()
    else:  # what does not count was hit: a blank, the note of the points' numbers
        assert all(np.array_equal(found[name], TABLE[name]) for name in TABLE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"key": 1}'])
def test_a_broken_file_is_set_aside_and_written_again(tmp_path: Path, content: bytes) -> None:
    store, news, path = stored(tmp_path)
    path.write_bytes(content)
    assert store.read(SHARD) is None
    assert len(news) == 1 and path.name in news[0]
    assert path.with_suffix(".damaged").read_bytes() == content
    store.write(SHARD, TABLE)
    assert store.read(SHARD) is not None


def test_a_disk_that_refuses_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Store(tmp_path / "file", print).write(SHARD, TABLE)
