"""What other packages add to this one: things named in an entry-point group."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from typing import Any, Generic, TypeVar

from opticdesign.errors import UsageError

__all__ = ["Plugins", "function", "instance", "instance_of", "subclass"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Plugins(Generic[_T]):
    """An entry-point group.

    Args:
        group: its name.
        noun: what one of its entries is, for messages.
        accept: gives what is used of the thing that an entry of a name names; raises where it is of another sort.
        own: names that ours have, without an entry.
    """

    group: str
    noun: str
    accept: Callable[[str, Any], _T]
    own: Collection[str] = ()

    def names(self) -> list[str]:
        """Names of the entries; imports none.

        Raises:
            UsageError: a name that is taken.
        """
        return list(self._entries())

    def load(self, name: str) -> _T:
        """What the entry of a name names.

        Raises:
            UsageError: it cannot be loaded, or a name is taken.
        """
        return self._loaded(self._entries()[name])

    def all(self) -> dict[str, _T]:
        """What all entries name, by name.

        Raises:
            UsageError: one cannot be loaded, or a name is taken.
        """
        return {name: self._loaded(entry) for name, entry in self._entries().items()}

    def installed(self) -> dict[str, _T]:
        """As `all`, of a group in which this package has entries too.

        Raises:
            UsageError: none is installed, one cannot be loaded, or a name is taken.
        """
        found = self.all()
        if not found:
            raise UsageError(f"no {self.noun} is installed", remedy="install with pip install -e .")
        return found

    def _entries(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=self.group), key=lambda entry: entry.name):
            if entry.name in self.own or entry.name in found:
                other = f"so has {found[entry.name].value}" if entry.name in found else "so has one of ours"
                raise UsageError(
                    f"the {self.noun} of {entry.value} has the name {entry.name!r}, and {other}",
                    expected="a name of its own",
                    remedy="rename it in its package, or remove that",
                )
            found[entry.name] = entry
        return found

    def _loaded(self, entry: EntryPoint) -> _T:
        try:
            return self.accept(entry.name, entry.load())
        except Exception as error:  # a foreign module raises whatever it does
            raise UsageError(
                f"the {self.noun} {entry.name!r} ({entry.value}) cannot be loaded: {error}",
                remedy="install its package again, or remove it",
            ) from error


def function(_name: str, named: Any) -> Any:
    """A function, as an entry names it.

    Raises:
        TypeError: it is none.
    """
    if not callable(named):
        raise TypeError("it is no function")
    return named


def instance(*attributes: str) -> Callable[[str, Any], Any]:
    """What makes an instance of a class that an entry names, and raises TypeError where it lacks an attribute."""

    def made(_name: str, named: Any) -> Any:
        one = named()
        if absent := [attribute for attribute in attributes if not hasattr(one, attribute)]:
            raise TypeError(f"it has no {absent[0]}")
        return one

    return made


def subclass(base: type[_T]) -> Callable[[str, Any], type[_T]]:
    """What gives the class that an entry names, and raises TypeError where it is of no such base, or abstract."""

    def checked(_name: str, named: Any) -> type[_T]:
        if not (isinstance(named, type) and issubclass(named, base)):
            raise TypeError(f"it is no {base.__name__}")
        if isabstract(named):
            raise TypeError(f"it leaves out {', '.join(sorted(getattr(named, '__abstractmethods__', ())))}")
        return named

    return checked


def instance_of(base: type[_T]) -> Callable[[str, Any], _T]:
    """As `subclass`, but gives an instance."""
    checked = subclass(base)
    return lambda name, named: checked(name, named)()
