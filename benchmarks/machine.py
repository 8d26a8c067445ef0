"""Where a table was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.contenders import PEERS, missing

__all__ = ["MALLOC_SETTINGS", "machine", "machine_line"]

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


def machine_line(about: Mapping[str, object]) -> str:
    """The facts of a machine for a reader; a fact that has parts as "name: part 1, part 2", empty parts by name."""
    return "; ".join(
        f"{name}: {_parts(value)}" if isinstance(value, Mapping) else f"{name} {value}" for name, value in about.items()
    )


def _parts(facts: Mapping[str, object]) -> str:
    """Parts side by side, as "torch 2.13.0, chromatix not installed"; the parts of a part in brackets."""
    return ", ".join(
        f"{name}{f' ({_parts(value)})' if value else ''}" if isinstance(value, Mapping) else f"{name} {value}"
        for name, value in facts.items()
    )


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
