"""A dask scheduler and its workers as processes of their own, on the loopback interface."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

Process = subprocess.Popen[bytes]


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, Process, list[Process]]]:
    """The address of a scheduler, its process and those of its workers; all are ended at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        scheduler = stack.enter_context(_process("dask_scheduler", "--port", port))
        options = (address, "--nthreads", "1", "--no-nanny")
        yield address, scheduler, [stack.enter_context(_process("dask_worker", *options)) for _ in range(workers)]


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[Process]:
    line = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
    started = subprocess.Popen(line, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()
