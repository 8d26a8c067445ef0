"""Time, size and memory of writing masks as layouts: `python -m benchmarks.exporting [--quick] [--json F] [--page F]`.

Each file is written in a process of its own, with imports done before the clock starts; contenders take turns, and the
median of their rounds counts. A writer that takes long runs once, and one that takes too long is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.layout_writers import FORMATS, OURS, WRITERS
from benchmarks.machine import machine, machine_line

__all__ = ["Case", "Measured", "cases", "main", "measure_all", "page"]

_ROUNDS = 3
_LONG_S = 20.0  # a writer that took longer runs once
_LIMITS_S = {(256, 5): 1.0, (1024, 5): 10.0}  # ours: well under a second, and seconds


@dataclass(frozen=True)
class Case:
    """Which masks: "random" or "smooth", how many, and how many pixels along a side."""

    pattern: str
    count: int
    size: int

    def __str__(self) -> str:
        return f"{self.pattern}, {self.count} × {self.size}²"


@dataclass(frozen=True)
class Measured:
    """One writer on one case.

    Args:
        case: the masks.
        writer: who wrote them.
        form: the format.
        seconds: how long it took; None where it was stopped or failed.
        bytes: size of the file.
        peak: memory in bytes beyond that of the masks.
        right: whether each level covers the right area in the file; None where that was not looked at.
        remark: why there is no more to say.
    """

    case: Case
    writer: str
    form: str
    seconds: float | None = None
    bytes: int | None = None
    peak: int | None = None
    right: bool | None = None
    remark: str = ""


def cases(quick: bool) -> list[tuple[Case, tuple[str, ...]]]:
    """The masks, and who writes them."""
    patterns = ("random", "smooth")
    sizes = (32, 64) if quick else (256, 1024)
    one = [(Case(pattern, 1, size), tuple(WRITERS)) for pattern in patterns for size in sizes]
    return [*one, *((Case(pattern, 5, size), (OURS,)) for pattern in patterns for size in sizes)]


def measure_all(quick: bool, tell: Callable[[str], None]) -> Iterator[Measured]:
    """Measure everything; `tell` is given a line before each file."""
    limit_s = 60.0 if quick else 600.0
    for case, writers in cases(quick):
        asked = [(writer, form) for form in FORMATS for writer in writers]
        found: dict[tuple[str, str], list[dict[str, Any]]] = {pair: [] for pair in asked}
        for done in range(1 if quick else _ROUNDS):
            for writer, form in asked[done % len(asked) :] + asked[: done % len(asked)]:
                earlier = found[writer, form]
                stopped = [
                    one for other in FORMATS for one in found[writer, other] if "stopped" in one.get("failed", "")
                ]
                if not earlier and stopped:  # what takes long is making the shapes, whatever the format
                    earlier.append(stopped[0])
                elif not earlier or ("failed" not in earlier[0] and earlier[0]["seconds"] < _LONG_S):
                    tell(f"{case}, {writer}, {form}")
                    earlier.append(_measure(case, writer, form, limit_s, check=not done))
        yield from (_summary(case, writer, form, found[writer, form]) for writer, form in asked)


def _measure(case: Case, writer: str, form: str, limit_s: float, check: bool) -> dict[str, Any]:
    """Let a process write one file."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        task, result = Path(folder, "task.json"), Path(folder, "result.json")
        task.write_text(json.dumps({"writer": writer, "form": form, **asdict(case), "check": check}))
        command = [sys.executable, "-m", "benchmarks.layout_worker", str(task), str(result)]
        try:
            done = subprocess.run(  # noqa: S603 # our own
                command,
                env=environment,
                cwd=Path(__file__).parent.parent,
                timeout=limit_s,
                capture_output=True,
                text=True,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"stopped after {limit_s / 60:.0f} min"}
        if done.returncode:
            return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:120]}
        answer: dict[str, Any] = json.loads(result.read_text())
        return answer


def _summary(case: Case, writer: str, form: str, rounds: list[dict[str, Any]]) -> Measured:
    failed = [one["failed"] for one in rounds if "failed" in one]
    if failed:
        return Measured(case, writer, form, remark=failed[0])
    seconds = statistics.median(one["seconds"] for one in rounds)
    peak = statistics.median(one["peak"] for one in rounds)
    return Measured(case, writer, form, seconds, rounds[0]["bytes"], round(peak), rounds[0]["right"])


def _cells(one: Measured, all_of_them: Sequence[Measured]) -> list[str]:
    """The row of a table."""
    if one.seconds is None or one.bytes is None or one.peak is None:
        return [str(one.case), one.form, one.writer, "–", "–", "–", one.remark]
    ours = next(other for other in all_of_them if (other.case, other.form, other.writer) == (one.case, one.form, OURS))
    seconds, size = f"{one.seconds:.3g} s", f"{one.bytes / 1e6:.3g} MB"
    if one.writer != OURS and ours.seconds and ours.bytes:
        seconds += f" ({one.seconds / ours.seconds:.2g}×)"
        size += f" ({one.bytes / ours.bytes:.2g}×)"
    limit_s = _LIMITS_S.get((one.case.size, one.case.count)) if one.writer == OURS else None
    if limit_s is not None:
        seconds += f", {'within' if one.seconds <= limit_s else 'ABOVE'} {limit_s:g} s"
    memory = f"{one.peak / 1e6:.3g} MB"
    single = Case(one.case.pattern, 1, one.case.size)
    alone = [other.peak for other in all_of_them if (other.case, other.form, other.writer) == (single, one.form, OURS)]
    if one.case.count > 1 and alone and alone[0]:
        memory += f" ({one.peak / alone[0]:.2g}× that of one mask)"
    remark = {True: "", False: "other areas than the masks", None: "areas not compared"}[one.right]
    return [str(one.case), one.form, one.writer, seconds, size, memory, remark]


_HEADINGS = ("masks", "format", "writer", "time (over ours)", "size (over ours)", "memory", "remarks")


def page(rows: Sequence[Measured], about: dict[str, object], options: str) -> str:
    """A page of documentation with all rows."""
    lines = ["| " + " | ".join(_cells(one, rows)) + " |" for one in rows]
    facts = machine_line({key: value for key, value in about.items() if key != "malloc"})
    return _PAGE.format(
        options=options,
        machine=facts,
        headings=" | ".join(_HEADINGS),
        rule="|".join("---" for _ in _HEADINGS),
        rows="\n".join(lines),
    )


_PAGE = """# Writing layouts

Written by `python -m benchmarks.exporting --page docs/exporting.md` ({options}). Masks of 8 levels and a pitch of
316.4 nm, without marks: random ones, each pixel its own, and smooth hills. Every file is written in a process of its
own, imports before the clock; medians of three rounds, one where it takes over 20 s. Memory is what comes on top of the
masks. klayout reads each file back and compares the area of every level. Not gdsfactory and pyMOE themselves are timed,
but their ways, done with the libraries they use.

{machine}

| {headings} |
|{rule}|
{rows}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and, if asked, write {"rows": …, "machine": …} and a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exporting", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small masks, one round: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write rows and machine to FILE")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write a page of documentation to FILE")
    options = parser.parse_args(arguments)
    rows = list(measure_all(options.quick, lambda line: print(line, file=sys.stderr, flush=True)))
    about = machine(1)
    about["versions"] = {name: version(name) for name in ("opticdesign", "gdstk", "klayout", "scikit-image")}
    if options.json:
        content = {"rows": [asdict(one) for one in rows], "machine": about}
        options.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if options.page:
        options.page.write_text(page(rows, about, "quick" if options.quick else "1 thread"), encoding="utf-8")
    table = Table(*_HEADINGS, title="writing masks of 8 levels", title_justify="left")
    for one in rows:
        table.add_row(*_cells(one, rows))
    console = Console()
    (console if console.is_terminal else Console(width=180)).print(table)


if __name__ == "__main__":
    main()
