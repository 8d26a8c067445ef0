"""Fabrication files: what an exporter is, how files reach their folder, and how they are read back and compared.

Exporters are found through the entry-point group `opticdesign.exporters`, so that a laboratory can add its own writer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from pydantic import JsonValue, ValidationError

from opticdesign.design import Export
from opticdesign.errors import OpticDesignError, StorageError, UsageError, VerificationError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export_folder import place, staging_folder, sync
from opticdesign.handover.manifest import (
    CONVENTIONS,
    ExportRecord,
    FileRecord,
    Manifest,
    ProcessRecord,
    load_manifest,
    read_exported,
    sha256,
)
from opticdesign.handover.panel import Mounting, Panel, PanelFrames
from opticdesign.plugins import Plugins, instance
from opticdesign.storage import sha256_file

__all__ = [
    "ExportJob",
    "ExportedFile",
    "Exporter",
    "ExporterCheck",
    "Extent",
    "ReadBack",
    "TwoWayExporter",
    "WrittenFiles",
    "export_design",
    "exporters",
    "verify_files",
]


@dataclass(frozen=True)
class ExportJob:
    """What is to be made.

    Args:
        name: name of the design.
        levels: level indices (layers, rows, columns), uint8, each below `process.levels`; row 0 at the top.
        process: the process that turns levels into heights and phases.
        pitch_m: sides of a pixel along y and x in metres.
        two_pi_grey: number of grey levels that make a phase of 2π on the panel, 2 … 256.
        openings: of masks that also absorb, how many of `spec.layout.halftone`² cells of each pixel are open, uint16,
            shape of the levels: that share is the amplitude. None where masks absorb nothing.
        spec: how the files are to be.
        panel: for which whole frames are made; None for pictures of the masks alone.
        mounting: how masks lie on it.

    Raises:
        UsageError: an array of another type or shape, a level the process does not have, or a number out of range.
    """

    name: str
    levels: npt.NDArray[np.uint8]
    process: FabricationProcess
    pitch_m: tuple[float, float]
    two_pi_grey: int = 256
    openings: npt.NDArray[np.uint16] | None = None
    spec: Export = field(default_factory=Export)
    panel: Panel | None = None
    mounting: Mounting = field(default_factory=Mounting)

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 100 or not self.name.isprintable():
            raise UsageError(f"the name {self.name!r}", expected="1 to 100 printable characters")
        if self.levels.dtype != np.uint8 or self.levels.ndim != 3 or self.levels.size == 0:
            raise UsageError(
                f"levels of type {self.levels.dtype} and shape {self.levels.shape}",
                expected="a uint8 array of layers, rows and columns",
            )
        if self.levels.max() >= self.process.levels:
            raise UsageError(
                f"level {self.levels.max()} of a process with {self.process.levels} levels",
                expected=f"levels from 0 to {self.process.levels - 1}",
            )
        if self.openings is not None and (
            self.openings.dtype != np.uint16
            or self.openings.shape != self.levels.shape
            or self.openings.max() > self.spec.layout.halftone**2
        ):
            raise UsageError(
                f"openings of type {self.openings.dtype} and shape {self.openings.shape}, up to {self.openings.max()}",
                expected=f"uint16 of shape {self.levels.shape}, at most {self.spec.layout.halftone**2}",
            )
        for side_m in self.pitch_m:
            if not 1e-12 <= side_m <= 1.0:
                raise UsageError(f"a pitch of {side_m} m", expected="a pitch from 1e-12 m to 1 m")
        if not 2 <= self.two_pi_grey <= 256:
            raise UsageError(
                f"{self.two_pi_grey} grey levels for a phase of 2π",
                expected="2 to 256",
                remedy="change slm.two_pi_grey",
            )

    @property
    def file_name(self) -> str:
        """The name reduced to letters, digits and underscores, at most 32: valid as a file and as a layout cell."""
        return re.sub(r"[^A-Za-z0-9_]+", "_", self.name)[:32]


class Extent(NamedTuple):
    """Where one mask lies, as a file alone says it.

    Args:
        size_m: length of all its pixels along y and x, metres.
        offset_m: its middle, seen from where the format has the optical axis, along y (downwards, as rows count) and x,
            metres.
    """

    size_m: tuple[float, float]
    offset_m: tuple[float, float] = (0.0, 0.0)


class ReadBack(NamedTuple):
    """What exported files hold.

    Args:
        levels: level indices (layers, rows, columns), int64.
        phase_rad: phase the files realise, same shape, radians, float32.
        files: for each layer the path of the file that holds it.
        openings: open cells of each pixel, same shape, int64; None where the format holds none.
        extents: of each layer, from the coordinates in its file and never from the manifest's pitch; None where the
            format holds no scale, or where too little is drawn to find it.
        resolution_rad: levels whose phases are no further apart may be one in a file, which has fewer greys.
        resolution_openings: numbers of open cells that are no further apart may be one.
        frames: of a panel.
    """

    levels: npt.NDArray[np.int64]
    phase_rad: npt.NDArray[np.float32]
    files: tuple[str, ...]
    openings: npt.NDArray[np.int64] | None = None
    extents: tuple[Extent | None, ...] = ()
    resolution_rad: float = 0.0
    resolution_openings: int = 0
    frames: PanelFrames | None = None


class ExportedFile(NamedTuple):
    """One file an exporter wrote: posix path relative to the folder, what it holds, and the unit of its numbers."""

    path: str
    description: str
    unit: str


class WrittenFiles(NamedTuple):
    """What an exporter wrote, and the choices it made, for the manifest."""

    files: Sequence[ExportedFile]
    options: Mapping[str, bool | int | float | str]


class Exporter(Protocol):
    """A file format: writes a job. Only one that is a `TwoWayExporter` too can be verified and imported.

    Attributes:
        name: what it is called on the command line, and the folder of its files.
        summary: what it writes, in a line.
        usual: whether it writes when no format is named; formats of large files or of special machines do not.
    """

    name: str
    summary: str
    usual: bool

    def write(self, job: ExportJob, folder: Path) -> WrittenFiles:
        """Write the files of a job into a fresh folder; equal jobs give equal bytes.

        Raises:
            UsageError: the format cannot hold this job.
        """


@runtime_checkable
class TwoWayExporter(Exporter, Protocol):
    """A file format that is read back, without the code that wrote it."""

    def read(self, folder: Path, manifest: Manifest) -> ReadBack:
        """Read the files back, from the files and the manifest alone.

        Raises:
            VerificationError: a file is missing or damaged, or holds what no level stands for; says where.
        """


@dataclass(frozen=True)
class ExporterCheck:
    """The outcome of reading one exporter's files back.

    Args:
        exporter: its name.
        problems: what is wrong, one sentence each, with the place; empty when all is well.
        readback: what the files hold, or None when they cannot be read.
        phase_error_rad: largest difference between the phase the files realise and the phase of the levels they hold;
            0.0 means equal bits. A panel whose greys do not divide 2π by the number of levels has a small one.
        one_way: whether the format is only written, so that nothing but the hashes of its files could be compared.
    """

    exporter: str
    problems: tuple[str, ...]
    readback: ReadBack | None = None
    phase_error_rad: float | None = None
    one_way: bool = False

    @property
    def ok(self) -> bool:
        """Whether every file is unchanged and holds what was designed."""
        return not self.problems


_EXPORTERS: Plugins[Exporter] = Plugins("opticdesign.exporters", "exporter", instance("summary", "usual", "write"))


def exporters() -> dict[str, Exporter]:
    """All installed exporters by name.

    Raises:
        UsageError: none is installed, or one cannot be loaded.
    """
    return _EXPORTERS.installed()


def export_design(job: ExportJob, names: Sequence[str], folder: Path, provenance: Mapping[str, JsonValue]) -> Manifest:
    """Write a job in the named formats into `folder`, with a manifest; all or nothing.

    Files of other formats exported earlier from the same levels stay. A file that somebody changed, or that no export
    wrote, is never replaced.

    Args:
        job: what to write.
        names: names of exporters.
        folder: where to; made when missing.
        provenance: where the job comes from, recorded as it is.

    Raises:
        UsageError: an unknown exporter, or a format that cannot hold the job.
        RunError: a file in the folder would be lost.
        StorageError: the disk refused.
    """
    chosen = _chosen(names)
    try:
        with staging_folder(folder) as staging:
            records = [_record(name, exporter.write(job, staging), staging) for name, exporter in chosen.items()]
            return place(staging, folder, _manifest(job, records, provenance))
    except ValidationError as error:  # unsafe path, two exporters with one path, provenance that is not JSON
        raise UsageError(f"{folder}: this export cannot be recorded: {error.errors()[0]['msg']}") from error
    except OSError as error:
        raise StorageError(
            f"{folder}: export failed: {error.strerror or error}", remedy="check the disk, or choose --to DIR"
        ) from error


def verify_files(
    folder: Path,
    levels: npt.NDArray[np.integer],
    process: FabricationProcess,
    openings: npt.NDArray[np.integer] | None = None,
) -> list[ExporterCheck]:
    """Read every exported file back and compare it with what was designed.

    Args:
        folder: the export folder.
        levels: expected level indices (layers, rows, columns).
        process: the process they were designed for.
        openings: expected open cells of each pixel; None where the masks absorb nothing.

    Raises:
        RunError: the folder has no manifest.
        VerificationError: the manifest is damaged, or is that of another shape or process.
    """
    manifest = load_manifest(folder)
    for noun, received, expected in (
        ("shape", manifest.shape, tuple(levels.shape)),
        ("process", manifest.process.process, process),
    ):
        if received != expected:
            raise VerificationError(
                f"{folder}: exported for the {noun} {received}", expected=str(expected), remedy="export again"
            )
    return [_check(folder, manifest, record, levels, openings) for record in manifest.exports]


def _chosen(names: Sequence[str]) -> dict[str, Exporter]:
    known = exporters()
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"unknown exporter {unknown[0]!r}" if unknown else "no exporter is named",
            expected="one or more of " + ", ".join(known),
        )
    return {name: known[name] for name in sorted(set(names))}


def _record(name: str, written: WrittenFiles, staging: Path) -> ExportRecord:
    """Hash and flush what one exporter wrote."""
    files = []
    for file in written.files:
        path = staging / file.path
        sync(path)
        files.append(FileRecord(sha256=sha256_file(path), bytes=path.stat().st_size, **file._asdict()))
    return ExportRecord(exporter=name, files=tuple(files), options=dict(written.options))


def _manifest(job: ExportJob, records: Sequence[ExportRecord], provenance: Mapping[str, JsonValue]) -> Manifest:
    layers, rows, columns = job.levels.shape
    return Manifest(
        tool_version=version("opticdesign"),
        name=job.name,
        provenance=dict(provenance),
        conventions=dict(CONVENTIONS),
        process=ProcessRecord.of(job.process),
        shape=(layers, rows, columns),
        pitch_m=job.pitch_m,
        two_pi_grey=job.two_pi_grey,
        levels_sha256=sha256(job.levels.tobytes()),
        halftone=None if job.openings is None else job.spec.layout.halftone,
        openings_sha256=None if job.openings is None else sha256(job.openings.astype("<u2").tobytes()),
        exports=tuple(records),
    )


def _check(
    folder: Path,
    manifest: Manifest,
    record: ExportRecord,
    levels: npt.NDArray[np.integer],
    openings: npt.NDArray[np.integer] | None,
) -> ExporterCheck:
    problems = _changed_files(folder, record)
    try:
        exporter = _installed(record.exporter)
        if not isinstance(exporter, TwoWayExporter):
            return ExporterCheck(record.exporter, tuple(problems), one_way=True)
        readback = exporter.read(folder, manifest)
    except OpticDesignError as error:
        if error.message not in problems:
            problems.append(error.message)
        return ExporterCheck(record.exporter, tuple(problems))
    levels_read = _told_apart(readback, levels, manifest)
    problems += _difference(readback.files, levels_read, levels, "level")
    if readback.openings is not None:
        expected = np.zeros_like(readback.openings) if openings is None else openings
        if readback.resolution_openings and readback.openings.shape == expected.shape:
            alike = np.abs(readback.openings - expected.astype(np.int64)) <= readback.resolution_openings
            expected = np.where(alike, readback.openings, expected)
        problems += _difference(readback.files, readback.openings, expected, "open cells")
    designed = manifest.process.process.phase_of_level(torch.from_numpy(levels_read.copy())).numpy()
    phase_error = float(_turned(designed, readback.phase_rad).max())
    return ExporterCheck(record.exporter, tuple(problems), readback, phase_error)


def _told_apart(readback: ReadBack, levels: npt.NDArray[np.integer], manifest: Manifest) -> npt.NDArray[np.integer]:
    """The levels that were read, those expected in the place of others that the format cannot tell from them."""
    if readback.resolution_rad == 0.0 or readback.levels.shape != levels.shape:
        return readback.levels
    process = manifest.process.process
    read, expected = (
        process.phase_of_level(torch.from_numpy(each.astype(np.int64))).numpy() for each in (readback.levels, levels)
    )
    return np.where(_turned(read, expected) <= readback.resolution_rad, levels, readback.levels)


def _turned(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Distance of phases around the turn, radians."""
    apart = np.subtract(one, other, dtype=np.float64)
    distance: npt.NDArray[np.float64] = np.abs(np.remainder(apart + math.pi, 2.0 * math.pi) - math.pi)
    return distance


def _installed(name: str) -> Exporter:
    known = exporters()
    if name not in known:
        raise VerificationError(f"the exporter {name!r} is not installed", remedy="install its package")
    return known[name]


def _changed_files(folder: Path, record: ExportRecord) -> list[str]:
    problems = []
    for file in record.files:
        try:
            if sha256(read_exported(folder, file)) != file.sha256:
                problems.append(f"{file.path}: changed since it was exported (its SHA-256 differs from the manifest)")
        except VerificationError as error:
            problems.append(error.message)
    return problems


def _difference(
    files: Sequence[str], received: npt.NDArray[np.integer], expected: npt.NDArray[np.integer], noun: str
) -> list[str]:
    """The first differing pixel and the number of others, or nothing."""
    if received.shape != expected.shape:
        return [f"{files[0]}: holds the shape {received.shape}, expected {expected.shape}"]
    places = np.argwhere(received != expected)
    if len(places) == 0:
        return []
    layer, row, column = (int(index) for index in places[0])
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    return [
        f"{files[layer]}: layer {layer + 1} row {row} column {column}: "
        f"{noun} {received[layer, row, column]}, expected {expected[layer, row, column]}{more}"
    ]
