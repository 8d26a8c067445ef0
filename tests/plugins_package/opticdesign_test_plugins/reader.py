"""A reader of files that hold rows and columns as two whole numbers, then that many floats, all of 32 bits."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from opticdesign.data.contents import Contents, Stored


def open_raw32(path: Path, _stack: ExitStack) -> Contents:
    """One map."""
    rows, columns = (int(side) for side in np.fromfile(path, "<u4", 2))
    shape = rows, columns
    read = lambda: np.fromfile(path, "<f4", rows * columns, offset=8).reshape(shape)  # noqa: E731
    return Contents({"": Stored("", shape, np.dtype("<f4"), read)})
