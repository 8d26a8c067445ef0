"""The one error tree; every error says what was expected, what was received and what to do about it.

OpticDesignError                     exit code 1
├── UsageError                       2   a command line that cannot be carried out as written
│   ├── UnitError                    2   a quantity that cannot be read
│   ├── DesignError                  2   a design file: names file, line, key, value, expected, remedy
│   ├── DataError                    2   a data file or folder
│   └── RunError                     2   a run folder that is missing, busy or of another design
├── VerificationError                1   an exported file differs from the design
├── DivergenceError                  3   training produced a value that is not finite, or far out of range
└── StorageError                     4   the disk refused, or a stored file is damaged
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DataError",
    "DesignError",
    "DesignProblem",
    "DivergenceError",
    "OpticDesignError",
    "RunError",
    "StorageError",
    "StudyStopped",
    "UnitError",
    "UsageError",
    "VerificationError",
]


class OpticDesignError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        message: what is wrong, in one sentence, with the received value.
        expected: what would have been right.
        remedy: what the user can do.
    """

    exit_code = 1

    def __init__(self, message: str, *, expected: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.expected, self.remedy = message, expected, remedy

    def __str__(self) -> str:
        lines = [self.message]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.remedy:
            lines.append(f"  remedy:   {self.remedy}")
        return "\n".join(lines)


class UsageError(OpticDesignError):
    """A request that cannot be carried out as written."""

    exit_code = 2


class UnitError(UsageError):
    """A quantity whose text, unit or dimension is wrong."""


@dataclass(frozen=True)
class DesignProblem:
    """One thing wrong in a design: where it stands, what was found, what was expected, what to do."""

    key: str
    message: str
    value: str = ""
    expected: str = ""
    remedy: str = ""
    line: int | None = None
    source: str = ""  # the file, or "--set" for an override

    def __str__(self) -> str:
        where = self.source + (f":{self.line}" if self.line is not None else "")
        lines = [f"{where}: {self.message}" if where else self.message]
        rows = [("key", self.key), ("value", self.value), ("expected", self.expected), ("remedy", self.remedy)]
        lines += [f"  {name + ':':<10}{text}" for name, text in rows if text]
        return "\n".join(lines)


class DesignError(UsageError):
    """A design that cannot be built; holds one problem or several."""

    def __init__(self, problems: Sequence[DesignProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self._text())

    def _text(self, shown: int = 4) -> str:
        text = "\n".join(str(problem) for problem in self.problems[:shown])
        hidden = len(self.problems) - shown
        return text + (f"\n(and {hidden} more)" if hidden > 0 else "")


class DataError(UsageError):
    """A data file or folder that cannot be used."""

    def __init__(self, path: Path | str, message: str, *, expected: str = "", remedy: str = "") -> None:
        super().__init__(f"{path}: {message}", expected=expected, remedy=remedy)
        self.path = Path(path)


class RunError(UsageError):
    """A run folder that is missing, in use, or does not fit the request."""


class VerificationError(OpticDesignError):
    """An exported file does not hold what was designed."""

    exit_code = 1


class DivergenceError(OpticDesignError):
    """Training or simulation produced a value that is not finite, or far out of range."""

    exit_code = 3


class StorageError(OpticDesignError):
    """The disk refused a write, or a stored file is damaged."""

    exit_code = 4


class StudyStopped(Exception):  # noqa: N818 (not an error: the user asked for it)
    """A study or an evaluation was stopped safely before its end; the same command continues it."""
