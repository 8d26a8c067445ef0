from pathlib import Path

import numpy as np
import pytest

from opticdesign.data.fingerprint import differences, fingerprints
from opticdesign.design import FolderData


def of(path):
    return fingerprints(FolderData(kind="folder", path=str(path)))


def fill(folder, *names):
    folder.mkdir()
    for seed, name in enumerate(names):
        np.save(folder / name, np.random.default_rng(seed).random((9, 9)))
    return folder


def replace(folder):
    np.save(folder / "b.npy", np.zeros((9, 9)))
    return "b.npy has another content (SHA-256 "


def remove(folder):
    (folder / "b.npy").unlink()
    return "b.npy is missing"


def add(folder):
    np.save(folder / "d.npy", np.ones((9, 9)))
    return "d.npy is new"


def copy(folder):
    (folder / "e.npy").write_bytes((folder / "a.npy").read_bytes())
    return "e.npy is new"


def rename(folder):
    (folder / "b.npy").rename(folder / "z.npy")
    return "b.npy is called z.npy now"


@pytest.mark.parametrize("change", [replace, remove, add, copy, rename])
def test_every_kind_of_change_in_a_folder_is_named(tmp_path, change):
    folder = fill(tmp_path / "in", "a.npy", "b.npy", "c.npy")
    before = of(folder)
    assert differences(before, of(folder)) == []
    expected = change(folder)
    (found,) = differences(before, of(folder))
    assert found.startswith(expected)


def test_the_way_to_a_file_is_no_difference(tmp_path, monkeypatch):
    fill(tmp_path / "in", "a.npy")
    before = of(tmp_path / "in" / "a.npy")
    monkeypatch.chdir(tmp_path)
    assert differences(before, of(Path("in/a.npy"))) == []
    assert differences(before, of(Path("in"))) == []  # a folder that holds it alone
    (tmp_path / "in" / "a.npy").rename(tmp_path / "other.npy")
    assert differences(before, of(tmp_path / "other.npy")) == []


def test_a_hash_is_that_of_the_bytes(tmp_path):
    import hashlib

    path = fill(tmp_path / "in", "a.npy") / "a.npy"
    (found,) = of(path)
    content = path.read_bytes()
    assert (found.bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
