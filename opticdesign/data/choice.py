"""Which arrays of a file are its phase maps, and which ones belong to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from opticdesign.data.contents import MASK, Contents, Stored
from opticdesign.errors import DataError

__all__ = ["Choice", "choose"]

_PHASE, _AMPLITUDE = "phase", "amplitude"
_FIELD = "E_field"  # the name in published sets of HeLa fields
_SHOWN = 8


def _leaf(name: str) -> str:
    return name.rpartition("/")[2].lower()


_USUAL = ((str.lower, _PHASE), (_leaf, _PHASE), (str, _FIELD))  # what an array is taken by, the surest first


@dataclass(frozen=True)
class Choice:
    """One array that is taken as a map or a stack of maps.

    Args:
        taken: that array.
        why: why it is.
        amplitude: the amplitude beside it.
        mask: what says which of its pixels are valid.
    """

    taken: Stored
    why: str
    amplitude: Stored | None
    mask: Stored | None


def choose(path: Path, contents: Contents, key: str | None) -> list[Choice]:
    """The arrays that are taken, by `data.key`, by their usual names, or because nothing else is there.

    Args:
        path: the file, for messages.
        contents: what it holds.
        key: a name, or a pattern with * ? [] whose every match is taken, in the order of the numbers in the names.

    Raises:
        DataError: no such array, or several that could be meant.
    """
    if list(contents.arrays) == [""]:  # a format without names
        if key is not None:
            contents.notes.append(f"data.key = {key!r} says nothing here: the format has no names")
        return [Choice(contents.arrays[""], "all that the file holds", None, None)]
    taken, why = _taken(path, contents, key)
    return [
        Choice(
            stored,
            why,
            None if stored.dtype.kind == "c" else _beside(path, contents, stored, _AMPLITUDE),  # a field has its own
            _beside(path, contents, stored, MASK),
        )
        for stored in taken
    ]


def _taken(path: Path, contents: Contents, key: str | None) -> tuple[list[Stored], str]:
    arrays = contents.arrays
    beside = (MASK, _AMPLITUDE)
    images = {name: stored for name, stored in arrays.items() if stored.is_image and _leaf(name) not in beside}
    if key in arrays:
        return [arrays[str(key)]], f"data.key = {key!r}"
    if key is not None and any(sign in key for sign in "*?["):
        matching = [arrays[name] for name in sorted(arrays, key=_natural) if fnmatchcase(name, key)]
        if found := [stored for stored in matching if stored.is_image]:
            return found, f"data.key = {key!r} matches {len(found)} array{'s' * (len(found) > 1)}"
    elif key is None:
        named = ([name for name in images if end(name) == word] for end, word in _USUAL)
        if usual := next((names[0] for names in named if len(names) == 1), None):
            return [images[usual]], "its name"
        if len(images) == 1:
            return list(images.values()), "the only image in the file"
    raise _undecided(path, contents, key, sorted(images, key=_natural))


def _undecided(path: Path, contents: Contents, key: str | None, images: Sequence[str]) -> DataError:
    """What to say where no array can be taken: which images there are, and the pattern that takes them all."""
    listed = ", ".join(images[:_SHOWN]) + (f", … ({len(images)} in all)" if len(images) > _SHOWN else "")
    if key is not None:
        message = f"no {'array matches' if any(sign in key for sign in '*?[') else 'array named'} {key!r}"
    elif images:
        message = f"{len(images)} images, none named {_PHASE!r}"
        if any(_leaf(name) == _PHASE for name in images):
            message = f"{len(images)} images, several named {_PHASE!r}"
    else:
        message = f"no array named {_PHASE!r}, and no other image"
        listed = ", ".join(f"{name} {stored.shape}" for name, stored in list(contents.arrays.items())[:_SHOWN])
    every = "".join(f', or data.key = "{pattern}" for {count} maps' for pattern, count in _patterns(images)[:2])
    return DataError(
        path,
        message,
        expected=f"one of {listed}"
        if images
        else f"a map (y, x) or a stack of maps; the file holds {listed or 'nothing'}",
        remedy=f"set data.key{every}" if images else "",
    )


def _patterns(names: Sequence[str]) -> list[tuple[str, int]]:
    """Patterns that several names have in common, numbers or groups left open, those of most names first."""
    counts: dict[str, int] = {}
    for name in names:
        _, slash, leaf = name.partition("/")
        for pattern in {re.sub(r"\d+", "*", name), f"*{slash}{leaf}" if slash else ""} - {"", name}:
            counts[pattern] = counts.get(pattern, 0) + 1
    found = sorted(((pattern, count) for pattern, count in counts.items() if count > 1), key=lambda item: -item[1])
    return found or ([("*", len(names))] if len(names) > 1 else [])


def _beside(path: Path, contents: Contents, stored: Stored, word: str) -> Stored | None:
    """The array that goes with one: 0/amplitude/raw with 0/phase/raw, or the nearest of this name in its groups."""
    names = [re.sub(rf"(^|/){_PHASE}(?=/|$)", rf"\g<1>{word}", stored.name, flags=re.IGNORECASE)]
    group = stored.name
    while group:
        group, slash, _ = group.rpartition("/")
        names.append(f"{group}{slash}{word}")
    lower = {name.lower(): name for name in contents.arrays}
    for name in names:
        found = contents.arrays.get(lower.get(name.lower(), ""))
        if found is not None and found.name != stored.name:
            _require_fit(path, found, stored, word)
            return found
    return None


def _require_fit(path: Path, found: Stored, stored: Stored, word: str) -> None:
    kinds, what = ("bui", "true or false") if word == MASK else ("f", "floats")
    if found.dtype.kind not in kinds or found.shape not in (stored.shape, stored.shape[-2:]):
        rows, columns = stored.shape[-2:] if len(stored.shape) > 1 else (1, *stored.shape)
        raise DataError(
            path,
            f"{found.name} of type {found.dtype} and shape {found.shape}",
            expected=f"{what} for each of {rows} × {columns} pixels of {stored.name}",
            remedy=f"rename it if it is no {word}",
        )


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Names in the order of the numbers in them: 2 before 10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]
