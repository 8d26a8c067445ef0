"""Masks from files of ours, by the manifest beside them: read as `verify` reads them, so nothing has to be guessed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from opticdesign.errors import DataError, VerificationError
from opticdesign.handover.export import ReadBack, TwoWayExporter, exporters
from opticdesign.handover.importing import ImportJob, Masks
from opticdesign.handover.manifest import (
    MANIFEST_NAME,
    ExportRecord,
    FileRecord,
    Manifest,
    ProcessRecord,
    manifest_beside,
)
from opticdesign.handover.source_file import SourceFile

__all__ = ["own_masks"]

_ALL_LAYERS = (".npz",)  # files that hold all masks, beside those of a layer each
_LAYER = re.compile(r"layer(\d{1,5})\D")
_LAYOUT = {"kind": "layout", "tone": "tone", "mirror": "mirror"}  # of the options of an export


@dataclass(frozen=True)
class _Export:
    """An export, and what of it the files of a job are."""

    folder: Path
    manifest: Manifest
    record: ExportRecord
    files: tuple[FileRecord, ...]


def own_masks(job: ImportJob) -> tuple[Masks, str] | None:
    """The masks of a job whose files one exporter of ours wrote, and its name; None where they are others.

    Raises:
        DataError: a file that was changed since, that is damaged or holds no mask, or masks of another design.
        UsageError: something is said that the manifest does not.
    """
    export = _find(job.files)
    exporter = exporters().get(export.record.exporter) if export else None
    if export is None or exporter is None:
        return None
    if not isinstance(exporter, TwoWayExporter):
        raise DataError(
            job.files[0].path,
            f"written by {export.record.exporter}, by {MANIFEST_NAME}, a format that is never read back",
            expected="files of a format that is read back",
            remedy="import those of another format, or a copy of the file in a folder without a manifest",
        )
    _check_said(export, job)
    _check_design(export.manifest, job)
    path = job.files[0].path
    try:
        with tempfile.TemporaryDirectory(prefix="opticdesign-") as folder:
            _restore(export, job.files, Path(folder))
            found = exporter.read(Path(folder), export.manifest)
    except VerificationError as error:
        remedy = "export again, or import a copy of it in a folder without a manifest"
        raise DataError(path, error.message, expected=error.expected, remedy=remedy) from None
    layers = [layer for one in export.files for layer in _layers(one, found, export, path)]
    if len(layers) != job.shape[0]:
        raise DataError(
            path,
            f"{len(layers)} masks, by {MANIFEST_NAME}",
            expected=f"{job.shape[0]} masks, as the design has",
            remedy="name one file for each mask in the order of the light, or set optics.layers",
        )
    phases = found.phase_rad
    if found.frames is not None:  # what its greys round is the panel's, not the mask's
        phases = job.process.phase_of_level(torch.from_numpy(found.levels)).numpy()
    return Masks(phases[layers], (_note(export, job),), _amplitudes(found, layers, export, job)), (
        export.record.exporter
    )


def _find(files: Sequence[SourceFile]) -> _Export | None:
    """The export that all files are of."""
    found = [_one(file) for file in files]
    exports = {(one.folder, one.record.exporter): one for one in found if one is not None}
    if len(exports) != 1 or None in found:
        return None
    (export,) = exports.values()
    records = tuple(record for one in found if one is not None for record in one.files)
    return _Export(export.folder, export.manifest, export.record, records)


def _one(file: SourceFile) -> _Export | None:
    """The export that one file is of: listed by its path, or by its hash where it was renamed or moved."""
    try:
        beside = manifest_beside(file.path)
    except VerificationError as error:
        remedy = "export again, or import a copy of the file in a folder without a manifest"
        raise DataError(file.path, error.message, remedy=remedy) from None
    if beside is None:
        return None
    folder, manifest = beside
    place = file.path.absolute().relative_to(folder).as_posix()
    listed = [(record, one) for record in manifest.exports for one in record.files]
    same = [pair for pair in listed if pair[1].sha256 == file.sha256]
    record, one = next((pair for pair in listed if pair[1].path == place), same[0] if same else (None, None))
    if record is None or one is None:
        return None
    if one.sha256 != file.sha256:
        raise DataError(
            file.path,
            f"changed since it was exported: its SHA-256 is not that of {MANIFEST_NAME}",
            expected="the file as it was written",
            remedy="export again, or import a copy of it in a folder without a manifest",
        )
    return _Export(folder, manifest, record, (one,))


def _restore(export: _Export, files: Sequence[SourceFile], folder: Path) -> None:
    """Write the files of a record under the names they were exported with, by which some name others.

    Those of the job are written as they were hashed, others copied from where they were exported or beside those.
    """
    given = {one.path: file.data for file, one in zip(files, export.files, strict=True)}
    beside = files[0].path.absolute().parent
    for one in export.record.files:
        place, target = export.folder / one.path, folder / one.path
        if one.path not in given and not place.is_file():
            place = beside / place.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if one.path in given:
            target.write_bytes(given[one.path])
        elif place.is_file():  # else the reader refuses what it misses
            shutil.copyfile(place, target)


def _layers(one: FileRecord, found: ReadBack, export: _Export, path: Path) -> list[int]:
    """The masks that a file holds."""
    index = [file.sha256 for file in export.record.files].index(one.sha256)
    held = [layer for layer, name in enumerate(found.files) if name == export.record.files[index].path]
    named = _LAYER.search(Path(one.path).name)
    if held or Path(one.path).suffix in _ALL_LAYERS:
        return held or list(range(len(found.phase_rad)))
    if named is not None and 1 <= int(named[1]) <= len(found.phase_rad):
        return [int(named[1]) - 1]
    raise DataError(
        path,
        f"holds no mask: {one.description}, by {MANIFEST_NAME}",
        expected=f"one of {', '.join(dict.fromkeys(found.files))}",
        remedy="name the files of the masks",
    )


def _check_said(export: _Export, job: ImportJob) -> None:
    """Refuse what the user says of files whose manifest says another."""
    options = export.record.options
    agreed = {field for field, key in _LAYOUT.items() if key in options and getattr(job.said, field) == options[key]}
    job.said.refuse_all_but({*agreed, "flat"}, f"files of which {MANIFEST_NAME} beside them says all, and not this")


def _check_design(manifest: Manifest, job: ImportJob) -> None:
    """Refuse masks of another process, size or pitch than the design's."""
    ours = {"rows": manifest.shape[1], "columns": manifest.shape[2], **_numbers(manifest.process)}
    wanted = {"rows": job.shape[1], "columns": job.shape[2], **_numbers(ProcessRecord.of(job.process))}
    ours |= {f"pitch along {axis}, m": side for axis, side in zip("yx", manifest.pitch_m, strict=True)}
    wanted |= {f"pitch along {axis}, m": side for axis, side in zip("yx", job.pitch_m, strict=True)}
    for key, value in ours.items():
        other = wanted[key]
        close = isinstance(value, float) and isinstance(other, float) and abs(value - other) <= 1e-9 * abs(other)
        if value != other and not close:
            raise DataError(
                job.files[0].path,
                f"{MANIFEST_NAME} beside it says {key.replace('_', ' ')} {_shown(value)}",
                expected=f"{_shown(other)}, as the design has",
                remedy="name the design that the files are of, or import a copy in a folder without a manifest",
            )


def _numbers(process: ProcessRecord) -> dict[str, object]:
    return {key: value for key, value in process.model_dump().items() if key not in ("step_height_m", "full_height_m")}


def _shown(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _amplitudes(found: ReadBack, layers: list[int], export: _Export, job: ImportJob) -> np.ndarray | None:
    """Amplitude transmissions, of masks that absorb."""
    if found.openings is None:
        return None
    if job.halftone is None or export.manifest.halftone is None:
        raise DataError(
            job.files[0].path,
            "masks that absorb, for a design whose masks absorb nothing",
            expected="a design with amplitudes",
            remedy='set optics.mode = "amplitude+phase"',
        )
    share: np.ndarray = (found.openings[layers] / np.float32(export.manifest.halftone**2)).astype(np.float32)
    return share


def _note(export: _Export, job: ImportJob) -> str:
    """What the manifest says, and what the design says instead."""
    told = [f"read as {MANIFEST_NAME} says: {export.record.exporter}, {export.manifest.process.levels} levels"]
    for field, key in _LAYOUT.items():
        value, design = export.record.options.get(key), getattr(job.layout, field)
        if value is not None:
            told.append(f"{field} {_word(value)}" + (f" (the design says {_word(design)})" if value != design else ""))
    return ", ".join(told)


def _word(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
