"""What was found in a data file and how it was understood, in plain values that are kept and printed."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ArrayRecord", "FileRecord"]


@dataclass(frozen=True)
class ArrayRecord:
    """One array of a file.

    Args:
        name: its name, "" where the format knows none.
        shape: its axes as stored.
        type: of its numbers.
        taken: "map", "amplitude", "mask", or "" where it is left out.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    taken: str = ""


@dataclass
class FileRecord:
    """One file, filled in as it is read; `problem` says why it was refused.

    Args:
        file: its name.
        bytes: its length.
        sha256: SHA-256 of its content.
        arrays: what it holds.
        why: why the taken array is taken.
        maps: number of maps.
        shape: rows and columns of the first map in the file.
        type: of its numbers.
        kind: what they are: "phase", "grey values", "field", "amplitude+phase", "optical path".
        unit: what they are in.
        unit_said: who says so.
        values: least and greatest number as stored; of a complex array, of its angle or its imaginary part.
        phase_rad: least and greatest phase that is used.
        amplitude: least and greatest amplitude.
        valid: share of valid pixels.
        wrapped: "no", "refused", "unwrapped" or "accepted".
        stated_pitch_m: pixel size along y and x that the file states.
        stated_by: what states it.
        used_pitch_m: the one that is used.
        used_by: who says so.
        sampled: rows and columns at the design's pitch.
        notes: what should be known.
        problem: why it is refused, "" where it is not.
    """

    file: str
    bytes: int = 0
    sha256: str = ""
    arrays: tuple[ArrayRecord, ...] = ()
    why: str = ""
    maps: int = 0
    shape: tuple[int, int] | None = None
    type: str = ""
    kind: str = ""
    unit: str = ""
    unit_said: str = ""
    values: tuple[float, float] | None = None
    phase_rad: tuple[float, float] | None = None
    amplitude: tuple[float, float] | None = None
    valid: float | None = None
    wrapped: str = "no"
    stated_pitch_m: tuple[float, float] | None = None
    stated_by: str = ""
    used_pitch_m: tuple[float, float] | None = None
    used_by: str = ""
    sampled: tuple[int, int] | None = None
    notes: list[str] = field(default_factory=list)
    problem: str = ""

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)
