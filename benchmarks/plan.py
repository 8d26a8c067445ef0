"""Which works are compared, and the rows that come of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.contenders import FLOOR, OURS, WAYS, rivals
from benchmarks.machine import MALLOC_SETTINGS
from benchmarks.scene import Work
from benchmarks.table import Row, speed_target

__all__ = ["Plan", "rows"]

_COMPLEX64 = 8  # bytes
_EAGER = "eager cuFFT calls"
_AROUND = 5  # fields per sample beyond one for each layer that may be held
_DIRECTIONS = ("forward", "forward+backward")


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        size: rows and columns of the design's field.
        threads: threads and cores for every contender.
        quick: one batch, two paddings and no large works.
        device: where everything is computed.
    """

    size: int = 256
    threads: int = 2
    quick: bool = False
    device: str = "cpu"

    @property
    def malloc_settings(self) -> list[str]:
        """Settings of the allocator, which matter on a CPU."""
        return list(MALLOC_SETTINGS)[: None if self.device == "cpu" else 1]

    @property
    def base(self) -> Work:
        """The work that the others are variations of."""
        return Work(self.size, device=self.device)

    @property
    def visits(self) -> int:
        """How often every timing is come back to, so that minutes in which others keep the cores busy spoil no row."""
        return 1 if self.quick or self.device != "cpu" else 3

    @property
    def rounds(self) -> int:
        """Rounds of a timing at each visit."""
        return 3 if self.quick else 9 // self.visits

    @property
    def works(self) -> list[Work]:
        """Works whose speed is compared.

        Unpadded; padded as the design is, with which random masks come out no less right than by an angular spectrum
        on a doubled window; padded to an error of about 1 %; doubled; and grown.
        """
        base = self.base
        if self.quick:
            return [replace(base, padding=1.0), base]
        grown = [replace(base, layers=10), replace(base, size=4 * self.size, batch=1)]
        batches = [replace(base, batch=batch, padding=padding) for padding in (1.0, 1.5) for batch in (1, 8, 32)]
        return [*batches, replace(base, padding=1.75), replace(base, padding=2.0), *grown]

    @property
    def grown(self) -> list[Work]:
        """Works whose time is compared with that of one sample of the design's: more layers, samples, pixels."""
        base = replace(self.base, batch=1)
        wider = [replace(base, size=self.size * times) for times in ((2,) if self.quick else (2, 4, 8))]
        return [replace(base, layers=10), replace(base, batch=8), *wider]


_Timing = tuple[Work, str, str, str]  # work, setting of the allocator, direction, against whom


def rows(plan: Plan, tell: Callable[[str], None]) -> Iterator[Row]:
    """Measure everything of a plan; `tell` is given a line before each step."""
    proofs: dict[Work, Any] = {}
    for work in plan.works:
        # on a field of the design's size, where the fine reference fits into memory
        proved = replace(work, batch=1, size=plan.size)
        if proved not in proofs:
            tell(f"{work}: fields compared")
            proofs[proved] = _ask(plan, "prove_equal", proved)
        proofs[work] = proofs[proved]
    speeds, growths = _timings(plan, {work: _timed(proofs[work]) for work in plan.works}, tell)
    for work in plan.works:
        yield from _speed_rows(plan, work, proofs[work], speeds)
    for larger, ratios in growths.items():
        case = f"time of {larger} over {replace(plan.base, batch=1)}"
        yield Row(case, "N log N per hop", statistics.median(ratios), most=True)
    equal = {name for proof in proofs.values() for name in proof if proof[name]["equal"]}
    yield from _memory_rows(plan, [name for name in rivals(plan.device) if name in equal - {FLOOR}], tell)


def _timed(proof: dict[str, Any]) -> list[str]:
    """Those whose field and gradient are ours, as far as they can be."""
    return [name for name in proof if name != OURS and proof[name]["equal"]]


def _timings(
    plan: Plan, works: dict[Work, list[str]], tell: Callable[[str], None]
) -> tuple[dict[_Timing, list[float]], dict[Work, list[float]]]:
    """Ratios of all rounds of all visits: of speeds against the names given with each work, and of growth."""
    speeds: dict[_Timing, list[float]] = defaultdict(list)
    growths: dict[Work, list[float]] = defaultdict(list)
    base = replace(plan.base, batch=1)
    for visit in range(plan.visits):
        times = f"visit {visit + 1} of {plan.visits}"
        for work, names in works.items():
            for setting in plan.malloc_settings:
                tell(f"{work}, {setting}: timed, {times}")
                measured = _ask(plan, "compare_speed", work, setting, names=names, rounds=plan.rounds)
                for direction, name in product(_DIRECTIONS, names):
                    speeds[work, setting, direction, name] += measured[direction][name]
        for larger in plan.grown:
            tell(f"growth from {base} to {larger}, {times}")
            growths[larger] += _ask(plan, "growth_of_time", base, larger=asdict(larger), rounds=plan.rounds)
    return speeds, growths


def _speed_rows(plan: Plan, work: Work, proof: dict[str, Any], speeds: Mapping[_Timing, list[float]]) -> Iterator[Row]:
    timed = _timed(proof)
    for name in rivals(plan.device):
        if name not in timed:
            yield Row(str(work), name, None, remark=_why_not(proof, name))
            continue
        errors = {"ours": proof[OURS]["error"], "theirs": proof[name]["error"]}
        for direction in _DIRECTIONS:
            target = speed_target(name, work, direction, errors)
            for setting in plan.malloc_settings:
                case = f"{work}, {direction}, {setting}"
                ratio = statistics.median(speeds[work, setting, direction, name])
                if name in WAYS:
                    yield Row(f"{case}, {name}", _EAGER, ratio, target, remark=_remark(proof, name))
                else:
                    yield Row(case, name, ratio, target, name == FLOOR, _remark(proof, name))


def _why_not(proof: dict[str, Any], name: str) -> str:
    if name not in proof:
        return "not installed"
    failed = proof[name].get("failed")
    return f"failed: {failed}" if failed else f"too far from ours to be timed: {_remark(proof, name)}"


def _remark(proof: dict[str, Any], name: str) -> str:
    theirs, ours = proof[name], proof[OURS]
    gradient = "" if theirs["gradient"] is None else f", gradients {theirs['gradient']:.0e}"
    remark = f"; {theirs['remark']}" if theirs["remark"] else ""
    errors = f"error {theirs['error']:.1e}, ours {ours['error']:.1e}"
    return f"{errors}; fields apart {theirs['field']:.0e}{gradient}{remark}"


def _memory_rows(plan: Plan, usable: list[str], tell: Callable[[str], None]) -> Iterator[Row]:
    base = plan.base
    works = [replace(base, padding=2.0)]
    if not plan.quick:
        works += [replace(base, padding=1.0), replace(base, layers=10), replace(base, size=4 * plan.size)]
    ways, peers = [name for name in usable if name in WAYS], [name for name in usable if name not in WAYS]
    for work in works:
        tell(f"{work}: memory")
        case = f"memory per sample, {work.size}², {work.layers} layers, padded {work.padding:g}×"
        bound = work.layers + _AROUND
        held = {name: _fields(plan, work, name) for name in (OURS, *ways)}
        for name, ours in held.items():
            own = case if name == OURS else f"{case}, {name}"
            yield Row(own, f"{bound} fields", ours / bound, 1.0, True, f"ours {ours:.1f} fields")
        ours = held[OURS]
        for name in peers if work.size == plan.size else []:  # at four times the width some need 5 GB
            theirs = _fields(plan, work, name)
            if theirs >= 1.0:  # no less than its result
                yield Row(case, name, theirs / ours, remark=f"theirs {theirs:.1f} fields")
            else:
                yield Row(case, name, None, remark="its peak hides under that of building it")


def _fields(plan: Plan, work: Work, name: str) -> float:
    """Complex64 fields that one more sample adds to the peak of forward and backward."""
    few = max(4, 48 * 256**2 // work.size**2)  # more than imports and building the transfer functions take
    peaks = [_ask(plan, "peak_memory", replace(work, batch=batch), names=[name]) for batch in (few, 3 * few)]
    return float(peaks[1] - peaks[0]) / (2 * few * work.size**2 * _COMPLEX64)


def _ask(plan: Plan, task: str, work: Work, setting: str = "default malloc", **more: object) -> Any:
    """Run a task of the worker in a process with one allocator setting."""
    environment = {**os.environ, **MALLOC_SETTINGS[setting], "OMP_NUM_THREADS": str(plan.threads)}
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "task.json"), Path(folder, "result.json")
        asked.write_text(json.dumps({"task": task, "work": asdict(work), "threads": plan.threads, **more}))
        command = [sys.executable, "-m", "benchmarks.worker", str(asked), str(answer)]
        subprocess.run(command, env=environment, cwd=Path(__file__).parent.parent, check=True)  # noqa: S603 # our own
        return json.loads(answer.read_text())
