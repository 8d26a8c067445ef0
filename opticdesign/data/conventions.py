"""What the numbers of a file mean: a phase in some unit, a length of optical path, grey values, a complex field."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.looks import Look, grey_bits, looks_of
from opticdesign.data.pixel_size import length_unit_m
from opticdesign.errors import DataError

__all__ = ["ComplexKind", "Conventions", "Meaning", "WrappedKind", "meaning_of"]

ComplexKind: TypeAlias = Literal["field", "amplitude+phase"]
WrappedKind: TypeAlias = Literal["refuse", "unwrap", "accept"]

MAX_PHASE_RAD = 1e4  # no thin sample delays by a thousand waves: the numbers have another meaning
FULL_SCALE = "full scale"
_ANGLES = {"rad": 1.0, "mrad": 1e-3, "deg": math.pi / 180.0, "waves": 2.0 * math.pi}
_WORDS = {
    **dict.fromkeys(("rads", "radian", "radians"), "rad"),
    **dict.fromkeys(("milliradian", "milliradians"), "mrad"),
    **dict.fromkeys(("degs", "degree", "degrees", "°"), "deg"),
    **dict.fromkeys(("wave", "wavelength", "wavelengths", "λ", "cycle", "cycles", "turn", "turns", "fringes"), "waves"),
}
_BELOW_ZERO, _OFTEN = 0.01, 1e-3  # a real part so far below 0, so often, is no amplitude with noise


@dataclass(frozen=True)
class Conventions:
    """What a design says of its data.

    Args:
        unit: what real numbers are in: "rad", "mrad", "deg", "waves", a length of optical path such as "nm", "full
            scale" or "12 bit" for grey values; None where it does not say.
        complex_kind: what complex numbers are; None where it does not say.
        wrapped: what becomes of a phase that looks wrapped.
        phase_range_rad: phase of grey value 0 and of full scale.
        wavelength_m: vacuum wavelength; None where no design is known, so that lengths stay lengths.
    """

    unit: str | None = None
    complex_kind: ComplexKind | None = None
    wrapped: WrappedKind = "refuse"
    phase_range_rad: tuple[float, float] | None = None
    wavelength_m: float | None = None


@dataclass(frozen=True)
class Meaning:
    """How an array becomes phase.

    Args:
        kind: "phase", "grey values", "field", "amplitude+phase", or "optical path" where no wavelength is known.
        unit: of the numbers, of a field's angle "rad".
        said: who says so: "data.unit", the file, or nobody ("assumed").
        factor: radians for one of the numbers.
        offset: radians for zero.
        notes: what looks odd about it.
    """

    kind: str
    unit: str
    said: str
    factor: float = 1.0
    offset: float = 0.0
    notes: tuple[str, ...] = ()

    def parts(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Phase in radians, or a complex field; and the amplitude where the numbers hold it beside the phase."""
        if self.kind == "field":
            return values.astype(np.complex128), None
        if self.kind == "amplitude+phase":
            return self.offset + self.factor * values.imag.astype(np.float64), values.real.astype(np.float64)
        return self.offset + self.factor * values.astype(np.float64), None


def meaning_of(path: Path, inside: NDArray[Any], told: Conventions, stated: str | None) -> Meaning:
    """What the numbers of a file's maps mean, by the design, by the file, or because only one thing is possible.

    Args:
        path: the file, for messages.
        inside: all valid numbers of its maps, (n,).
        told: what the design says.
        stated: unit that the file states.

    Raises:
        DataError: several things are possible, or what is said does not fit the numbers; names the key that settles it.
    """
    known = _known_unit(stated) if told.unit is None else None
    if stated and not told.unit and known is None:
        raise DataError(
            path,
            f"the file says its unit is {stated!r}",
            expected="a unit of phase or of optical path",
            remedy='set data.unit to what the numbers are in: "rad", "waves", "nm", …',
        )
    unit, said = told.unit or known, "data.unit" if told.unit else "the file" if known else "assumed"
    notes = [*_other_unit(told.unit, stated)]
    if np.iscomplexobj(inside):
        return _complex_meaning(path, inside, told, unit, said, notes)
    if told.complex_kind is not None:
        notes.append("data.complex says nothing here: the numbers are real")
    if _is_grey(unit) if unit else inside.dtype.kind in "iu":
        return _grey_meaning(path, inside, told, unit, notes)
    if told.phase_range_rad is not None:
        raise _range_for_numbers(path, inside, told)
    return _phase_meaning(path, inside, told, unit, said, notes)


def _known_unit(word: str | None) -> str | None:
    """A unit that a file states, in our words; None where it is none of a phase or an optical path."""
    if word is None:
        return None
    plain = word.strip().strip("[]()").strip().lower()
    plain = _WORDS.get(plain, plain)
    return plain if plain in _ANGLES or length_unit_m(plain) is not None else None


def _other_unit(told: str | None, stated: str | None) -> Iterator[str]:
    if stated and told and _known_unit(stated) not in (None, told):
        yield f"the file says its unit is {stated!r}: data.unit = {told!r} is used"


def _is_grey(unit: str) -> bool:
    return unit == FULL_SCALE or unit.endswith(" bit")


def _complex_meaning(
    path: Path, inside: NDArray[Any], told: Conventions, unit: str | None, said: str, notes: list[str]
) -> Meaning:
    """A field, or amplitude and phase: by data.complex, or by a real part that can be no amplitude."""
    if told.phase_range_rad is not None or (unit is not None and _is_grey(unit)):
        key = "data.phase_range" if told.phase_range_rad is not None else f'data.unit = "{unit}"'
        raise DataError(
            path,
            f"{key} is the scale of grey values, and these numbers are complex",
            expected="grey values",
            remedy=f"remove {key}",
        )
    real = inside.real
    low = float(real.min(initial=0))
    most = float(np.abs(real).max(initial=0))
    negative = low < -_BELOW_ZERO * most and np.count_nonzero(real < -_BELOW_ZERO * most) > _OFTEN * real.size
    kind = told.complex_kind or ("field" if negative else None)
    if kind is None:
        raise _undecided(path, inside)
    if kind == "amplitude+phase":
        if low < 0.0:
            raise DataError(
                path,
                f"an amplitude of {low:.4g}, where data.complex says that real parts are amplitudes",
                expected="amplitudes of 0 or more",
                remedy='set data.complex = "field"' + ("" if negative else ", or store 0 for amplitudes below it"),
            )
        phase = _phase_meaning(path, inside.imag, told, unit, said, notes)
        return Meaning(kind, phase.unit, phase.said, phase.factor, 0.0, phase.notes)
    if unit not in (None, "rad") and said == "data.unit":
        raise DataError(
            path,
            f'data.unit = "{unit}", and these numbers are a field A·exp(iφ), whose angle has no unit',
            expected="real numbers, or amplitude and phase as real and imaginary parts",
            remedy='remove data.unit, or set data.complex = "amplitude+phase"',
        )
    seen = "data.complex" if told.complex_kind else "its real part falls below 0, so it is no amplitude"
    return Meaning(kind, "rad", seen, notes=tuple(notes))


def _undecided(path: Path, inside: NDArray[Any]) -> DataError:
    angle, size = np.angle(inside), np.abs(inside)
    return DataError(
        path,
        "complex numbers may be a field A·exp(iφ), or an amplitude and a phase as real and imaginary parts",
        expected=f'"field" (then the phase is {_span(angle)} rad before unwrapping, the amplitude {_span(size)}), or '
        f'"amplitude+phase" (then the phase is {_span(inside.imag)} rad, the amplitude {_span(inside.real)})',
        remedy='set data.complex = "field" or data.complex = "amplitude+phase"',
    )


def _grey_meaning(path: Path, inside: NDArray[Any], told: Conventions, unit: str | None, notes: list[str]) -> Meaning:
    """Whole numbers, or floats that data.unit calls grey, over the phase range."""
    dtype = inside.dtype
    if unit is None and dtype not in (np.uint8, np.uint16):
        raise DataError(
            path,
            f"numbers of type {dtype}, {_span(inside)}",
            expected="data.unit, which says what they are in",
            remedy='set data.unit = "nm" for an optical path in nanometres, "12 bit" for grey values 0 … 4095, …',
        )
    if told.phase_range_rad is None:
        raise DataError(
            path,
            f"grey values of type {dtype} hold no phase scale",
            expected="data.phase_range, the phase of grey value 0 and of full scale",
            remedy='set data.phase_range = ["0 rad", "6.28 rad"] with the values of your instrument'
            + ("" if unit else ', or data.unit = "nm" if they are an optical path in nanometres'),
        )
    full = _full_scale(dtype, unit)
    low, high = float(inside.min(initial=0)), float(inside.max(initial=0))
    if low < 0.0 or high > full * (1.0 + 1e-6):
        raise DataError(
            path,
            f"values {low:.4g} … {high:.4g}, where {unit} ends at {full:g}",
            expected=f"0 … {full:g}",
            remedy='set data.unit = "16 bit", or what the numbers are in',
        )
    if unit is None and dtype == np.uint16 and 0.0 < high < 2**14:
        bits = next(bits for bits in (8, 10, 12, 14) if high < 2**bits)
        notes.append(f'no grey value above {high:g}: if full scale is {2**bits - 1}, set data.unit = "{bits} bit"')
    bottom, top = told.phase_range_rad
    factor = (top - bottom) / full
    if unit is None:
        return Meaning("grey values", f"{8 * dtype.itemsize} bit", "its type", factor, bottom, tuple(notes))
    return Meaning("grey values", unit, "data.unit", factor, bottom, tuple(notes))


def _full_scale(dtype: np.dtype[Any], unit: str | None) -> float:
    if unit is not None and unit != FULL_SCALE:
        return float(2 ** int(unit.split()[0]) - 1)
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def _range_for_numbers(path: Path, inside: NDArray[Any], told: Conventions) -> DataError:
    """data.phase_range beside numbers that are no grey values by their type or unit."""
    low, high = float(inside.min(initial=0)), float(inside.max(initial=0))
    bits = grey_bits(inside)
    unit = f"{bits} bit" if bits else FULL_SCALE
    fits = low >= 0.0 and high <= (2**bits - 1 if bits else 1.0)
    scale = f'set data.unit = "{unit}" if 0 … {2**bits - 1 if bits else 1} run over it, or ' if fits else ""
    return DataError(
        path,
        f"data.phase_range is the scale of grey values, and these are of type {inside.dtype}, {low:.4g} … {high:.4g}"
        + (f', in data.unit = "{told.unit}"' if told.unit else ""),
        expected='whole numbers without data.unit, or data.unit = "full scale" for floats 0 … 1',
        remedy=f"{scale}remove data.phase_range if they are {told.unit or 'radians'} themselves",
    )


def _phase_meaning(
    path: Path, inside: NDArray[Any], told: Conventions, unit: str | None, said: str, notes: list[str]
) -> Meaning:
    """Real numbers in a unit of angle or of optical path; where nobody says which, radians, if they look like it."""
    factor = _factor(unit or "rad", told.wavelength_m)
    if factor is not None:
        _require_thin(path, float(np.abs(inside).max(initial=0)) * factor, unit)
        for look in looks_of(inside, factor, told.wavelength_m):
            if unit is None and look.settles:
                raise _implausible(path, look)
            notes.append(look.text)
    if factor is None:
        notes.append("an optical path becomes phase by a wavelength, which is not known here")
        return Meaning("optical path", unit or "", said, notes=tuple(notes))
    return Meaning("phase", unit or "rad", said, factor, 0.0, tuple(notes))


def _require_thin(path: Path, most_rad: float, unit: str | None) -> None:
    if most_rad > MAX_PHASE_RAD:
        raise DataError(
            path,
            f"a phase of {most_rad:.4g} rad" + (f' by data.unit = "{unit}"' if unit else ""),
            expected=f"at most {MAX_PHASE_RAD:g} rad, {MAX_PHASE_RAD / (2.0 * math.pi):.0f} waves",
            remedy="set data.unit to what the numbers are in",
        )


def _factor(unit: str, wavelength_m: float | None) -> float | None:
    """Radians for one of a unit, None where that takes a wavelength which is not known."""
    if unit in _ANGLES:
        return _ANGLES[unit]
    length_m = length_unit_m(unit)
    return None if length_m is None or wavelength_m is None else 2.0 * math.pi * length_m / wavelength_m


def _implausible(path: Path, look: Look) -> DataError:
    return DataError(
        path,
        look.text,
        expected="an unwrapped phase in radians, or data.unit, which says what the numbers are in",
        remedy=look.remedy,
    )


def _span(values: NDArray[Any]) -> str:
    if values.size == 0:
        return "nothing"
    return f"{float(values.min()):.4g} … {float(values.max()):.4g}"
