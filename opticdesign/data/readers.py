"""Files of phase images, field by field of the format: what stands in the file, before pitch and phase scale matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.matfile import read_mat5
from opticdesign.errors import DataError

__all__ = ["SUFFIXES", "RawImages", "read_images"]

MAX_COMPRESSION = 2000  # no lossless TIFF codec packs denser; deflate ends at 1032
PARTS_KEY = "E_field"  # the published set of HeLa fields stores amplitude as the real part, phase as the imaginary part


class RawImages(NamedTuple):
    """The images of one file.

    Attributes:
        data: (n, y, x): floats are a phase in radians, complex numbers a field, unsigned integers grey values.
        amplitude: (n, y, x), where the file stores it beside the phase.
        mask: (n, y, x), True where the data is valid.
        stacked: whether the file held a stack, so that its images need numbers.
    """

    data: NDArray[Any]
    amplitude: NDArray[Any] | None
    mask: NDArray[np.bool_] | None
    stacked: bool


def read_images(path: Path, key: str | None = None) -> RawImages:
    """Read one npy, npz, tif, png, mat or h5 file.

    Args:
        path: the file.
        key: name of the array in an npz, mat or h5 file. Default: "phase" (mat: "E_field"), or the only image there is.

    Raises:
        DataError: a file that is missing, of another format, damaged, or without such an array.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(path, f"a file of type {path.suffix or '(none)'}", expected=f"one of {', '.join(SUFFIXES)}")
    try:
        return reader(path, key)
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(path, "no such file", remedy="check data.path") from problem
    except Exception as problem:  # the parsers of six formats raise whatever a damaged file leads them to
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:160]
        raise DataError(path, f"cannot be read: {reason}", expected=f"a whole {path.suffix} file") from problem


def _read_npy(path: Path, _key: str | None) -> RawImages:
    # Memory-mapping checks the file's length against its header before any memory is taken, and refuses objects.
    return _images(path, np.lib.format.open_memmap(path, mode="r"), "")


def _read_npz(path: Path, key: str | None) -> RawImages:
    # np.load leaves a file open that it opened itself and found damaged.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        names = [name for name in (key or "phase", "mask") if name in archive.files]
        wanted = archive.files if (key or "phase") not in names else names
        arrays = {name: archive[name] for name in wanted}
    return _from_container(path, arrays, key, "phase")


def _read_tif(path: Path, _key: str | None) -> RawImages:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        if "S" in series.axes:
            raise _colour(path)
        # A damaged header can promise a giant image, over whose missing pieces tifffile would toil for hours.
        pieces = [(math.prod(page.chunked), len(page.dataoffsets)) for page in series.pages if page is not None]
        if series.nbytes > MAX_COMPRESSION * path.stat().st_size or any(due != held for due, held in pieces):
            raise DataError(path, f"an image of {series.shape} pixels with parts missing", expected="a whole file")
        return _images(path, series.asarray(), "")


def _read_png(path: Path, _key: str | None) -> RawImages:
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as image:
        if image.mode not in ("L", "I", "I;16", "I;16B"):
            raise _colour(path)
        pixels = np.asarray(image)
    # Pillow widens 16-bit grey to 32 bits in some versions; PNG itself has no more than 16.
    return _images(path, pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint16), "")


def _read_mat(path: Path, key: str | None) -> RawImages:
    import h5py

    if h5py.is_hdf5(path):  # MATLAB 7.3; HDF5 lists the axes of MATLAB's column-major arrays in reverse
        with h5py.File(path, "r") as file:
            arrays = {name: _complete(item[()]).T for name, item in file.items() if isinstance(item, h5py.Dataset)}
    else:
        arrays = read_mat5(path)
    # MATLAB stacks images along the third axis.
    arrays = {name: np.moveaxis(value, -1, 0) if value.ndim == 3 else value for name, value in arrays.items()}
    return _from_container(path, arrays, key, PARTS_KEY)


def _read_h5(path: Path, key: str | None) -> RawImages:
    import h5py

    datasets: dict[str, Any] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            datasets[name] = item

    with h5py.File(path, "r") as file:
        file.visititems(collect)
        name = _choose(path, datasets, key, "phase")
        wanted = {n: _complete(datasets[n][()]) for n in (name, "mask") if n in datasets}
    return _from_container(path, wanted, name, "phase")


def _complete(array: Any) -> NDArray[Any]:
    """Complex numbers from MATLAB's pair of real and imag; other arrays as they are."""
    values = np.asarray(array)
    return values["real"] + 1j * values["imag"] if values.dtype.names == ("real", "imag") else values


def _from_container(path: Path, arrays: Mapping[str, NDArray[Any]], key: str | None, default: str) -> RawImages:
    name = _choose(path, arrays, key, default)
    images = _images(path, arrays[name], f"{name}: ")
    if name == PARTS_KEY and images.data.dtype.kind == "c":
        images = images._replace(data=images.data.imag, amplitude=images.data.real)
    if "mask" not in arrays or name == "mask":
        return images
    mask = np.asarray(arrays["mask"])
    if mask.dtype.kind not in "bui" or mask.shape not in (images.data.shape, images.data.shape[1:]):
        raise DataError(
            path,
            f"mask of type {mask.dtype} and shape {mask.shape}",
            expected=f"true or false for each of {images.data.shape[1]} × {images.data.shape[2]} pixels",
        )
    return images._replace(mask=np.broadcast_to(mask.astype(np.bool_), images.data.shape))


def _choose(path: Path, arrays: Mapping[str, Any], key: str | None, default: str) -> str:
    """The array that was asked for, the default one, or the only image there is."""
    if (key or default) in arrays:
        return key or default
    images = [
        name for name, array in arrays.items() if array.ndim in (2, 3) and _is_image(array.dtype) and name != "mask"
    ]
    if key is None and len(images) == 1:
        return images[0]
    raise DataError(
        path,
        f"no array named {key or default!r}" if key or not images else f"{len(images)} images, none named {default!r}",
        expected=f"one of {', '.join(sorted(images)[:8])}" if images else "a two-dimensional array of numbers",
        remedy="set data.key" if images else "",
    )


def _is_image(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fcu" or dtype.names == ("real", "imag")


def _images(path: Path, array: NDArray[Any], label: str) -> RawImages:
    """Check type and shape, and make a stack of a single image."""
    if not (array.dtype.kind in "fc" or array.dtype in (np.uint8, np.uint16)):
        raise DataError(
            path,
            f"{label}numbers of type {array.dtype}",
            expected="floats (phase in radians), complex numbers (field) or unsigned 8- or 16-bit grey values",
        )
    if array.ndim not in (2, 3) or array.size == 0:
        raise DataError(
            path, f"{label}an array of shape {array.shape}", expected="an image (y, x) or a stack (n, y, x)"
        )
    stacked = array.ndim == 3
    return RawImages(array if stacked else array[np.newaxis], None, None, stacked)


def _colour(path: Path) -> DataError:
    return DataError(path, "a colour, palette or black-and-white image", expected="8- or 16-bit grey values")


_READERS: dict[str, Callable[[Path, str | None], RawImages]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".tif": _read_tif,
    ".tiff": _read_tif,
    ".png": _read_png,
    ".mat": _read_mat,
    ".h5": _read_h5,
    ".hdf5": _read_h5,
}
SUFFIXES = tuple(_READERS)
