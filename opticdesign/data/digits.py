"""Handwritten digits: from idx files of the user, such as MNIST, or a small stand-in that scikit-learn carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.idx import read_idx
from opticdesign.errors import DataError, UsageError

__all__ = ["read_digits", "stand_in_digits"]

_SIDE = 28  # of MNIST's images
_SMALLEST = 11  # the window of the structural similarity
_IMAGES = "*images*idx3*"  # how the MNIST family names its files of images; those of labels are left alone


def read_digits(path: Path) -> NDArray[np.uint8]:
    """Grey images (n, y, x), 0 background to 255 ink, of an idx file, or of all files of images in a folder.

    Args:
        path: a file; or a folder, whose files of images are put one after the other in the order of their names. A file
            that is there both plain and packed is read once.

    Raises:
        DataError: nothing there, or files that hold no images or images of several sizes.
    """
    files = _files(path) if path.is_dir() else [path]
    parts = [_images(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if part.shape[1:] != parts[0].shape[1:]:
            sides = " × ".join(str(side) for side in parts[0].shape[1:])
            raise DataError(file, f"images of shape {part.shape[1:]}", expected=f"{sides}, as in {files[0].name}")
    return np.concatenate(parts)


def _files(folder: Path) -> list[Path]:
    names = {file.name for file in folder.glob(_IMAGES) if file.is_file()}
    kept = sorted(name for name in names if name.removesuffix(".gz") == name or name.removesuffix(".gz") not in names)
    if not kept:
        raise DataError(
            folder, "no idx files of images", expected=f"names like {_IMAGES}", remedy="name the file itself"
        )
    return [folder / name for name in kept]


def _images(path: Path) -> NDArray[np.uint8]:
    array = read_idx(path)
    if array.dtype != np.uint8 or array.ndim != 3 or not len(array) or min(array.shape[1:]) < _SMALLEST:
        raise DataError(
            path,
            f"an array of shape {array.shape} and type {array.dtype}",
            expected=f"grey values of 8 bits, (images, rows, columns), images of {_SMALLEST} × {_SMALLEST} or larger",
            remedy="name the file of images, not the one of labels",
        )
    return array


def stand_in_digits() -> NDArray[np.uint8]:
    """1797 digits of 8 × 8 grey values, stretched to (1797, 28, 28) without new detail.

    64 numbers describe such an image whole, so that they try a study out but settle nothing about larger codes.

    E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits (1998), UCI Machine Learning Repository,
    doi:10.24432/C50P49; the copy that scikit-learn carries.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    import torch
    from torch.nn import functional

    try:
        from sklearn.datasets import load_digits
    except ImportError as problem:
        raise UsageError(
            "the stand-in digits come with scikit-learn, which is not installed",
            expected="scikit-learn, or idx files of digits",
            remedy='pip install -c constraints.txt -e ".[studies]" in the checkout, or take data.kind = "idx"',
        ) from problem
    small = torch.from_numpy(load_digits().images).float()[:, None]  # 0 … 16
    large = functional.interpolate(small, (_SIDE, _SIDE), mode="bilinear", align_corners=False)[:, 0]
    return (large * (255.0 / 16.0)).round().to(torch.uint8).numpy()
