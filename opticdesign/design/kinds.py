"""The kinds that a table may be of: our own, and those of other packages."""

from __future__ import annotations

from typing import TypeVar, get_args

from pydantic import BaseModel

from opticdesign.errors import UsageError
from opticdesign.plugins import load_classes

__all__ = ["kind_of", "kinds_of"]

_Spec = TypeVar("_Spec", bound=BaseModel)


def kind_of(model: type[BaseModel]) -> str:
    """The word by which a table is told apart from others that may stand in its place."""
    return str(get_args(model.model_fields["kind"].annotation)[0])


def kinds_of(group: str, noun: str, base: type[_Spec], own: tuple[type[_Spec], ...]) -> tuple[type[_Spec], ...]:
    """Our own kinds of a table, and behind them those that packages add in an entry-point group.

    Args:
        group: name of the group.
        noun: what its classes are, for messages.
        base: what they are derived from.
        own: our own.

    Raises:
        UsageError: one cannot be loaded, or its `kind` is not the one word that it is named by, and new.
    """
    found = {kind_of(model): model for model in own}
    for name, model in load_classes(group, noun, base).items():
        words = get_args(model.model_fields["kind"].annotation)
        if words != (name,) or name in found:
            raise UsageError(
                f"the {noun} {name!r} ({model.__module__}.{model.__name__}) has kind = {words}",
                expected=f'kind: Literal["{name}"], and none of {", ".join(found)}',
                remedy="correct the package that it is from, or remove it",
            )
        found[name] = model
    return tuple(found.values())
