"""Writing TOML: the few lines the standard library leaves out (it reads TOML only)."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["one_line", "printable", "to_toml", "toml_value"]

_LONGEST_LINE = 80
_DEEPEST = 4


def toml_value(value: object, depth: int = 0) -> str:
    """One value as TOML, tables and deep lists abridged: in a design neither stands on the right of a key."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace(
            "\x7f", "\\u007f"
        )  # JSON's escapes are TOML's, but for DEL
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item, depth + 1) for item in value) if depth < _DEEPEST else '…'}]"
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    try:
        return str(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a very large number"


def printable(text: str) -> str:
    """A text without line ends and other control characters, which would disturb a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def one_line(text: str) -> str:
    """A text fit for one line of a message: short and printable."""
    return printable(text[:_LONGEST_LINE]) + ("…" if len(text) > _LONGEST_LINE else "")


def to_toml(table: Mapping[str, object], header: str = "") -> str:
    """A table of bare keys as TOML: its own values first, then each table inside under its full name."""
    own = [f"{key} = {toml_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    parts = ["\n".join([f"[{header}]", *own] if header else own)] if own else []
    for key, value in table.items():
        if isinstance(value, Mapping):
            parts.append(to_toml(value, f"{header}.{key}" if header else key).rstrip("\n"))
    return "\n\n".join(parts) + "\n"
