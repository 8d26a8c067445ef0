"""Progress of long work: a live bar in a terminal, else a plain line now and then; Ctrl-C as a request."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

if TYPE_CHECKING:
    from opticdesign.runs.optimise import Progress as TrainingProgress

__all__ = [
    "STOP_SIGNALS",
    "StopRequest",
    "floor_listener",
    "progress_listener",
    "stop_at_signals",
    "tolerance_listener",
]

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Ctrl-C, a request to end, and a terminal that was closed."""
_PLAIN_SECONDS = 15.0
_BAR = 12  # characters


def stop_at_signals() -> None:
    """From now on a signal to stop raises KeyboardInterrupt, so that what is unfinished is removed on the way out."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (signal passes both)
        raise KeyboardInterrupt

    for number in _wanted():
        signal.signal(number, stop)


def _wanted() -> Iterator[int]:
    """The signals to stop at: not a closed terminal's where nohup asked to go on."""
    for number in STOP_SIGNALS:
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) is not signal.SIG_IGN:
            yield number


class StopRequest:
    """While open, the first signal to stop is remembered instead of raised; a second one acts at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __call__(self) -> bool:
        """Whether the user asked to stop."""
        return self._asked

    def __enter__(self) -> StopRequest:
        for number in _wanted():
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (signal passes the frame)
        self._asked = True
        signal.signal(number, self._before[number])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


@contextmanager
def progress_listener() -> Iterator[Callable[[TrainingProgress], None]]:
    """A listener for `optimise`: stage, step, loss, validation PSNR and SSIM, time left."""
    with _bars() as show:

        def listen(news: TrainingProgress) -> None:
            report, quality = news.report, news.validation
            text = f"{report.stage:<10} step {report.step}/{report.steps}  loss {report.loss:.4f}"
            if quality:
                text += f"  PSNR {quality['psnr_db']:.2f} dB  SSIM {quality['ssim']:.3f}"
            text += f"  ETA {_clock(news.seconds_left)}"
            show(text, report.total, news.total_steps, report.step == report.steps)

        yield listen


@contextmanager
def floor_listener() -> Iterator[Callable[[str, int, int], None]]:
    """A listener for `evaluate`: which floor is being trained, how far, and the time left for it."""
    began: dict[str, tuple[int, float]] = {}
    with _bars() as show:

        def listen(name: str, step: int, steps: int) -> None:
            first, start = began.setdefault(name, (step, time.monotonic()))
            left = (time.monotonic() - start) / max(step - first, 1) * (steps - step)
            show(f"{name}: step {step}/{steps}  ETA {_clock(left)}", step, steps, step == steps)

        yield listen


@contextmanager
def tolerance_listener() -> Iterator[Callable[[str, int, int], None]]:
    """A listener for `tolerate`: what is judged, and how far."""
    told = set[str]()
    with _bars() as show:

        def listen(what: str, done: int, total: int) -> None:
            # some are judged in many small batches, of which one line is enough
            show(f"{what}: {done}/{total}", done, total, done == total and what not in told)
            told.update([what] if done == total else [])

        yield listen


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int, bool], None]]:
    """Shows a text, steps done and in all; where there is no terminal, what is important and now and then the rest."""
    console = Console(stderr=True)
    if not console.is_terminal:
        last = [time.monotonic()]

        def plain(text: str, _done: int, _total: int, important: bool) -> None:
            if important or time.monotonic() - last[0] > _PLAIN_SECONDS:
                last[0] = time.monotonic()
                print(text, file=sys.stderr, flush=True)  # noqa: T201 (this is the command line)

        yield plain
        return
    with _live_bar(console) as bar:
        task: TaskID = bar.add_task("starting")

        def live(text: str, done: int, total: int, _important: bool) -> None:
            bar.update(task, description=text, completed=done, total=total)

        yield live


def _live_bar(console: Console) -> Progress:
    """Bar, time and text; in a narrow terminal the text takes a second line, and nothing is cut."""
    return Progress(
        BarColumn(_BAR, table_column=Column(min_width=_BAR)),
        TimeElapsedColumn(Column(no_wrap=True, min_width=len("0:00:00"))),
        TextColumn("{task.description}", table_column=Column(ratio=1)),
        console=console,
        expand=True,
    )
