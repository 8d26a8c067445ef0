"""What other packages add to this one: classes named in an entry-point group."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import Any, TypeVar

from opticdesign.errors import UsageError

__all__ = ["load_classes", "load_plugins"]

_Base = TypeVar("_Base")


def load_plugins(group: str, noun: str) -> dict[str, Any]:
    """An instance of every class of an entry-point group, by name.

    Args:
        group: name of the group.
        noun: what its classes are, for messages.

    Raises:
        UsageError: none is installed, or one cannot be loaded.
    """
    found: dict[str, Any] = {}
    for entry in _entries(group):
        try:
            found[entry.name] = entry.load()()
        except Exception as error:  # another package may fail in any way
            raise _unloadable(entry, noun, str(error)) from error
    if not found:
        raise UsageError(f"no {noun} is installed", remedy="install with pip install -e .")
    return found


def load_classes(group: str, noun: str, base: type[_Base]) -> dict[str, type[_Base]]:
    """Every class of an entry-point group, by name; none where no package names one.

    Args:
        group: name of the group.
        noun: what its classes are, for messages.
        base: what they are derived from.

    Raises:
        UsageError: one cannot be loaded, has the name of another, is derived from something else, or leaves out what
            the base asks for.
    """
    found: dict[str, type[_Base]] = {}
    for entry in _entries(group):
        if entry.name in found:
            raise _unloadable(entry, noun, "another package has one of this name")
        try:
            loaded = entry.load()
        except Exception as error:
            raise _unloadable(entry, noun, str(error)) from error
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise _unloadable(entry, noun, f"it is no subclass of {base.__name__}")
        if isabstract(loaded):
            left_out = ", ".join(sorted(getattr(loaded, "__abstractmethods__", ())))
            raise _unloadable(entry, noun, f"it leaves out {left_out}")
        found[entry.name] = loaded
    return found


def _entries(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def _unloadable(entry: EntryPoint, noun: str, why: str) -> UsageError:
    return UsageError(
        f"the {noun} {entry.name!r} ({entry.value}) cannot be loaded: {why}",
        remedy="install its package again, or remove it",
    )
