"""A run folder: the resolved design, what was measured, checkpoints, figures, and who made them.

design.toml        the resolved design in SI units, itself a design file
run.json           status, mode, seed, device, data, versions
data.json          how the data files were understood, where there are any
metrics.jsonl/.csv one record per logged step
checkpoints/       step-…/tensors.safetensors and checkpoint.json, with hashes
figures/  evaluation/  exports/
"""

from __future__ import annotations

import csv
import io
import json
import platform
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opticdesign.design import Design, load_design
from opticdesign.errors import DesignError, RunError, UsageError
from opticdesign.storage import (
    Checkpoint,
    newest_checkpoint,
    save_checkpoint,
    storage_errors,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Run",
    "changed_run",
    "create_run",
    "environment",
    "latest_run",
    "open_run",
    "resumable_run",
    "resume_command",
]

_FORMAT = 3  # of a run folder, of its checkpoints, and of the optical model that trained it
_LATEST = "latest"
_PACKAGES = ("opticdesign", "torch", "numpy", "scipy", "gdstk", "pydantic", "pint", "safetensors")


@dataclass
class Run:
    """One run folder that exists.

    Args:
        folder: where it is.
        design: the resolved design.
        info: content of run.json.
    """

    folder: Path
    design: Design
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def quick(self) -> bool:
        """Whether the run used the smoke budget, which every result says."""
        return bool(self.info["quick"])

    @property
    def complete(self) -> bool:
        """Whether training came to its end."""
        return bool(self.info["status"] == "complete")

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    def update(self, **values: Any) -> None:
        """Change run.json."""
        self.info |= values
        write_json(self.folder / "run.json", self.info)

    def save(self, tensors: dict[str, Tensor], position: dict[str, Any]) -> Path:
        """Store a checkpoint."""
        return save_checkpoint(self.checkpoints, tensors, position)

    def load(self) -> Checkpoint:
        """The newest whole checkpoint.

        Raises:
            RunError: there is none.
        """
        found = newest_checkpoint(self.checkpoints)
        if found is None:
            raise RunError(
                f"{self.folder}: no checkpoint that reads back whole",
                expected="checkpoints/step-…/ with matching hashes",
                remedy="run `opticdesign optimize` again",
            )
        return found

    def log(self, record: dict[str, Any]) -> None:
        """Append one record to metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        with storage_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All records of metrics.jsonl; a last line cut short by a crash is left out."""
        path = self.folder / "metrics.jsonl"
        records = []
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
        return records

    def rewind(self, total: int) -> None:
        """Drop records after a step, because they are about to be made again."""
        kept = [json.dumps(record) + "\n" for record in self.records() if record["total"] <= total]
        write_text(self.folder / "metrics.jsonl", "".join(kept))

    def write_csv(self) -> None:
        """Write metrics.csv from metrics.jsonl."""
        records = self.records()
        columns = list(dict.fromkeys(key for record in records for key in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        write_text(self.folder / "metrics.csv", text.getvalue())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; a second process is refused, a killed one leaves it free.

        Raises:
            RunError: another process holds it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / ".lock", timeout=0)
        with storage_errors(self.folder):
            try:
                lock.acquire()
            except Timeout:
                raise RunError(
                    f"{self.folder}: another process is working in this run folder",
                    expected="one process at a time",
                    remedy="wait until it has finished, or work in another run folder",
                ) from None
        try:
            yield
        finally:
            lock.release()


def environment(device: str, threads: int, processes: int = 1) -> dict[str, Any]:
    """Versions and machine facts that a result depends on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "threads": threads,
        "processes": processes,
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def create_run(design: Design, output: Path | None, parent: Path, **info: Any) -> Run:
    """Make a new run folder, exactly `output` or parent/<name>/<time>-<hash>, and point `latest` at it.

    Raises:
        RunError: `output` is already there and not empty.
        StorageError: the disk refused.
    """
    now = datetime.now(UTC)
    folder = output or parent / design.name / f"{now:%Y%m%dT%H%M%S}-{design.digest()[:8]}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        quoted = shlex.quote(str(folder))
        command = f"opticdesign optimize {quoted}/design.toml --output {quoted} --resume"
        resume = f", or continue the run in it: {command}" if (folder / "run.json").exists() else ""
        raise RunError(
            f"{folder}: already there",
            expected="a folder that does not exist yet, or an empty one",
            remedy=f"choose another --output{resume}",
        )
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "design.toml", design.to_toml())
    run = Run(folder, design)
    run.update(
        format=_FORMAT,
        name=design.name,
        created=now.isoformat(timespec="seconds"),
        design_sha256=design.digest(),
        **info,
    )
    if output is None:
        write_text(folder.parent / _LATEST, folder.name + "\n")
    return run


def resume_command(folder: Path) -> str:
    """The command line that continues a run."""
    return (
        f"opticdesign optimize {shlex.quote(str(folder / 'design.toml'))} --output {shlex.quote(str(folder))} --resume"
    )


def _follow(path: Path) -> Path:
    """The run folder a path means: itself, or the one that a `latest` file in it, or the path as that file, names."""
    pointer = path / _LATEST if path.is_dir() and not (path / "run.json").exists() else path
    if pointer.name == _LATEST and pointer.is_file():
        return pointer.parent / Path(pointer.read_text("utf-8").strip()).name
    return path


def open_run(path: Path) -> Run:
    """Open a run folder, or the latest run in a folder of runs.

    Raises:
        RunError: there is no run, or its design does not read.
    """
    folder = _follow(path)
    expected = "a folder made by `opticdesign optimize`, with run.json and design.toml"
    try:
        info = json.loads((folder / "run.json").read_text("utf-8"))
        design = load_design(folder / "design.toml")
    except (OSError, ValueError) as error:
        message = "not a run folder" if path.exists() else "no such folder"
        remedy = "name a run folder, or make one: opticdesign optimize DESIGN"
        raise RunError(f"{path}: {message}", expected=expected, remedy=remedy) from error
    except DesignError as error:
        raise RunError(
            f"{folder}: its design does not read\n{error}", expected=expected, remedy="restore design.toml"
        ) from error
    if not {"quick", "status", "design_sha256"} <= info.keys() or info["design_sha256"] != design.digest():
        raise RunError(
            f"{folder}: design.toml is not the design this run was made with",
            expected="the design whose hash run.json records",
            remedy="restore design.toml, or optimise the changed design as a new run",
        )
    if info.get("format") != _FORMAT:
        raise RunError(
            f"{folder}: its model or its checkpoints are of another version (format {info.get('format')!r})",
            expected=f"a run of format {_FORMAT}",
            remedy="optimise its design again, or judge it by the version that made it",
        )
    return Run(folder, design, info)


def latest_run(place: Path) -> Run:
    """The complete run that was begun last, of all designs, in a folder: in its `runs`, in folders of runs, or itself.

    Raises:
        RunError: there is none, or its design does not read.
    """
    found = {folder: info for folder in _run_folders(place) if (info := _info(folder)).get("format") == _FORMAT}
    begun = sorted(found, key=lambda folder: (str(found[folder].get("created")), folder.name))
    complete = [folder for folder in begun if found[folder].get("status") == "complete"]
    if complete:
        return open_run(complete[-1])
    remedy = "name a run folder, or make one: opticdesign optimize DESIGN"
    if begun:
        remedy = resume_command(begun[-1])
    raise RunError(
        f"no RUN named, and no complete run in {place.resolve()}{' or its folder runs' if not begun else ''}",
        expected="a run whose training has finished",
        remedy=remedy,
    )


def _run_folders(place: Path) -> Iterator[Path]:
    """Folders with a run.json where runs usually are."""
    for pattern in ("run.json", "*/run.json", "runs/*/run.json", "runs/*/*/run.json"):
        yield from (path.parent for path in place.glob(pattern))
    for pointer in place.glob(f"*/{_LATEST}"):  # the folder of a design, where `place` is that of all runs
        yield from (path.parent for path in pointer.parent.glob("*/run.json"))


def _info(folder: Path) -> dict[str, Any]:
    """What run.json says; nothing where it does not read."""
    try:
        info = json.loads((folder / "run.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def changed_run(run: Run, changes: Sequence[str], *tables: str) -> Run:
    """A run seen with other values in tables of its design that its training did not depend on; the folder stays.

    Args:
        run: the run.
        changes: key=value texts.
        tables: names of those tables.

    Raises:
        UsageError: a change of another table.
        DesignError: a change that is wrong.
    """
    for change in changes:
        if not change.startswith(tuple(f"{table}." for table in tables)):
            raise UsageError(
                f"--set {change}: the run was trained with its design as it is",
                expected="a key of " + " or ".join(f"[{table}]" for table in tables),
                remedy="optimise the changed design as a new run",
            )
    return replace(run, design=load_design(run.folder / "design.toml", changes)) if changes else run


def resumable_run(design: Design, output: Path | None, parent: Path) -> Run:
    """The run that `--resume` continues: the one in `output`, or the latest of this design's name.

    Raises:
        RunError: there is none, or it is of another design.
    """
    run = open_run(output or parent / design.name)
    if run.design.digest() != design.digest():
        raise RunError(
            f"{run.folder}: made with another design than the one given",
            expected="the same design and the same --set values as when it was started",
            remedy=resume_command(run.folder),
        )
    return run
