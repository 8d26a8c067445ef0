"""How much a data file may unpack to."""

from __future__ import annotations

__all__ = ["DENSEST", "most_bytes"]

DENSEST = 100  # no phase image packs denser; zeros do, 1032 times in a zip
_FREE_BYTES = 2**28


def most_bytes(stored: int) -> int:
    """Bytes that a file, or a part of one, of so many bytes may unpack to: 256 MiB, or 100 times as many."""
    return max(_FREE_BYTES, DENSEST * stored)
