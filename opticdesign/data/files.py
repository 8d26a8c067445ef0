"""Which files a path means, and which of a folder are left out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from opticdesign.data.readers import remedy_for, suffixes
from opticdesign.errors import DataError

__all__ = ["data_files", "left_out"]


def data_files(path: Path) -> list[Path]:
    """The file, or the files of a known type in the folder.

    Raises:
        DataError: nothing there.
    """
    try:
        if not path.exists():
            raise DataError(path, "no such file or folder", remedy="check data.path")
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise DataError(path, "no file and no folder", expected="a file on a disk", remedy="check data.path")
        known = suffixes()
        files = sorted(item for item in path.iterdir() if _is_data(item, known))
    except OSError as problem:
        raise DataError(path, f"cannot be opened: {problem.strerror}", remedy="check data.path") from problem
    if not files:
        others = left_out(path)
        folders = [name for name in others if name.endswith("/")]
        raise DataError(
            path,
            "no data file in the folder",
            expected=f"files of type {', '.join(known)}" + (f"; there is {', '.join(others[:4])}" if others else ""),
            remedy=f"name one of its folders: {', '.join(folders[:4])}"
            if folders
            else remedy_for(Path(others[0]))
            if others
            else "check data.path",
        )
    return files


def _is_data(item: Path, known: Collection[str]) -> bool:
    return item.suffix.lower() in known and not item.name.startswith(".") and item.is_file()


def left_out(path: Path) -> list[str]:
    """Names of what a folder holds beside data, subfolders with a slash behind them."""
    if not path.is_dir():
        return []
    known = suffixes()
    others = (item for item in path.iterdir() if not item.name.startswith(".") and not _is_data(item, known))
    return sorted(item.name + "/" * item.is_dir() for item in others)
