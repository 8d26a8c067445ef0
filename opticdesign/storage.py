"""Files that survive a crash: written beside their place, flushed to disk, then renamed; checked by hash when read."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from opticdesign.errors import StorageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Checkpoint",
    "json_sha256",
    "load_checkpoint",
    "newest_checkpoint",
    "read_record",
    "replacing",
    "save_checkpoint",
    "sha256_file",
    "staged_folder",
    "storage_errors",
    "sweep",
    "try_folder",
    "write_bytes",
    "write_json",
    "write_record",
    "write_text",
]

_PARTIAL = ".partial"  # end of the name of what is not whole yet
_KEPT = 2  # checkpoints left in a folder: the last one and the one before, should the last be damaged


class Checkpoint(NamedTuple):
    """What a checkpoint folder holds: tensors by name, a position in JSON values, SHA-256 of the tensors' file."""

    tensors: dict[str, Tensor]
    position: dict[str, Any]
    sha256: str


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn operating-system errors about `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}",
            expected="a place that can be written and read",
            remedy="free space on the disk, check the permissions, or choose another folder",
        ) from error


def try_folder(folder: Path) -> None:
    """Make a folder where there is none, and write into it, before long work whose result it is to hold.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside `path` to write to; in the end it takes its place, or leaves it as it was after an error.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        work = _partial(path)
        try:
            with work.open("xb") as file:  # with the permissions that the user's umask leaves
                yield work
                os.fsync(file.fileno())
            os.replace(work, path)  # noqa: PTH105 (Path.replace does the same)
        except BaseException:
            work.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by `content`, or leave it as it was."""
    with replacing(path) as new:
        new.write_bytes(content)


def _partial(path: Path) -> Path:
    """A free name beside a path, for what is to be moved there once it is whole."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}"


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder, which the caller alone holds."""
    for left in folder.rglob(f".*{_PARTIAL}"):
        _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def staged_folder(place: Path) -> Iterator[Path]:
    """A fresh folder beside a place, on its disk, so that a move there is one act; removed where it was not moved.

    It is held by a lock beside it: whoever stages for the same place removes what nobody holds any more.

    Raises:
        StorageError: the disk refused.
    """
    from filelock import FileLock, Timeout

    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        for left in place.parent.glob(f".{glob.escape(place.name)}.*{_PARTIAL}.lock"):
            try:
                with FileLock(left, timeout=0):
                    _remove(left.with_suffix(""))
                    left.unlink(missing_ok=True)
            except Timeout:
                continue
        work = _partial(place)
        held = work.with_name(work.name + ".lock")
        lock = FileLock(held, timeout=0)
        lock.acquire()
    try:
        with storage_errors(work):
            work.mkdir()
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        lock.release()
        held.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file by UTF-8 text, or leave it as it was."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Replace a file by indented JSON, or leave it as it was."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_record(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a file by indented JSON with the hash of its values, which `read_record` asks for."""
    write_json(path, {**values, "sha256": _record_sha256(values)})


def read_record(path: Path) -> dict[str, Any]:
    """The values of a file that `write_record` wrote.

    Raises:
        FileNotFoundError: there is none.
        StorageError: it is not what was written.
    """
    damaged = StorageError(
        f"{path}: damaged", expected="the values whose SHA-256 stands beside them", remedy="bring back an older copy"
    )
    try:
        values = json.loads(path.read_bytes())
        if values.pop("sha256") == _record_sha256(values):
            return dict(values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged from None
    raise damaged


def _record_sha256(values: Mapping[str, Any]) -> str:
    stored = json.loads(json.dumps(values))  # keys are text there
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], position: Mapping[str, Any]) -> Path:
    """Store tensors and a position as one checkpoint folder, named by its total step; older ones are thinned out.

    Args:
        folder: folder of the checkpoints.
        tensors: what to keep, by name.
        position: JSON values; `total` names the checkpoint.

    Raises:
        StorageError: the disk refused.
    """
    from safetensors.torch import save

    place = folder / f"step-{position['total']:08d}"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        work = _partial(place)
        try:
            work.mkdir()
            content = save(dict(tensors))
            write_bytes(work / "tensors.safetensors", content)
            write_json(
                work / "checkpoint.json",
                {
                    "position": dict(position),
                    "position_sha256": json_sha256(dict(position)),
                    "sha256": hashlib.sha256(content).hexdigest(),
                },
            )
            shutil.rmtree(place, ignore_errors=True)
            work.rename(place)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        for old in sorted(folder.glob("step-*"))[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return place


def load_checkpoint(place: Path) -> Checkpoint:
    """Read a checkpoint folder back.

    Raises:
        StorageError: a file is missing, or its content is not what was written.
    """
    from safetensors.torch import load

    damaged = StorageError(
        f"{place}: this checkpoint is damaged",
        expected="tensors and a position with the hashes that checkpoint.json records",
        remedy="remove that folder to fall back on the checkpoint before it",
    )
    try:
        record = json.loads((place / "checkpoint.json").read_text("utf-8"))
        content = (place / "tensors.safetensors").read_bytes()
        position = record["position"]
        digest = hashlib.sha256(content).hexdigest()
        if (digest, json_sha256(dict(position))) != (record["sha256"], record["position_sha256"]):
            raise damaged
        return Checkpoint(load(content), position, digest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged from error


def json_sha256(value: object) -> str:
    """SHA-256 of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in a folder that reads back whole; none when there is none."""
    for place in sorted(folder.glob("step-*"), reverse=True):
        try:
            return load_checkpoint(place)
        except StorageError:
            continue
    return None
