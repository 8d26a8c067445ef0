"""Numbers, strings, displacements and repetitions of OASIS, bounds-checked; lists of numbers are read as arrays.

SEMI P39, OASIS — Open Artwork System Interchange Standard, clauses 7 (numbers, strings, deltas, repetitions, point
lists): an unsigned integer is groups of 7 bits, the lowest first, all but the last with the top bit set.
"""

from __future__ import annotations

import struct
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.errors import VerificationError

__all__ = ["Cursor", "Ints"]

Ints = npt.NDArray[np.int64]

_MOST_BYTES = 9  # of a number: 63 bits
_LIMIT = 1 << 31  # of coordinates and distances, as layout programs have it
_COMPASS = np.array(((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)))


class Cursor:
    """A position in bytes.

    Args:
        data: the bytes.
        place: where they are, for messages.
        position: where to begin.
    """

    def __init__(self, data: bytes, place: str, position: int = 0) -> None:
        self.data, self.place, self.position = data, place, position

    def fail(self, why: str, at: int | None = None) -> NoReturn:
        """Refuse what is at a byte, or here."""
        raise VerificationError(
            f"{self.place}: byte {self.position if at is None else at}: {why}",
            expected="a whole OASIS file of rectangles, polygons, plain placements and texts",
            remedy="export again",
        )

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return self.position >= len(self.data)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self.data) - self.position:
            self.fail(f"the data end before {count} more bytes")
        self.position += count
        return self.data[self.position - count : self.position]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def unsigned(self) -> int:
        """An unsigned integer below 2⁶³."""
        start, value, shift, byte = self.position, 0, 0, 0x80
        while byte >= 0x80:  # zeros may pad its end: klayout fills up END records with them
            byte = self.byte()
            if byte & 0x7F and shift >= 7 * _MOST_BYTES:
                self.fail("a number of more than 63 bits", start)
            value |= (byte & 0x7F) << shift if byte & 0x7F else 0
            shift += 7
        return value

    def distance(self) -> int:
        """An unsigned integer that can be a coordinate."""
        start = self.position
        value = self.unsigned()
        if value >= _LIMIT:
            self.fail(f"a distance of {value} database units", start)
        return value

    def signed(self) -> int:
        """A coordinate: magnitude above a bit for the sign."""
        value = self.unsigned()
        if value >> 1 >= _LIMIT:
            self.fail(f"a coordinate of {value >> 1} database units")
        return -(value >> 1) if value & 1 else value >> 1

    def real(self, kind: int | None = None) -> float:
        """A real: integer, reciprocal, ratio, or IEEE single or double; its kind may have been read already."""
        start = self.position
        chosen = self.unsigned() if kind is None else kind
        if chosen in (6, 7):
            size, form = ((4, "<f"), (8, "<d"))[chosen - 6]
            return float(struct.unpack(form, self.take(size))[0])
        if chosen > 7:
            self.fail(f"a real of kind {chosen}", start)
        numbers = [float(self.unsigned()) for _ in range(2 if chosen > 3 else 1)]
        over, under = (1.0, numbers[0]) if chosen in (2, 3) else (numbers[0], numbers[1] if chosen > 3 else 1.0)
        if under == 0:
            self.fail("a division by zero", start)
        return (-1 if chosen % 2 else 1) * over / under

    def text(self) -> str:
        """A string; bytes that are not ASCII are kept as they are."""
        return self.take(self.unsigned()).decode("latin-1")

    def many(self, count: int) -> Ints:
        """So many unsigned integers (count,)."""
        window, first, last = self._groups(count)
        if len(first) < count:
            self.fail(f"the data end before {count} numbers of at most 63 bits")
        return self._decoded(window, first, last)

    def distances(self, count: int, grid: int = 1) -> Ints:
        """So many unsigned integers times a grid, each of which can be a coordinate (count,)."""
        start, values = self.position, self.many(count)
        if count and int(values.max()) * grid >= _LIMIT:
            self.fail(f"a distance of {int(values.max()) * grid} database units", start)
        return values * grid

    def coordinates(self, count: int) -> Ints:
        """So many signed integers (count,)."""
        start, values = self.position, self.many(count)
        if count and int(values.max()) >> 1 >= _LIMIT:
            self.fail(f"a coordinate of {int(values.max()) >> 1} database units", start)
        signed: Ints = np.where(values & 1, -1, 1) * (values >> 1)
        return signed

    def compass(self, count: int, bits: int) -> Ints:
        """So many displacements in four or eight directions, which are the lowest 2 or 3 bits (count, 2)."""
        start, values = self.position, self.many(count)
        if count and int(values.max()) >> bits >= _LIMIT:
            self.fail(f"a displacement of {int(values.max()) >> bits} database units", start)
        moves: Ints = (values >> bits)[:, None] * _COMPASS[values & ((1 << bits) - 1)]
        return moves

    def deltas(self, count: int, grid: int = 1) -> Ints:
        """So many general displacements times a grid (count, 2): of one number in eight directions, or of two."""
        start = self.position
        window, begin, last = self._groups(2 * count)
        # A number that follows an odd first one is a second one: among odd ones in a row every other is.
        odd = window[begin] & 1 == 1
        index = np.arange(len(begin))
        after_even = np.append(True, ~odd[:-1])[: len(begin)]
        second = (index - np.maximum.accumulate(np.where(after_even, index, 0))) % 2 == 1
        first = np.flatnonzero(~second)[:count]
        used = int(first[-1]) + 1 + int(odd[first[-1]]) if len(first) else 0
        if len(first) < count or used > len(begin):
            self.fail(f"the data end before {count} displacements", start)
        numbers = np.append(self._decoded(window, begin[:used], last[:used]), 0)
        moves = _moves(numbers[first], numbers[first + 1])
        if count and int(np.abs(moves).max()) * grid >= _LIMIT:
            self.fail(f"a displacement of {int(np.abs(moves).max()) * grid} database units", start)
        return moves * grid

    def _groups(self, most: int) -> tuple[npt.NDArray[np.uint8], Ints, Ints]:
        """The bytes from here on, and first and last byte of each number in them, up to a number of numbers."""
        size = min(most * _MOST_BYTES, len(self.data) - self.position)
        window = np.frombuffer(self.data, np.uint8, size, self.position)
        last = np.flatnonzero(window < 0x80)[:most]
        return window, np.append(0, last[:-1] + 1)[: len(last)], last

    def _decoded(self, window: npt.NDArray[np.uint8], first: Ints, last: Ints) -> Ints:
        """The numbers in these bytes, which are then behind."""
        size = last - first + 1
        longest = int(size.max(initial=0))
        if longest > _MOST_BYTES:
            self.fail("a number of more than 63 bits", self.position + int(first[np.argmax(size)]))
        values = np.zeros(len(first), dtype=np.int64)
        for place in range(longest):
            here = size > place
            values[here] |= (window[first[here] + place].astype(np.int64) & 0x7F) << (7 * place)
        self.position += int(size.sum())
        return values


def _moves(one: Ints, other: Ints) -> Ints:
    """Displacements of their first numbers, and of their second ones where the first is odd (count, 2)."""
    moves: Ints = (one >> 4)[:, None] * _COMPASS[one >> 1 & 7]
    two = one & 1 == 1
    moves[two, 0] = np.where(one[two] & 2, -1, 1) * (one[two] >> 2)
    moves[two, 1] = np.where(other[two] & 1, -1, 1) * (other[two] >> 1)
    return moves
