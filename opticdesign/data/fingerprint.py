"""Which files data came from: their names, lengths and SHA-256, so that other files are noticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from opticdesign.data.files import data_files
from opticdesign.data.record import FileRecord
from opticdesign.design import Data, SyntheticData
from opticdesign.errors import DataError
from opticdesign.storage import sha256_file

__all__ = ["Fingerprint", "differences", "fingerprints", "record_of"]

_SHORT = 12  # hexadecimal digits that messages show


@dataclass(frozen=True)
class Fingerprint:
    """One data file: its name without folders, its length and its hash."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, record: dict[str, Any]) -> Fingerprint:
        """A fingerprint from plain values."""
        return cls(record["name"], record["bytes"], record["sha256"])


def fingerprints(data: Data) -> tuple[Fingerprint, ...]:
    """The files of a design's data in the order of reading; none of synthetic data.

    Raises:
        DataError: they are not there, or cannot be read.
    """
    if isinstance(data, SyntheticData):
        return ()
    return tuple(_fingerprint(path) for path in data_files(Path(data.path)))


def record_of(path: Path) -> FileRecord:
    """The record of a file before it is read.

    Raises:
        DataError: it cannot be opened.
    """
    found = _fingerprint(path)
    return FileRecord(found.name, found.bytes, found.sha256)


def _fingerprint(path: Path) -> Fingerprint:
    try:
        facts = path.stat()
        return Fingerprint(path.name, facts.st_size, _sha256(path.resolve(), facts.st_size, facts.st_mtime_ns))
    except OSError as problem:
        raise DataError(path, f"cannot be opened: {problem.strerror}", remedy="check its permissions") from problem


@lru_cache(maxsize=100_000)
def _sha256(path: Path, _size: int, _changed_ns: int) -> str:
    """Hash of a file that has this length and time; one process asks for it more than once."""
    return sha256_file(path)


def differences(made: Sequence[Fingerprint], now: Sequence[Fingerprint]) -> list[str]:
    """What is not the same about two sets of files, a phrase for each; a single file may have another name.

    The names in a folder count, since they decide which fields train and which test.
    """
    if len(made) == len(now) == 1:
        return [] if made[0].sha256 == now[0].sha256 else [_other(now[0].name, made[0], now[0])]
    before, after = ({one.name: one for one in files} for files in (made, now))
    new = [one for one in now if one.name not in before]
    found = []
    for name, one in before.items():
        renamed = next((other for other in new if other.sha256 == one.sha256), None)
        if name in after:
            found += [_other(name, one, after[name])] if after[name].sha256 != one.sha256 else []
        elif renamed is None:
            found.append(f"{name} is missing")
        else:
            new.remove(renamed)
            found.append(f"{name} is called {renamed.name} now")
    return found + [f"{one.name} is new" for one in new]


def _other(name: str, made: Fingerprint, now: Fingerprint) -> str:
    return f"{name} has another content (SHA-256 {now.sha256[:_SHORT]}…, then {made.sha256[:_SHORT]}…)"
