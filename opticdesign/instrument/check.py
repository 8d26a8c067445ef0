"""One verdict about a design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Verdict", "graded"]

Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """One verdict: what was looked at, the number found, the limit, and what to do if it is not met."""

    name: str
    verdict: Verdict
    found: str
    limit: str
    remedy: str = ""


def graded(name: str, value: float, warn_above: float, fail_above: float, found: str, limit: str, remedy: str) -> Check:
    """A check of a number against the limits above which it warns and fails, with what was found, a limit, a remedy."""
    verdict: Verdict = "fail" if value > fail_above else "warn" if value > warn_above else "pass"
    return Check(name, verdict, found, limit, "" if verdict == "pass" else remedy)
