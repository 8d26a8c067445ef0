"""Files that survive a crash: written beside their place, flushed to disk, then renamed; checked by hash when read."""

from __future__ import annotations

import hashlib
import json
import os
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
    "replacing",
    "save_checkpoint",
    "sha256_file",
    "storage_errors",
    "try_folder",
    "write_bytes",
    "write_json",
    "write_text",
]

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
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            yield Path(name)
            os.fsync(descriptor)
            os.chmod(name, 0o644)  # noqa: PTH101 (mkstemp makes a private file; results are read by others)
            os.replace(name, path)  # noqa: PTH105 (Path.replace does the same)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file by `content`, or leave it as it was."""
    with replacing(path) as new:
        new.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace a file by UTF-8 text, or leave it as it was."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Replace a file by indented JSON, or leave it as it was."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


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
        work = Path(tempfile.mkdtemp(dir=folder, prefix=".new-"))
        try:
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
