"""Rows of the comparison, the targets they are held against, and how they are printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import FLOOR, WAYS
from benchmarks.machine import machine_line
from benchmarks.scene import Work

__all__ = ["Row", "markdown_page", "print_table", "speed_target"]

_FASTER = {"LightRidge": 1.3, "Chromatix": 4.0, "TorchOptics": 8.0}
_GPU_FASTER = 3.0  # than eager calls
_ABOVE_FLOOR = {True: 1.1, False: 1.4}  # by whether the field is padded


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        case: the work and the way it ran.
        against: what ours is compared with.
        ratio: their time or memory over ours, at least the target; over a limit, ours over the limit, at most it.
        target: what the ratio should reach, or None.
        most: whether the target is the largest ratio allowed.
        remark: the errors beside it, or why there is no more to say.
    """

    case: str
    against: str
    ratio: float | None
    target: float | None = None
    most: bool = False
    remark: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached, None without one."""
        if self.ratio is None or self.target is None:
            return None
        return self.ratio <= self.target if self.most else self.ratio >= self.target


def speed_target(name: str, work: Work, direction: str, errors: Mapping[str, Any]) -> float | None:
    """The ratio to reach: forward and backward, against the floor from batch 8 on, and where a peer is no more right.

    Args:
        name: the floor, another way or a peer.
        work: what ran.
        direction: "forward" or "forward+backward".
        errors: errors of `name` and of ours against the reference, under "theirs" and "ours".
    """
    if direction == "forward":
        return None
    if name in WAYS:
        return _GPU_FASTER
    if name == FLOOR and work.device != "cpu":
        return None
    if name == FLOOR:
        return _ABOVE_FLOOR[work.padding > 1.0] if work.batch >= 8 else None
    return _FASTER[name] if errors["ours"] <= 1.01 * errors["theirs"] else None


def print_table(rows: list[Row], title: str, console: Console | None = None) -> None:
    """Print the rows with their targets; what misses its target is marked."""
    table = Table(title=title, title_justify="left")
    for heading in ("case", "against"):
        table.add_column(heading)
    for heading in ("ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("field error and remarks")
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        target = "" if row.target is None else f"{'≤' if row.most else '≥'} {row.target:g}"
        missed = row.reached is False
        ratio += " ✗" if missed else ""
        table.add_row(row.case, row.against, ratio, target, row.remark, style="bold" if missed else None)
    (console or Console()).print(table)


_ON_A_GPU = "Measured on the GPU named above; a run without `--device cuda` compares on the CPU."
_ON_A_CPU = """Nothing here was measured on a GPU. For one there are a CUDA graph of the same cascade
(`optics/cuda/graphs.py`) and fused Triton kernels (`optics/cuda/fused.py`, `pip install "opticdesign[gpu]"`, windows of
2^a or 3·2^a samples). On a CPU the kernels give the cascade's field and gradients in Triton's interpreter, and of the
graphs all but the capture is tested; neither has run on a GPU, their speed and memory are unmeasured, and no command
uses them. `python -m benchmarks --device cuda` measures both beside eager cuFFT calls, with these targets: 3 times as
fast, and the same bound on memory.

With glibc 2.35 or newer, `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` in the environment lets Linux put arrays on huge
pages. On two cores of an AMD EPYC it took about 15 % off the optics (batch 8, padded 1.5×) and 6 % off training, a few
runs in turns; the table has common pages only."""
_PAGE = """# Performance

Written by `python -m benchmarks --page docs/performance.md` ({options}). Contenders take turns, so that a busy moment
meets all of them; on a CPU every case is come back to three times, minutes apart; ratios are medians over all rounds.
Each setting of glibc's malloc is a process of its own. Work: random masks and fields of the five layers of
`designs/d2nn5.toml`, unless the case says otherwise. Before anything is timed the field of each contender is compared
with a reference in float64; `error` is what it is off by. Ratios are their time (or memory) over ours, but ours over
theirs against the floor and the limits. The floor is two-dimensional transforms of whole windows and one pass for
each product; transforming row by row, and only what is needed, comes below it. A ratio that misses its target is
bold.

{machine}

| case | against | ratio | target | field error, remarks |
|---|---|---|---|---|
{rows}

{gpu}

Chromatix is compared when its optics can be imported; its registry release has none.
"""


def markdown_page(rows: list[Row], about: Mapping[str, Any], options: str) -> str:
    """The whole page of documentation.

    Args:
        rows: what was measured.
        about: facts of the machine.
        options: how the comparison was asked for.
    """
    lines = []
    for row in rows:
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        ratio = f"**{ratio}**" if row.reached is False else ratio
        target = "" if row.target is None else f"{'≤' if row.most else '≥'} {row.target:g}"
        lines.append(f"| {row.case} | {row.against} | {ratio} | {target} | {row.remark} |")
    gpu = _ON_A_GPU if "gpu" in about else _ON_A_CPU
    return _PAGE.format(options=options, machine=machine_line(about), gpu=gpu, rows="\n".join(lines))
