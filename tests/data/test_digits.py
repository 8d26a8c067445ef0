from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from opticdesign.data.digits import read_digits, stand_in_digits
from opticdesign.errors import DataError, UsageError


def write(path: Path, images: np.ndarray) -> None:
    """Images of 8 bits as an idx file, packed if the name says so."""
    content = struct.pack(f">BBBB{images.ndim}I", 0, 0, 8, images.ndim, *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def images(count: int, side: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


def test_digits_of_a_file_are_its_images(tmp_path: Path) -> None:
    write(tmp_path / "any.gz", images(5))
    np.testing.assert_array_equal(read_digits(tmp_path / "any.gz"), images(5))


def test_digits_of_a_folder_are_all_images_in_order_of_names_and_no_labels(tmp_path: Path) -> None:
    write(tmp_path / "train-images-idx3-ubyte", images(3, seed=1))
    write(tmp_path / "t10k-images-idx3-ubyte.gz", images(2, seed=2))
    write(tmp_path / "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
    (tmp_path / "readme.txt").write_text("no images")
    expected = np.concatenate([images(2, seed=2), images(3, seed=1)])
    np.testing.assert_array_equal(read_digits(tmp_path), expected)


def test_digits_there_plain_and_packed_are_read_once(tmp_path: Path) -> None:
    write(tmp_path / "t10k-images-idx3-ubyte", images(2))
    write(tmp_path / "t10k-images-idx3-ubyte.gz", images(2))
    assert len(read_digits(tmp_path)) == 2


def test_digits_of_several_sizes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a-images-idx3", images(2, 12))
    write(tmp_path / "b-images-idx3", images(2, 13))
    with pytest.raises(DataError, match=r"b-images-idx3: images of shape \(13, 13\)\n.*expected: 12 × 12"):
        read_digits(tmp_path)


def test_digits_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no idx files of images"):
        read_digits(tmp_path)


@pytest.mark.parametrize("array", [np.zeros(7, np.uint8), images(0), images(2, 10), np.zeros((2, 2, 12, 12), np.uint8)])
def test_digits_that_are_no_images_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    write(tmp_path / "file", array)
    with pytest.raises(DataError, match="an array of shape") as caught:
        read_digits(tmp_path / "file")
    assert "labels" in caught.value.remedy


def test_stand_in_digits_are_images_of_the_size_of_mnist() -> None:
    digits = stand_in_digits()
    assert digits.shape == (1797, 28, 28)
    assert digits.dtype == np.uint8
    assert (digits.min(), digits.max()) == (0, 255)


def test_stand_in_digits_are_the_small_ones_stretched() -> None:
    """Averages over the blocks that 8 pixels of the source cover in 28 follow the source."""
    from sklearn.datasets import load_digits

    small = load_digits().images / 16.0
    centres = ((np.arange(8) + 0.5) * 28 / 8).astype(int)
    large = stand_in_digits() / 255.0
    assert np.abs(large[:, centres][:, :, centres] - small).mean() < 0.05


def test_stand_in_digits_without_scikit_learn_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match="scikit-learn, which is not installed") as caught:
        stand_in_digits()
    assert 'pip install -c constraints.txt -e ".[studies]"' in caught.value.remedy
