"""Refractive indices of a few optical materials, from published Sellmeier equations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opticdesign.errors import UsageError

__all__ = ["MATERIALS", "Material", "material"]


@dataclass(frozen=True)
class Material:
    """A transparent material with n²(λ) = 1 + Σ Bᵢλ²/(λ² − Cᵢ), λ in micrometres.

    Args:
        name: the name used in designs.
        strengths: Bᵢ, without unit.
        resonances_um2: Cᵢ in µm².
        range_m: shortest and longest wavelength the fit covers, in metres.
        source: where the coefficients come from.
    """

    name: str
    strengths: tuple[float, ...]
    resonances_um2: tuple[float, ...]
    range_m: tuple[float, float]
    source: str

    def index(self, wavelength_m: float) -> float:
        """Refractive index at a vacuum wavelength in metres.

        Raises:
            UsageError: the wavelength lies outside the range of the fit.

        Example:
            >>> round(material("fused silica").index(632.8e-9), 5)
            1.45702
        """
        low, high = self.range_m
        if not low <= wavelength_m <= high:
            raise UsageError(
                f"{self.name} has no index at {wavelength_m * 1e9:.4g} nm",
                expected=f"a wavelength from {low * 1e9:.4g} nm to {high * 1e9:.4g} nm",
                remedy="choose another material, or another wavelength",
            )
        square = (wavelength_m * 1e6) ** 2
        pairs = zip(self.strengths, self.resonances_um2, strict=True)
        return math.sqrt(1.0 + sum(b * square / (square - c) for b, c in pairs))


def _table(*materials: Material) -> Mapping[str, Material]:
    return MappingProxyType({entry.name: entry for entry in materials})


def _air() -> Material:
    # Ciddor gives n − 1 = Σ kᵢ/(cᵢ − 1/λ²); with n² − 1 ≈ 2(n − 1) that is a Sellmeier form, right to 1e-7 in n.
    pairs = ((0.05792105, 238.0185), (0.00167917, 57.362))
    return Material(
        "air",
        tuple(2 * k / c for k, c in pairs),
        tuple(1 / c for _, c in pairs),
        (0.23e-6, 1.69e-6),
        "P. E. Ciddor, Refractive index of air: new equations for the visible and near infrared, "
        "Appl. Opt. 35, 1566 (1996), doi:10.1364/AO.35.001566 (15 °C, 101325 Pa, dry)",
    )


MATERIALS = _table(
    Material("vacuum", (), (), (1e-9, 1e-1), "by definition"),
    _air(),
    Material(
        "water",
        (5.684027565e-1, 1.726177391e-1, 2.086189578e-2, 1.130748688e-1),
        (5.101829712e-3, 1.821153936e-2, 2.620722293e-2, 1.069792721e1),
        (0.182e-6, 1.129e-6),
        "M. Daimon, A. Masumura, Measurement of the refractive index of distilled water from the near-infrared region "
        "to the ultraviolet region, Appl. Opt. 46, 3811 (2007), doi:10.1364/AO.46.003811 (20 °C)",
    ),
    Material(
        "fused silica",
        (0.6961663, 0.4079426, 0.8974794),
        (0.0684043**2, 0.1162414**2, 9.896161**2),
        (0.21e-6, 3.71e-6),
        "I. H. Malitson, Interspecimen comparison of the refractive index of fused silica, "
        "J. Opt. Soc. Am. 55, 1205 (1965), doi:10.1364/JOSA.55.001205",
    ),
    Material(
        "N-BK7",
        (1.03961212, 0.231792344, 1.01046945),
        (0.00600069867, 0.0200179144, 103.560653),
        (0.3e-6, 2.5e-6),
        "SCHOTT optical glass data sheet N-BK7 517642.251",
    ),
    Material(
        "calcium fluoride",
        (0.5675888, 0.4710914, 3.8484723),
        (0.050263605**2, 0.1003909**2, 34.649040**2),
        (0.23e-6, 9.7e-6),
        "I. H. Malitson, A redetermination of some optical properties of calcium fluoride, "
        "Appl. Opt. 2, 1103 (1963), doi:10.1364/AO.2.001103",
    ),
    Material(
        "sapphire",
        (1.4313493, 0.65054713, 5.3414021),
        (0.0726631**2, 0.1193242**2, 18.028251**2),
        (0.2e-6, 5.0e-6),
        "I. H. Malitson, M. J. Dodge, Refractive index and birefringence of synthetic sapphire, "
        "J. Opt. Soc. Am. 62, 1405 (1972); ordinary ray",
    ),
    Material(
        "PMMA",
        (1.1819,),
        (0.011313,),
        (0.4368e-6, 1.052e-6),
        "N. Sultanova, S. Kasarova, I. Nikolov, Dispersion properties of optical polymers, "
        "Acta Phys. Pol. A 116, 585 (2009), doi:10.12693/APhysPolA.116.585",
    ),
    Material(
        "polystyrene",
        (1.4435,),
        (0.020216,),
        (0.4368e-6, 1.052e-6),
        "N. Sultanova, S. Kasarova, I. Nikolov, Dispersion properties of optical polymers, "
        "Acta Phys. Pol. A 116, 585 (2009), doi:10.12693/APhysPolA.116.585",
    ),
)


def material(name: str) -> Material:
    """Look a material up by name.

    Raises:
        UsageError: no material of that name ships with the package.
    """
    try:
        return MATERIALS[name]
    except KeyError:
        raise UsageError(
            f"unknown material {name!r}", expected="one of " + ", ".join(MATERIALS), remedy="choose a listed material"
        ) from None
