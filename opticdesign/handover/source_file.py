"""A file of a user's: where it is, and its bytes as they were read once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from opticdesign.errors import DataError
from opticdesign.handover.manifest import sha256

__all__ = ["SourceFile"]

_LARGEST_FILE = 4 << 30  # bytes; beyond this it is no mask


class SourceFile(NamedTuple):
    """A file to read: where it is, and its bytes."""

    path: Path
    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes in hexadecimal."""
        return sha256(self.data)

    @classmethod
    def read(cls, path: Path) -> SourceFile:
        """Read a file whole.

        Raises:
            DataError: it is missing, unreadable, no plain file or far too large.
        """
        try:
            size = path.stat().st_size
            if not path.is_file():  # a pipe would wait, and a device never end
                raise DataError(path, "cannot be read: no plain file", remedy="name a file")
            if size > _LARGEST_FILE:
                raise DataError(path, "too large for a mask", expected=f"at most {_LARGEST_FILE >> 30} GiB")
            return cls(path, path.read_bytes())
        except OSError as error:
            raise DataError(path, f"cannot be read: {error.strerror or error}", remedy="check the path") from None
