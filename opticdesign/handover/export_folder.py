"""How a finished export reaches its folder: staged beside it, flushed, then moved, with nothing of the user's lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opticdesign.errors import OpticDesignError, RunError
from opticdesign.handover.manifest import MANIFEST_NAME, FileRecord, Manifest, load_manifest, sha256
from opticdesign.storage import staged_folder

__all__ = ["place", "staging_folder", "sync"]


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A fresh folder beside `folder`, see `storage.staged_folder`.

    Raises:
        RunError: `folder` exists and is not a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: not a folder", expected="a folder, or a free name", remedy="choose --to DIR")
    with staged_folder(Path(os.path.realpath(folder))) as staging:
        yield staging


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place(staging: Path, folder: Path, manifest: Manifest) -> Manifest:
    """Move staged files into `folder` and write the manifest last.

    Returns:
        The manifest as written: with the records of other exporters that stay valid.

    Raises:
        RunError: a file in the folder would be lost.
    """
    target = Path(os.path.realpath(folder))
    if not target.exists():
        _write_manifest(staging, manifest)
        staging.rename(target)
        sync(target.parent)
        return manifest
    old = _earlier(target, folder)
    merged = _merge(old, manifest, folder)
    new = [file for record in manifest.exports for file in record.files]
    kept = {file.path for record in merged.exports for file in record.files}
    stale = [file for record in old.exports for file in record.files if file.path not in kept] if old else []
    _refuse_losses(target, folder, new, stale, old)
    for file in new:
        (target / file.path).parent.mkdir(parents=True, exist_ok=True)
        (staging / file.path).replace(target / file.path)
    for file in stale:
        (target / file.path).unlink(missing_ok=True)
    for changed in {(target / file.path).parent for file in new}:
        sync(changed)
    _write_manifest(staging, merged)
    (staging / MANIFEST_NAME).replace(target / MANIFEST_NAME)
    sync(target)
    return merged


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    sync(folder / MANIFEST_NAME)
    sync(folder)


def _loss(path: Path, why: str) -> RunError:
    return RunError(
        f"{path}: {why}; it is left as it is", remedy="choose another folder with --to DIR, or move the file"
    )


def _earlier(target: Path, folder: Path) -> Manifest | None:
    """The manifest of an earlier export, if there is one."""
    if not os.path.lexists(target / MANIFEST_NAME):
        return None
    try:
        return load_manifest(target)
    except OpticDesignError:
        raise _loss(folder / MANIFEST_NAME, "not a manifest of an export") from None


def _merge(old: Manifest | None, new: Manifest, folder: Path) -> Manifest:
    """The new manifest with the earlier records of other exporters, which hold only for the same levels."""
    names = {record.exporter for record in new.exports}
    others = tuple(record for record in old.exports if record.exporter not in names) if old else ()
    if old is None or not others:
        return new
    for key in ("name", "process", "shape", "pitch_m", "two_pi_grey", "levels_sha256", "halftone", "openings_sha256"):
        if getattr(old, key) != getattr(new, key):
            raise RunError(
                f"{folder}: holds {', '.join(record.exporter for record in others)} files of another design "
                f"({key} differs)",
                remedy="export these formats as well, or choose another folder with --to DIR",
            )
    exports = tuple(sorted((*new.exports, *others), key=lambda record: record.exporter))
    return Manifest(**{**dict(new), "exports": exports})


def _refuse_losses(
    target: Path, folder: Path, new: list[FileRecord], stale: list[FileRecord], old: Manifest | None
) -> None:
    """Stop before anything is touched when a file that no export wrote, or that was changed since, would be lost."""
    ours = {file.path: file.sha256 for record in old.exports for file in record.files} if old else {}
    coming = {file.path: file.sha256 for file in new}
    for file in (*new, *stale):
        path = target / file.path
        if Path(os.path.realpath(path.parent)) != path.parent or any(
            part.exists() and not part.is_dir() for part in path.parents if part != target and target in part.parents
        ):
            raise _loss(folder / file.path, "would be written through a link or below a file")
        if not os.path.lexists(path):
            continue
        if path.is_symlink() or not path.is_file():
            raise _loss(folder / file.path, "not a plain file")
        if sha256(path.read_bytes()) not in (ours.get(file.path), coming.get(file.path)):
            raise _loss(folder / file.path, "changed since it was exported" if file.path in ours else "not an export")
