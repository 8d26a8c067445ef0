"""A time lapse of phase maps as a moving picture, on one grey scale that is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opticdesign.storage import replacing

__all__ = ["greys", "write_video"]

_WHITE = 255


def greys(values: NDArray[np.floating], scale: tuple[float, float]) -> NDArray[np.uint8]:
    """Grey values 0 … 255 of numbers of any shape on a scale from black to white; what lies beyond is black or white.

    A value is scale[0] + grey·(scale[1] − scale[0])/255, to half a grey: `data.phase_range` reads it so.
    """
    low, high = scale
    share = np.clip((values - low) / max(high - low, float(np.finfo(np.float32).tiny)), 0.0, 1.0)
    return np.asarray(np.round(share * _WHITE), np.uint8)


def write_video(path: Path, maps: Iterable[NDArray[np.floating]], scale: tuple[float, float], rate: float) -> None:
    """Write maps (y, x) as an animated GIF, which keeps all 256 greys.

    Args:
        path: the file.
        maps: one after another, one in memory at a time.
        scale: values of black and white.
        rate: maps a second, at most 50, rounded to what GIF can say: whole hundredths of a second a map.

    Raises:
        StorageError: the disk refused.
    """
    from PIL import Image

    def images() -> Iterator[Image.Image]:
        for values in maps:
            yield Image.fromarray(greys(values, scale))

    rest = images()
    first = next(rest)
    with replacing(path) as new:
        comment = f"black {scale[0]:.6g}, white {scale[1]:.6g}"
        first.save(
            new,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=round(100.0 / rate) * 10,
            loop=0,
            comment=comment.encode(),
        )
