"""Where independent pieces of work run: in this process, or in several beside it that end with it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch

from opticdesign.errors import UsageError

__all__ = ["Here", "Processes", "choose_device", "one_thread", "open_processes"]


class Here(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A finished future."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Processes(Executor):
    """Processes beside this one; when they have ended because one died, new ones take what is submitted next.

    Args:
        count: number of processes.
        threads: of each of them.
    """

    def __init__(self, count: int, threads: int) -> None:
        self._count, self._threads = count, threads
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        import multiprocessing

        # torch's threads do not survive a fork
        pool = ProcessPoolExecutor(self._count, multiprocessing.get_context("spawn"), _begin_worker, (self._threads,))
        for _ in range(self._count):
            # a pool notices the death of a process only after an event later than its start: here its first answer
            pool.submit(os.getpid)
        return pool

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future of what a process does."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._pool.shutdown()  # waits for those that are being ended and still hold their run folders
            self._pool = self._new_pool()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes after what they are doing."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


@contextmanager
def open_processes(count: int, threads: int) -> Iterator[Executor]:
    """This process where `count` is 1, else so many beside it; left by an error, those are ended at once.

    Args:
        count: number of processes.
        threads: of each process beside this one; this one keeps its own.
    """
    if count == 1:
        yield Here()
        return
    import multiprocessing

    others = set(multiprocessing.active_children())
    pool = Processes(count, threads)
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread in this context."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _begin_worker(threads: int) -> None:
    """Set up a process: its threads, Ctrl-C left to the main process, an end when that one has died."""
    import multiprocessing

    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)  # nothing is lost: finished work is on disk

    threading.Thread(target=follow, daemon=True).start()


def choose_device(name: str) -> torch.device:
    """The device of a name, "auto", "cpu" or "cuda"; auto takes CUDA when it is there.

    Raises:
        UsageError: another name, or CUDA is asked for and not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {name!r}", expected="auto, cpu or cuda", remedy="correct --device")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError(
            "no CUDA device can be used here",
            expected="an NVIDIA GPU and a CUDA build of torch",
            remedy="use --device cpu, or install a CUDA build of torch",
        )
    if available and name != "cpu":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))  # each process of torchrun has its own
    return torch.device("cpu")
