"""A strict reader of lines of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["fail_line", "numbers", "text_lines"]

_PARTS = b"+-.0123456789Ee"  # what numbers are made of


def fail_line(path: str, line: int, why: str) -> NoReturn:
    """Refuse a file at a line, the first of which is 1."""
    raise VerificationError(f"{path}: line {line}: {why}", remedy="export again")


def text_lines(data: bytes, path: str, count: int, end: bytes = b"\n") -> list[bytes]:
    """Split a file of so many lines, each of which has its end.

    Raises:
        VerificationError: another number of lines.
    """
    *lines, rest = data.split(end)
    if rest or len(lines) != count:
        more = " and a part of one" if rest else ""
        fail_line(path, len(lines) + 1, f"the file has {len(lines)} lines{more}, expected {count}")
    return lines


def numbers(
    lines: Sequence[bytes], path: str, columns: int, separator: bytes, first: int = 1
) -> npt.NDArray[np.float64]:
    """The finite numbers of some lines (lines, columns).

    Args:
        lines: the lines without their ends.
        path: the file, for messages.
        columns: how many numbers stand in a line.
        separator: what stands between two of them.
        first: number of the first line, for messages.

    Raises:
        VerificationError: a line that holds anything else; says which.
    """
    found = _parsed(lines, columns, separator)
    if found is None:
        bad = next(place for place, line in enumerate(lines) if _parsed([line], columns, separator) is None)
        text = lines[bad][:60].decode("ascii", "replace")
        fail_line(path, first + bad, f"expected {columns} numbers, found {text!r}")
    return found


def _parsed(lines: Sequence[bytes], columns: int, separator: bytes) -> npt.NDArray[np.float64] | None:
    """The numbers of all lines at once, or None when a line is bad."""
    text = separator.join(lines)
    foreign = text.translate(None, _PARTS + separator)  # float() takes spaces and underscores too
    if foreign or any(line.count(separator) != columns - 1 for line in lines):
        return None
    try:
        found = np.array([float(cell) for cell in text.split(separator)])
    except ValueError:
        return None
    return found.reshape(-1, columns) if np.isfinite(found).all() else None
