"""What other packages add to this one: classes named in an entry-point group."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from opticdesign.errors import UsageError

__all__ = ["load_plugins"]


def load_plugins(group: str, noun: str) -> dict[str, Any]:
    """An instance of every class of an entry-point group, by name.

    Args:
        group: name of the group.
        noun: what its classes are, for messages.

    Raises:
        UsageError: none is installed, or one cannot be loaded.
    """
    found: dict[str, Any] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            found[entry.name] = entry.load()()
        except (ImportError, AttributeError, TypeError) as error:
            raise UsageError(
                f"the {noun} {entry.name!r} ({entry.value}) cannot be loaded: {error}",
                remedy="install its package again, or remove it",
            ) from error
    if not found:
        raise UsageError(f"no {noun} is installed", remedy="install with pip install -e .")
    return found
