"""Numbers as a reader wants them: as many digits as mean something, and the unit that suits their size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "MISSING",
    "Metric",
    "counted",
    "metric",
    "quantity_text",
    "rounded",
    "share",
    "span_text",
    "spoken",
    "suited_unit",
]

MISSING = "—"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PREFIXES = MappingProxyType(
    {
        "m": (("m", 1.0), ("mm", 1e-3), ("µm", 1e-6), ("nm", 1e-9), ("pm", 1e-12)),
        "rad": (("rad", 1.0), ("mrad", 1e-3), ("µrad", 1e-6)),
        "1": (("%", 1e-2), ("ppm", 1e-6)),
    }
)
_SMALLEST_PERCENT = 1e-3  # "0.15 %" is easier to read than "1500 ppm"


@dataclass(frozen=True)
class Metric:
    """What a figure of merit is called, its unit, and the decimals that are worth showing."""

    name: str
    label: str
    unit: str
    decimals: int

    @property
    def heading(self) -> str:
        """Label and unit, for the head of a column or an axis."""
        return f"{self.label} / {self.unit}" if self.unit else self.label

    def number(self, value: float) -> str:
        """The value without its unit."""
        if not math.isfinite(value):
            return MISSING
        text = f"{value:.{self.decimals}f}"
        return text.replace("-", "−") if float(text) else text.lstrip("-")

    def text(self, value: float) -> str:
        """The value with its unit."""
        return f"{self.number(value)} {self.unit}".rstrip()


_METRICS = MappingProxyType(
    {
        known.name: known
        for known in (
            Metric("psnr_db", "PSNR", "dB", 2),
            Metric("ssim", "SSIM", "", 4),
            Metric("ssim_rescaled", "SSIM, rescaled", "", 4),
            Metric("mae_rad", "MAE", "rad", 4),
            Metric("mae_free_rad", "MAE, offset removed", "rad", 4),
        )
    }
)


def metric(name: str) -> Metric:
    """The metric of a name; an unknown one is called by its name."""
    return _METRICS.get(name, Metric(name, name.replace("_", " "), "", 4))


def rounded(value: float, digits: int = 3, sign: bool = False) -> str:
    """A number of so many significant digits, without trailing zeros; with a plus if asked for.

    Example:
        >>> rounded(0.00123456), rounded(-12.0), rounded(1.5e-7)
        ('0.00123', '−12', '1.5 × 10⁻⁷')
    """
    if not math.isfinite(value):
        return MISSING
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if float(mantissa) == 0.0:
        return "0"
    if -4 <= power < 6:
        text = _trimmed(f"{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - power)}f}")
    else:
        text = f"{_trimmed(mantissa)} × 10{str(power).translate(_SUPERSCRIPTS)}"
    return ("+" if sign and value > 0.0 else "") + text.replace("-", "−")


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def suited_unit(unit: str, sizes: Iterable[float]) -> tuple[str, float]:
    """The unit, and how many SI units it is, in which the largest of some sizes is at least one, or 0.1 %.

    Args:
        unit: an SI unit, "1" for ratios, or empty for other plain numbers.
        sizes: SI values.
    """
    known = _PREFIXES.get(unit, ((unit, 1.0),))
    largest = max((abs(size) for size in sizes if math.isfinite(size)), default=0.0)
    if largest == 0.0:
        return known[0]
    least = {"%": _SMALLEST_PERCENT}
    return next(
        ((name, size) for name, size in known if float(f"{largest:.3g}") >= least.get(name, size) * (1.0 - 1e-9)),
        known[-1],
    )


def quantity_text(value: float, unit: str, digits: int = 3, sign: bool = False) -> str:
    """An SI value with the unit that suits its size.

    Example:
        >>> quantity_text(6.328e-7, "m", 4), quantity_text(-0.0012, "rad")
        ('632.8 nm', '−1.2 mrad')
    """
    symbol, size = suited_unit(unit, [value])
    return f"{rounded(value / size, digits, sign)} {symbol}".rstrip()


def counted(number: int, noun: str) -> str:
    """How many there are of what: "1 draw", "2 draws"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def span_text(low: float, high: float, unit: str) -> str:
    """Deviations from low to high, SI: "±1.96 µm" where they are as good as symmetric, else as "−1 … +3 µm"."""
    symbol, size = suited_unit(unit, [low, high])
    if abs(low + high) <= 0.005 * (high - low):
        text = f"±{rounded((high - low) / (2.0 * size))}"
    else:
        text = f"{rounded(low / size, sign=True)} … {rounded(high / size, sign=True)}"
    return f"{text} {symbol}".rstrip()


def spoken(name: str) -> str:
    """The name of a group in words."""
    return name.replace("_", " ")


def share(value: float) -> str:
    """A share as per cent; a decimal is enough for what a thousand draws can tell."""
    return f"{100.0 * value:.1f} %" if math.isfinite(value) else MISSING
