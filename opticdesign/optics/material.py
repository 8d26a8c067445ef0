"""A material: how light goes through it, over which wavelengths that is known, and who says so."""

from __future__ import annotations

from dataclasses import dataclass

from opticdesign.errors import UsageError
from opticdesign.optics.dispersion import Dispersion

__all__ = ["Material"]


@dataclass(frozen=True)
class Material:
    """A material whose index, and extinction, are known over a range of wavelengths.

    Args:
        name: the name used in designs, or what else to call it in messages.
        dispersion: its index and extinction.
        range_m: shortest and longest wavelength at which they are known, in metres.
        source: where they come from.
    """

    name: str
    dispersion: Dispersion
    range_m: tuple[float, float]
    source: str

    def index(self, wavelength_m: float) -> float:
        """Refractive index at a vacuum wavelength in metres.

        Raises:
            UsageError: the wavelength lies outside the range.

        Example:
            >>> from opticdesign.optics.materials import material
            >>> round(material("fused silica").index(632.8e-9), 5)
            1.45702
        """
        self._check(wavelength_m)
        return self.dispersion.index(wavelength_m)

    def extinction(self, wavelength_m: float) -> float:
        """Extinction coefficient k at a vacuum wavelength in metres: an amplitude falls by e^{−2πkh/λ} over h.

        Raises:
            UsageError: the wavelength lies outside the range.
        """
        self._check(wavelength_m)
        return self.dispersion.extinction(wavelength_m)

    def _check(self, wavelength_m: float) -> None:
        low, high = self.range_m
        if not low <= wavelength_m <= high:
            raise UsageError(
                f"{self.name} has no index at {wavelength_m * 1e9:.4g} nm",
                expected=f"a wavelength from {low * 1e9:.4g} nm to {high * 1e9:.4g} nm",
                remedy="choose another material, or another wavelength",
            )
