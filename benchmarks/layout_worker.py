"""One layout file written in a process of its own: `python -m benchmarks.layout_worker TASK RESULT`, both JSON files.

A peak of memory belongs to a process, and some writers take so long that they have to be stopped.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.layout_writers import LEVELS, WRITERS, right_area
from benchmarks.worker import own_peak

__all__ = ["masks", "measure"]


def masks(pattern: str, count: int, size: int) -> NDArray[np.uint8]:
    """Levels (count, size, size): each pixel its own, or smooth hills of up to two turns of phase."""
    rng = np.random.default_rng(0)
    if pattern == "random":
        return rng.integers(0, LEVELS, (count, size, size), dtype=np.uint8)
    from scipy import ndimage

    coarse = rng.uniform(0.0, 2.0, (count, 8, 8))
    hills = np.stack([ndimage.zoom(plane, size / 8, order=3, mode="nearest", grid_mode=True) for plane in coarse])
    levels: NDArray[np.uint8] = (np.floor(hills * LEVELS).astype(np.int64) % LEVELS).astype(np.uint8)
    return levels


def measure(writer: str, form: str, pattern: str, count: int, size: int, check: bool) -> dict[str, Any]:
    """Seconds, bytes and the memory above that of the masks; with `check`, whether the file covers the right area."""
    levels, write = masks(pattern, count, size), WRITERS[writer]
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        write(masks("random", 1, 8), form, Path(first))  # imports what it needs
        before, start = own_peak(), time.perf_counter()
        path = write(levels, form, Path(second))
        seconds, peak = time.perf_counter() - start, own_peak() - before
        right = right_area(levels, path) if check else None
        return {"seconds": seconds, "bytes": path.stat().st_size, "peak": peak, "right": right}


if __name__ == "__main__":
    task, result = sys.argv[1:]
    Path(result).write_text(json.dumps(measure(**json.loads(Path(task).read_text()))))
