"""Files of phase images, format by format: what stands in the file, before anything is taken from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.contents import Contents, Stored, refuse_bomb
from opticdesign.data.matfile import read_mat5
from opticdesign.data.pixel_size import Mark
from opticdesign.data.tiff import open_tiff, print_resolution
from opticdesign.errors import DataError
from opticdesign.plugins import Plugins, function

__all__ = ["open_contents", "remedy_for", "suffixes"]

_MOST_OBJECTS = 100_000  # of an HDF5 file
_SMALL = 64  # numbers of an array that may say something about the others

_REMEDIES = {
    **dict.fromkeys((".gz", ".xz", ".lzma", ".bz2", ".zip", ".tar", ".7z", ".zst"), "unpack the archive first"),
    **dict.fromkeys((".jpg", ".jpeg"), "a JPEG picture is lossy and holds no phase; take the data that it was made of"),
    **dict.fromkeys((".csv", ".txt", ".xyz"), "store the numbers with numpy.save(…), or as a float TIFF"),
    **dict.fromkeys(
        (".lif", ".czi", ".nd2", ".oib", ".lsm", ".raw"), "export it as OME-TIFF from the microscope's program"
    ),
}


def remedy_for(path: Path) -> str:
    """What can be done about a file of another type."""
    if "idx" in path.name and "ubyte" in path.name:
        return 'digits are for studies of autoencoders: data.kind = "idx" there'
    return _REMEDIES.get(path.suffix.lower(), "convert it to one of these")


@contextmanager
def open_contents(path: Path) -> Iterator[Contents]:
    """The contents of one npy, npz, tif, png, mat or h5 file, or one of another package's, open as long as the context.

    Raises:
        DataError: a file that is missing, of another format or damaged; whatever goes wrong inside counts as damage.
        UsageError: another package's reader cannot be loaded.
    """
    opener = _opener(path)
    try:
        with ExitStack() as stack:
            yield opener(path, stack)
    except DataError:
        raise
    except FileNotFoundError as problem:
        raise DataError(path, "no such file", remedy="check data.path") from problem
    except Exception as problem:  # the parsers of six formats raise whatever a damaged file leads them to
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:160]
        raise DataError(path, f"cannot be read: {reason}", expected=f"a whole {path.suffix} file") from problem


def _opener(path: Path) -> Opener:
    """What opens a file of this type."""
    suffix = path.suffix.lower()
    if opener := _OPENERS.get(suffix):
        return opener
    if suffix in suffixes():
        return _MORE.load(suffix.removeprefix("."))
    raise DataError(
        path,
        f"a file of type {path.suffix or '(none)'}",
        expected=f"one of {', '.join(suffixes())}",
        remedy=remedy_for(path),
    )


def _held(name: str, array: NDArray[Any]) -> Stored:
    return Stored(name, array.shape, array.dtype, lambda: array)


def _open_npy(path: Path, _stack: ExitStack) -> Contents:
    # Memory-mapping checks the file's length against its header before any memory is taken, and refuses objects.
    return Contents({"": _held("", np.lib.format.open_memmap(path, mode="r"))})


def _open_npz(path: Path, stack: ExitStack) -> Contents:
    # np.load leaves a file open that it opened itself and found damaged.
    archive = stack.enter_context(np.load(stack.enter_context(path.open("rb")), allow_pickle=False))
    arrays, marks = {}, []
    for name in archive.files:
        shape, dtype = _npz_header(archive, name)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, which are never loaded")
        refuse_bomb(path, shape, dtype.itemsize, path.stat().st_size)
        arrays[name] = Stored(name, shape, dtype, lambda name=name: archive[name])  # type: ignore[misc]
        if np.prod(shape) <= _SMALL and dtype.kind in "fuiUS":
            marks.append(Mark("", name, archive[name]))
    return Contents(arrays, marks)


def _npz_header(archive: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of a member, from its first bytes."""
    inside = name if name in archive.zip.namelist() else f"{name}.npy"
    with archive.zip.open(inside) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return shape, dtype


def _open_png(path: Path, stack: ExitStack) -> Contents:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound of our own is below
        image = stack.enter_context(Image.open(path, formats=["PNG"]))
    if image.mode not in ("L", "I", "I;16", "I;16B"):
        raise DataError(
            path,
            "a colour, palette or black-and-white image",
            expected="8- or 16-bit grey values",
            remedy="store the grey values of one channel",
        )
    refuse_bomb(path, image.size, 4, path.stat().st_size)
    pixels = np.asarray(image)
    # Pillow widens 16-bit grey to 32 bits in some versions; PNG itself has no more than 16.
    grey = pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint16)
    x, y = image.info.get("dpi", (0.0, 0.0))
    pitch, notes = print_resolution(float(y), float(x), 25.4e-3)
    return Contents({"": _held("", grey)}, pitch=pitch, notes=notes)


def _open_mat(path: Path, stack: ExitStack) -> Contents:
    import h5py

    if h5py.is_hdf5(path):  # MATLAB 7.3; HDF5 lists the axes of MATLAB's column-major arrays in reverse
        found = _open_h5(path, stack)
        arrays = {name: _as_in_matlab(stored) for name, stored in found.arrays.items()}
        return Contents(arrays, found.marks, notes=found.notes)
    values = {name: _stack_first(array) for name, array in read_mat5(path).items()}
    marks = [Mark("", name, array) for name, array in values.items() if array.size <= _SMALL]
    numeric = {name: array for name, array in values.items() if array.dtype.kind != "U"}
    return Contents({name: replace(_held(name, array), last=True) for name, array in numeric.items()}, marks)


def _stack_first(array: NDArray[Any]) -> NDArray[Any]:
    """MATLAB stacks images along the axes behind the first two."""
    return np.moveaxis(array, (0, 1), (-2, -1)) if array.ndim > 2 else array


def _as_in_matlab(stored: Stored) -> Stored:
    if len(stored.stored_shape) < 2:
        return stored
    *rest, x, y = stored.stored_shape
    return Stored(stored.name, (*rest, y, x), stored.dtype, lambda: stored.read().swapaxes(-1, -2), last=True)


def _open_h5(path: Path, stack: ExitStack) -> Contents:
    import h5py

    file = stack.enter_context(h5py.File(path, "r"))
    arrays: dict[str, Stored] = {}
    marks = _attributes("", file)

    def collect(name: str, item: Any) -> None:
        if len(arrays) > _MOST_OBJECTS:
            raise ValueError(f"more than {_MOST_OBJECTS} arrays")
        if name.startswith("#"):  # what MATLAB refers to from cells and structures
            return
        marks.extend(_attributes(name, item))
        if isinstance(item, h5py.Dataset) and item.attrs.get("MATLAB_class") == b"char":
            if 0 < item.size <= _SMALL and item.dtype == np.uint16:
                text = item[()].tobytes().decode("utf-16-le", "replace")
                marks.append(Mark(*name.rpartition("/")[::2], text))
        elif isinstance(item, h5py.Dataset) and item.shape is not None:
            arrays[name] = _dataset(path, name, item)
            if item.size <= _SMALL and item.dtype.kind in "fuiSO" and not item.is_virtual and not item.external:
                marks.append(Mark(*name.rpartition("/")[::2], item[()]))

    file.visititems(collect)  # follows no link that leads elsewhere
    return Contents(arrays, marks)


def _attributes(place: str, item: Any) -> list[Mark]:
    return [Mark(place, name, value) for name, value in item.attrs.items() if np.size(value) <= _SMALL]


def _dataset(path: Path, name: str, item: Any) -> Stored:
    """A dataset of HDF5; MATLAB's and h5py's pairs of parts count as complex numbers."""
    pair = item.dtype.names in (("real", "imag"), ("r", "i"))
    dtype = np.dtype(np.complex128) if pair else item.dtype

    def read() -> NDArray[Any]:
        if item.is_virtual or item.external:
            raise DataError(
                path,
                f"{name} is kept in other files",
                expected="arrays that the file holds itself",
                remedy=f"copy it: h5py's file[{name!r}][()] stored anew",
            )
        refuse_bomb(path, item.shape, item.dtype.itemsize, path.stat().st_size)
        values = np.asarray(item[()])
        first, second = item.dtype.names if pair else ("", "")
        return values[first] + 1j * values[second] if pair else values

    return Stored(name, tuple(item.shape), dtype, read)


Opener = Callable[[Path, ExitStack], Contents]
"""Gives the arrays of a file, not read yet; what the stack holds stays open as long as they are used."""

_OPENERS: dict[str, Opener] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".tif": open_tiff,
    ".tiff": open_tiff,
    ".png": _open_png,
    ".mat": _open_mat,
    ".h5": _open_h5,
    ".hdf5": _open_h5,
}
_MORE: Plugins[Opener] = Plugins(
    "opticdesign.readers", "reader", function, [suffix.removeprefix(".") for suffix in _OPENERS]
)


def suffixes() -> tuple[str, ...]:
    """How files end that can be read, by us or by another package, whose entry has the name of one without its dot.

    Raises:
        UsageError: two packages name the same one.
    """
    return (*_OPENERS, *(f".{name}" for name in _MORE.names()))
