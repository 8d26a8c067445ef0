"""The designs and studies that come with the package, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from opticdesign.errors import UsageError

__all__ = ["design_file", "shipped_designs", "starting_text", "summary"]

_FOLDERS = ("", "paper", "studies")
_REFERENCE = re.compile(r"(?:designs/|\.\./)(?:paper/|studies/)?([\w-]+)\.toml")


def shipped_designs() -> Mapping[str, Path]:
    """The file of each design and study that is shipped, by name: designs, those of the paper, studies."""
    installed = Path(__file__).parents[1] / "_designs"
    folder = installed if installed.is_dir() else Path(__file__).parents[2] / "designs"
    return {file.stem: file for part in _FOLDERS for file in _files(folder / part)}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml"), key=lambda file: file.stem)


def design_file(path: Path) -> Path:
    """The file that a path means: itself or, where there is no such file, the shipped one of that name.

    Raises:
        UsageError: a word that is neither a file nor the name of a shipped design or study.
    """
    if path.exists() or path.suffix or len(path.parts) != 1:
        return path
    return _named(path.name, f"{path}: no such file, and nothing that is shipped has this name")


def starting_text(name: str, path: Path) -> str:
    """The text of a shipped design or study as a file elsewhere: it names others by their names, and itself by `path`.

    Raises:
        UsageError: nothing that is shipped has this name.
    """
    text = _named(name, f"nothing that is shipped is named {name!r}").read_text("utf-8")
    text = text.partition("\n")[2] if text.startswith("#:schema ") else text  # where the schema lies in a checkout
    return _REFERENCE.sub(lambda found: str(path) if found[1] == name else found[1], text)


def summary(file: Path) -> str:
    """What a shipped file says of itself in its first sentence."""
    comments = [line[2:] for line in file.read_text("utf-8").splitlines() if line.startswith("# ")]
    return " ".join(comments).partition(". ")[0].rstrip(".")


def _named(name: str, message: str) -> Path:
    known = shipped_designs()
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]}?" if near else "`opticdesign init --list` says what each of them is"
    raise UsageError(message, expected="a file, or one of " + ", ".join(known), remedy=remedy)
