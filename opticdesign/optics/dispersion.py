"""How index and extinction go with the wavelength: published equations, tables, one value at all wavelengths."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["Cauchy", "Constant", "Dispersion", "Sellmeier", "Tabulated"]


class Dispersion(ABC):
    """Index n and extinction k over vacuum wavelengths, for waves e^{i(n + ik)kz}."""

    @abstractmethod
    def index(self, wavelength_m: float) -> float:
        """Refractive index n at a vacuum wavelength in metres."""

    def extinction(self, wavelength_m: float) -> float:  # noqa: ARG002 (most are transparent)
        """Extinction coefficient k, the imaginary part of the index."""
        return 0.0


@dataclass(frozen=True)
class Sellmeier(Dispersion):
    """n²(λ) = 1 + Σ Bᵢλ²/(λ² − Cᵢ), λ in micrometres.

    Args:
        strengths: Bᵢ, without unit.
        resonances_um2: Cᵢ in µm²; 0 for what is the same at all wavelengths.
    """

    strengths: tuple[float, ...]
    resonances_um2: tuple[float, ...]

    def index(self, wavelength_m: float) -> float:  # noqa: D102 (documented on the base)
        square = (wavelength_m * 1e6) ** 2
        pairs = zip(self.strengths, self.resonances_um2, strict=True)
        return math.sqrt(1.0 + sum(b * square / (square - c) for b, c in pairs))


@dataclass(frozen=True)
class Cauchy(Dispersion):
    """n(λ) = A + B/λ² + C/λ⁴, λ in micrometres.

    Args:
        coefficients: A, B in µm², C in µm⁴.
    """

    coefficients: tuple[float, float, float]

    def index(self, wavelength_m: float) -> float:  # noqa: D102 (documented on the base)
        a, b, c = self.coefficients
        square = (wavelength_m * 1e6) ** 2
        return a + b / square + c / square**2


@dataclass(frozen=True)
class Tabulated(Dispersion):
    """Values between which n and k change in proportion to the wavelength.

    Args:
        rows: wavelength in metres, n, k; two or more, wavelengths rising.
    """

    rows: tuple[tuple[float, float, float], ...]

    def index(self, wavelength_m: float) -> float:  # noqa: D102 (documented on the base)
        return self._between(wavelength_m, 1)

    def extinction(self, wavelength_m: float) -> float:  # noqa: D102 (documented on the base)
        return self._between(wavelength_m, 2)

    def _between(self, wavelength_m: float, column: int) -> float:
        place = bisect_right(self.rows, wavelength_m, 1, len(self.rows) - 1, key=lambda row: row[0])
        low, high = self.rows[place - 1], self.rows[place]
        share = (wavelength_m - low[0]) / (high[0] - low[0])
        return low[column] + share * (high[column] - low[column])


@dataclass(frozen=True)
class Constant(Dispersion):
    """One index and one extinction at all wavelengths."""

    n: float
    k: float = 0.0

    def index(self, wavelength_m: float) -> float:  # noqa: D102, ARG002 (documented on the base)
        return self.n

    def extinction(self, wavelength_m: float) -> float:  # noqa: D102, ARG002 (documented on the base)
        return self.k
