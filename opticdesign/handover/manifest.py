"""The manifest beside exported files: what each file is, how it was made, and its SHA-256."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from opticdesign.errors import RunError, UsageError, VerificationError
from opticdesign.fabrication.process import FabricationProcess

__all__ = [
    "CONVENTIONS",
    "MANIFEST_NAME",
    "ExportRecord",
    "FileRecord",
    "Manifest",
    "ProcessRecord",
    "load_manifest",
    "manifest_beside",
    "read_exported",
    "sha256",
]

MANIFEST_NAME = "manifest.json"

CONVENTIONS = MappingProxyType(
    {
        "arrays": "levels are (layer, row, column); layer 1 is met by the light first; rows and columns count from 0, "
        "row 0 at the top",
        "layout": "y of a layout points up: row r of R covers y from (R - 1 - r) to (R - r) times pitch_m[0], "
        "column c covers x from c to c + 1 times pitch_m[1]",
        "axis": "light's axis meets the middle of the array; of a filter in a pupil, the middle of the point in row "
        "rows // 2 and column columns // 2",
        "phase": "phase = 2 pi (index - medium_index) height / wavelength; thicker material gives more phase",
        "time": "time factor exp(-i omega t), forward travel exp(+i k z)",
        "amplitude": "the amplitude of a pixel is the share of its halftone x halftone cells that is open",
        "levels": "level l of L is the phase 2 pi l / L and the height l * step_height_m; level 0 is the lowest; "
        "where heights_m is given, level l is the height heights_m[l] and the phase 2 pi heights_m[l] / full_height_m",
        "units": "keys that end in _m are in metres, in _rad in radians",
    }
)

_MAX_MANIFEST_BYTES = 4 << 20
# A changed file may have grown; far beyond this it is another file, and reading it would only exhaust the memory.
_GROWTH_BYTES = 16 << 20

Size = Annotated[int, Field(ge=1, le=65536)]
# Bounds that no real device reaches, so that arithmetic on a damaged manifest can neither overflow nor divide by zero.
Length = Annotated[float, Field(ge=1e-12, le=1.0)]
Height = Annotated[float, Field(ge=0.0, le=1.0)]
Index = Annotated[float, Field(gt=0, le=100.0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=400)]


def _inside(path: str) -> str:
    """Accept a plain relative posix path; a manifest must not lead a reader or a writer out of its folder."""
    pure = PurePosixPath(path)
    plain = str(pure) == path and not pure.is_absolute() and not {"", ".", ".."} & set(pure.parts) and path != "."
    if not plain or any(sign in path for sign in '\\:*?"<>|') or not path.isprintable() or path == MANIFEST_NAME:
        raise ValueError("expected a relative path inside the export folder")
    return path


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileRecord(_Record):
    """One exported file: posix path relative to the manifest, SHA-256, size in bytes, content and unit."""

    path: Annotated[Text, AfterValidator(_inside)]
    sha256: Digest
    bytes: Annotated[int, Field(ge=0)]
    description: Text
    unit: Text


class ExportRecord(_Record):
    """What one exporter wrote, with the choices it made."""

    exporter: Text
    files: Annotated[tuple[FileRecord, ...], Field(min_length=1)]
    options: dict[str, bool | int | Annotated[float, Field(allow_inf_nan=False)] | str]


class ProcessRecord(_Record):
    """The numbers of a `FabricationProcess`, with the heights that follow from them."""

    levels: Annotated[int, Field(ge=2, le=256)]
    wavelength_m: Length
    index: Index
    medium_index: Index
    full_height_m: Length
    step_height_m: Length | None  # where levels are equally spaced
    heights_m: Annotated[tuple[Height, ...], Field(max_length=256)] | None = None  # where they are not
    extinction: Annotated[float, Field(ge=0, le=100.0)] = 0.0  # k: e^(-2 pi k height / wavelength)

    @classmethod
    def of(cls, process: FabricationProcess) -> ProcessRecord:
        """Record a process."""
        return cls.model_validate(_numbers(process))

    @property
    def process(self) -> FabricationProcess:
        """The process these numbers describe."""
        return FabricationProcess(
            self.levels, self.wavelength_m, self.index, self.medium_index, self.heights_m, self.extinction
        )

    @model_validator(mode="after")
    def _heights_follow(self) -> ProcessRecord:
        try:
            process = self.process
        except UsageError as error:
            raise ValueError(error.message) from None
        if self.model_dump() != _numbers(process):
            raise ValueError("the heights do not follow from the wavelength and the indices")
        return self


def _numbers(process: FabricationProcess) -> dict[str, int | float | tuple[float, ...] | None]:
    """What a `ProcessRecord` says of a process."""
    return {
        "levels": process.levels,
        "wavelength_m": process.wavelength_m,
        "index": process.index,
        "medium_index": process.medium_index,
        "full_height_m": process.full_height_m,
        "step_height_m": process.step_height_m if process.heights_m is None else None,
        "heights_m": process.heights_m,
        "extinction": process.extinction,
    }


def _both_sides(value: Any) -> Any:
    """One number, which earlier versions wrote of square pixels, as the two sides of a pixel."""
    return (value, value) if isinstance(value, (int, float)) else value


class Manifest(_Record):
    """Everything a reader of the files has to know, and nothing it has to guess."""

    format: Literal["opticdesign-export"] = "opticdesign-export"
    format_version: Literal[1] = 1
    tool_version: Text
    name: Text
    provenance: dict[str, JsonValue]
    conventions: dict[str, str]
    process: ProcessRecord
    shape: tuple[Size, Size, Size]  # layers, rows, columns
    # along y and x; strict of the numbers, but the validator's pair is no array of JSON
    pitch_m: Annotated[tuple[Length, Length], Field(strict=False), BeforeValidator(_both_sides)]
    two_pi_grey: Annotated[int, Field(ge=2, le=256)]
    levels_sha256: Digest  # of the level indices as uint8 in C order
    halftone: Annotated[int, Field(ge=1, le=64)] | None = None  # cells along a pixel, where masks absorb
    openings_sha256: Digest | None = None  # of the open cells of each pixel as little-endian uint16 in C order
    exports: tuple[ExportRecord, ...]

    @model_validator(mode="after")
    def _records_are_apart(self) -> Manifest:
        names = [record.exporter for record in self.exports]
        paths = [file.path for record in self.exports for file in record.files]
        if len(set(names)) < len(names) or len(set(paths)) < len(paths):
            raise ValueError("an exporter or a file is recorded twice")
        return self

    def record(self, exporter: str) -> ExportRecord:
        """The record of one exporter.

        Raises:
            VerificationError: that exporter wrote nothing here.
        """
        for record in self.exports:
            if record.exporter == exporter:
                return record
        raise VerificationError(f"{MANIFEST_NAME}: no files of the exporter {exporter!r}")

    def to_bytes(self) -> bytes:
        """The manifest as indented JSON, UTF-8, with a final newline."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def sha256(data: bytes) -> str:
    """SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of an export folder.

    Raises:
        RunError: the folder has no manifest.
        VerificationError: the manifest is damaged, or names a file outside its folder.
    """
    path = folder / MANIFEST_NAME
    remedy = "export again into another folder with --to DIR"
    if not path.is_file():
        raise RunError(f"{path}: no such manifest", expected="a folder written by export", remedy="run export first")
    try:
        data = _read(path, _MAX_MANIFEST_BYTES)
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise VerificationError(f"{path}: damaged manifest: {key}: {first['msg']}", remedy=remedy) from None
    except OSError as error:
        raise VerificationError(f"{path}: cannot be read: {error.strerror or error}", remedy=remedy) from None


def manifest_beside(path: Path) -> tuple[Path, Manifest] | None:
    """The manifest of the export that a file seems to be of, and its folder: that of the file, or the one above.

    Raises:
        VerificationError: a manifest of ours that is damaged.
    """
    for folder in list(path.absolute().parents)[:2]:
        try:
            ours = b'"opticdesign-export"' in _read(folder / MANIFEST_NAME, _MAX_MANIFEST_BYTES)
        except OSError:
            continue
        if ours:
            return folder, load_manifest(folder)
    return None


def read_exported(folder: Path, file: FileRecord) -> bytes:
    """Read one exported file whole, whether or not its hash still fits.

    Raises:
        VerificationError: it is missing, no plain file of this folder, far larger than recorded, or unreadable.
    """
    path = folder / file.path
    try:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise VerificationError(f"{file.path}: a link that leads out of the export folder", remedy="export again")
        return _read(path, file.bytes + _GROWTH_BYTES)
    except OSError as error:
        raise VerificationError(
            f"{file.path}: cannot be read: {error.strerror or error}", remedy="export again"
        ) from None


def _read(path: Path, limit: int) -> bytes:
    if not path.is_file():
        raise OSError("no such file")
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"larger than {limit} bytes")
    return data
