"""Where a table was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.contenders import PEERS, missing

__all__ = ["MALLOC_SETTINGS", "machine"]

# glibc gives large blocks back to the system when they are freed, and takes page faults when they return; raised
# thresholds keep them
MALLOC_SETTINGS: dict[str, dict[str, str]] = {
    "default malloc": {},
    "raised malloc": {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**33)},
}


def machine(threads: int, device: str = "cpu") -> dict[str, object]:
    """CPU, GPU if used, threads, allocator settings and versions; peers without optics in them are not installed."""
    packages = ["opticdesign", "torch", *(peer.lower() for peer in PEERS)]
    gone = {peer.lower() for peer in PEERS if missing(peer)}
    return {
        "cpu": _cpu(),
        **({} if device == "cpu" else {"gpu": torch.cuda.get_device_name(device)}),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "malloc": MALLOC_SETTINGS,
        "versions": {name: "not installed" if name in gone else _version(name) for name in packages},
    }


def _cpu() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
