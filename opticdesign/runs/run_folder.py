"""A run folder: the resolved design, what was measured, checkpoints, figures, and who made them.

design.toml        the resolved design in SI units, itself a design file
run.json           status, mode, seed, device, data, versions, the last checkpoint, and its own hash
data.json          how the data files were understood, where there are any
metrics.jsonl/.csv one record per logged step
checkpoints/       step-…/tensors.safetensors and checkpoint.json, with hashes
figures/  evaluation/  exports/
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import platform
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opticdesign.design import Design, load_design
from opticdesign.errors import DesignError, RunError, StorageError, UsageError
from opticdesign.storage import (
    Checkpoint,
    load_checkpoint,
    newest_checkpoint,
    read_record,
    save_checkpoint,
    staged_folder,
    storage_errors,
    sweep,
    write_record,
    write_text,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "CHECKPOINT_SECONDS",
    "Run",
    "changed_run",
    "create_run",
    "environment",
    "latest_run",
    "open_run",
    "read_info",
    "read_records",
    "resumable_run",
    "resume_command",
]

CHECKPOINT_SECONDS = 60.0  # of training that a killed process loses at most
_FORMAT = 4  # of a run folder, of its checkpoints, and of the optical model that trained it
_KEYS = frozenset({"quick", "status", "design_sha256"})  # of run.json
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
        write_record(self.folder / "run.json", self.info)

    def save(self, tensors: dict[str, Tensor], position: dict[str, Any]) -> Path:
        """Store a checkpoint."""
        return save_checkpoint(self.checkpoints, tensors, position)

    def finish(self, **values: Any) -> None:
        """Change run.json, mark the run as complete, and its newest checkpoint as the one that it ended with."""
        last = self.load()
        self.update(status="complete", checkpoint={"total": last.position["total"], "sha256": last.sha256}, **values)

    def final(self) -> Checkpoint:
        """The checkpoint that a complete run ended with.

        Raises:
            RunError: it is damaged, or not there.
        """
        ended = self.info["checkpoint"]
        place = self.checkpoints / f"step-{ended['total']:08d}"
        try:
            found = load_checkpoint(place)
        except StorageError:
            found = None
        if found is None or found.sha256 != ended["sha256"]:
            raise RunError(
                f"{place}: the checkpoint that this run ended with is {'damaged' if place.exists() else 'not there'}",
                expected=f"tensors of SHA-256 {ended['sha256'][:16]}…, as run.json records",
                remedy=f"train its last steps again: {resume_command(self.folder)}",
            )
        return found

    def load(self) -> Checkpoint:
        """The newest whole checkpoint, to go on from.

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
        """All records of metrics.jsonl, as `read_records` gives them."""
        return read_records(self.folder)

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
        """Hold the folder; a second process is refused, a killed one leaves it free, and what it left is removed.

        Raises:
            RunError: another process holds it, or its lock is a link.
        """
        from filelock import FileLock, Timeout

        path = self.folder / ".lock"
        if path.is_symlink():
            raise RunError(f"{path}: a link", expected="a file of the run folder's own", remedy="remove the link")
        lock = FileLock(path, timeout=0)
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
            sweep(self.folder)
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


def create_run(
    design: Design, output: Path | None, parent: Path, fill: Callable[[Run], object] = lambda _: None, **info: Any
) -> Run:
    """Make a new run folder in one act, exactly `output` or parent/<name>/<time>-<hash>, and point `latest` at it.

    Args:
        design: the resolved design.
        output: the folder; it may be there, and empty.
        parent: folder of all runs.
        fill: puts more into the folder before it has its name.
        info: what run.json says.

    Raises:
        RunError: `output` is already there and not empty.
        StorageError: the disk refused.
    """
    now = datetime.now(UTC)
    place = output or parent / design.name / f"{now:%Y%m%dT%H%M%S}-{design.digest()[:8]}"
    if place.is_symlink():
        place = Path(os.path.realpath(place))
    with staged_folder(place) as work:
        write_text(work / "design.toml", design.to_toml())
        run = Run(work, design)
        run.update(
            format=_FORMAT,
            name=design.name,
            created=now.isoformat(timespec="seconds"),
            design_sha256=design.digest(),
            **info,
        )
        fill(run)
        names = [place] if output else _numbered(place)
        with storage_errors(place):
            folder = next((name for name in names if _moved(work, name)), None)
    if folder is None:
        raise _taken(place)
    if output is None:
        write_text(folder.parent / _LATEST, folder.name + "\n")
    return replace(run, folder=folder)


def _taken(folder: Path) -> RunError:
    quoted = shlex.quote(str(folder))
    command = f"opticdesign optimize {quoted}/design.toml --output {quoted} --resume"
    resume = f", or continue the run in it: {command}" if (folder / "run.json").exists() else ""
    return RunError(
        f"{folder}: already there",
        expected="a folder that does not exist yet, or an empty one that is not the current one",
        remedy=f"choose another --output{resume}",
    )


def _numbered(path: Path) -> Iterator[Path]:
    """A name, and that name with numbers behind it."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.name}-{number}")


def _moved(work: Path, folder: Path) -> bool:
    """Give a new folder its name, where nothing of it is there, or an empty folder; else False."""
    try:
        if folder.is_dir() and not folder.samefile(Path.cwd()):
            folder.rmdir()
        if os.path.lexists(folder):
            return False
        work.rename(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


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
    if not (folder / "run.json").is_file():
        message = "not a run folder" if path.exists() else "no such folder"
        remedy = "name a run folder, or make one: opticdesign optimize DESIGN"
        raise RunError(f"{path}: {message}", expected=expected, remedy=remedy)
    if (made := read_info(folder).get("format", _FORMAT)) != _FORMAT:
        raise RunError(
            f"{folder}: its model or its checkpoints are of another version (format {made!r})",
            expected=f"a run of format {_FORMAT}",
            remedy="optimise its design again, or judge it by the version that made it",
        )
    try:
        with storage_errors(folder):
            info = read_record(folder / "run.json")
            design = load_design(folder / "design.toml")
    except (StorageError, DesignError) as error:
        raise RunError(
            f"{folder}: does not read\n{error}", expected=expected, remedy="bring back an older copy of that file"
        ) from error
    if not info.keys() >= _KEYS or info["design_sha256"] != design.digest():
        raise RunError(
            f"{folder}: design.toml is not the design this run was made with",
            expected="the design whose hash run.json records",
            remedy="restore design.toml, or optimise the changed design as a new run",
        )
    return Run(folder, design, info)


def latest_run(place: Path) -> Run:
    """The complete run that was begun last, of all designs, in a folder: in its `runs`, in folders of runs, or itself.

    Raises:
        RunError: there is none, or its design does not read.
    """
    found = {folder: info for folder in _run_folders(place) if (info := read_info(folder)).get("format") == _FORMAT}
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


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Records of metrics.jsonl; lines that a crash cut short, or that are none of ours, are left out."""
    path = folder / "metrics.jsonl"
    records = []
    for line in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("total"), int):
            records.append(record)
    return records


def read_info(folder: Path) -> dict[str, Any]:
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
