"""A strict reader of ZIP archives: members and their sizes known beforehand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

from opticdesign.errors import VerificationError

__all__ = ["read_members"]

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on damaged archives; it documents only the first.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, IndexError,
    OverflowError, struct.error,
)  # fmt: skip


def read_members(data: bytes, path: str, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The members of an archive, CRC checked by zipfile.

    Args:
        data: the bytes of the file.
        path: its name in messages.
        limits: for each member that is expected, the most bytes it may have.

    Raises:
        VerificationError: a damaged archive, other members, or more bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if set(members) != set(limits) or len(archive.infolist()) != len(limits):
                raise VerificationError(f"{path}: holds {sorted(members)}, expected {sorted(limits)}")
            return {name: _member(archive, members[name], path, limit) for name, limit in limits.items()}
    except _DAMAGE as error:
        raise VerificationError(f"{path}: a damaged archive: {error}", remedy="export again") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, limit: int) -> bytes:
    if info.compress_type not in _METHODS or info.flag_bits & 1:
        raise VerificationError(f"{path}: {info.filename}: neither stored nor deflated, or encrypted")
    with archive.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise VerificationError(f"{path}: {info.filename}: more than {limit} bytes")
    return data
