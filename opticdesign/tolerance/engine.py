"""Who computes a study: this process, processes beside it, or the workers of a dask scheduler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opticdesign.errors import UsageError
from opticdesign.processes import open_processes
from opticdesign.tolerance.runner import Engine

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["open_engine"]

_CONNECT_SECONDS = 20
_ALL = 1 << 30


@contextmanager
def open_engine(work: Callable[[str], str], workers: int, scheduler: str | None) -> Iterator[Engine]:
    """An engine, which ends with the context.

    Args:
        work: judges the points of a shard, a function of a module that workers can import.
        workers: processes on this machine; 1 is this one.
        scheduler: address of a dask scheduler, "tcp://…" or "tls://…", whose workers compute instead.

    Raises:
        UsageError: no scheduler answers there, or dask is not installed.
    """
    if scheduler is None:
        with open_processes(workers, threads=1) as executor:
            # one more than run, so that no process waits for this one
            yield Engine(executor, work, 1 if workers == 1 else workers + 1, (BrokenProcessPool,))
        return
    with _client(scheduler) as client:
        from distributed.scheduler import KilledWorker

        # the scheduler queues, for workers come and go
        yield Engine(client.get_executor(pure=False), work, _ALL, (KilledWorker,))


def _client(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "a scheduler needs the package distributed, which is not installed",
            expected="dask.distributed here and on its workers",
            remedy="pip install 'opticdesign[cluster]'",
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told as our own errors
    try:
        return Client(address, timeout=_CONNECT_SECONDS)  # type: ignore[no-untyped-call]  # distributed has none
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no dask scheduler answers at {address}: {error}",
            expected="the address that `dask scheduler` prints, such as tcp://127.0.0.1:8786",
            remedy="start it, and workers with `dask worker ADDRESS --nthreads 1`",
        ) from None
