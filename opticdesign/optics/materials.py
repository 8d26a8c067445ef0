"""The materials that designs name: equations and tables as published, each with its source and where it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from opticdesign.errors import UsageError
from opticdesign.optics.dispersion import Cauchy, Sellmeier, Tabulated
from opticdesign.optics.material import Material

__all__ = ["MATERIALS", "material"]

_SMITH = (
    "D. R. Smith, E. V. Loewenstein, Optical constants of far infrared materials. 3: plastics, "
    "Appl. Opt. 14, 1335 (1975), doi:10.1364/AO.14.001335"
)
_MAVRONA = (
    "E. Mavrona et al., Refractive index measurement of IP-S and IP-Dip photoresists at THz frequencies, "
    "Opt. Mater. Express 13, 3355 (2023), doi:10.1364/OME.500287, to 0.0005 in n and k"
)
# wavelength in µm, n, k; of long tables the rows between which all others are met as closely as the source says here
_TITANIUM_DIOXIDE = (
    (0.37, 2.4421, 0), (0.378, 2.4070, 0), (0.388, 2.3718, 0), (0.4, 2.3379, 0), (0.415, 2.3041, 0), (0.433, 2.2721, 0),
    (0.455, 2.2415, 0), (0.482, 2.2126, 0), (0.515, 2.1858, 0), (0.557, 2.1607, 0), (0.61, 2.1379, 0),
    (0.679, 2.1174, 0), (0.771, 2.0993, 0), (0.899, 2.0837, 0), (1.085, 2.0707, 0), (1.3825, 2.0601, 0),
    (1.69, 2.0547, 0),
)  # fmt: skip
_HDPE = (
    (40, 1.519, 0.0020), (41.6667, 1.519, 0.0024), (43.4783, 1.519, 0.0027), (45.4545, 1.520, 0.0029),
    (47.619, 1.521, 0.0027), (50, 1.521, 0.0024), (52.6316, 1.521, 0.0023), (55.5556, 1.521, 0.0021),
    (58.8235, 1.521, 0.0020), (62.5, 1.521, 0.0019), (66.6667, 1.521, 0.0019), (71.4286, 1.521, 0.0018),
    (76.9231, 1.520, 0.0018), (83.3333, 1.520, 0.0017), (90.9091, 1.520, 0.0017), (100, 1.521, 0.0016),
    (111.111, 1.521, 0.0016), (125, 1.521, 0.0017), (142.857, 1.521, 0.0018), (166.667, 1.519, 0.0019),
    (200, 1.518, 0.0022),
)  # fmt: skip
_TPX = (
    (29.4118, 1.450, 0.0021), (30.303, 1.448, 0.0021), (31.25, 1.448, 0.0021), (32.2581, 1.449, 0.0022),
    (33.3333, 1.449, 0.0024), (34.4828, 1.449, 0.0024), (35.7143, 1.449, 0.0025), (37.037, 1.449, 0.0024),
    (38.4615, 1.449, 0.0025), (40, 1.449, 0.0026), (41.6667, 1.450, 0.0028), (43.4783, 1.451, 0.0028),
    (47.619, 1.451, 0.0028), (50, 1.450, 0.0028), (52.6316, 1.449, 0.0029), (55.5556, 1.448, 0.0030),
    (58.8235, 1.448, 0.0032), (62.5, 1.447, 0.0033), (66.6667, 1.447, 0.0036), (71.4286, 1.447, 0.0038),
    (76.9231, 1.447, 0.0041), (83.3333, 1.446, 0.0043), (90.9091, 1.446, 0.0045), (100, 1.446, 0.0049),
    (111.111, 1.446, 0.0055), (125, 1.446, 0.0064), (142.857, 1.446, 0.0073), (166.667, 1.446, 0.0084),
    (200, 1.447, 0.0095),
)  # fmt: skip
_IP_DIP_AT_THZ = (
    (199.861, 1.5856, 0.06237), (226.724, 1.5912, 0.06136), (248.158, 1.5985, 0.05956), (266.192, 1.6033, 0.05466),
    (292.874, 1.6052, 0.04874), (356.728, 1.6098, 0.04253), (467.038, 1.6171, 0.03585), (617.431, 1.6233, 0.03114),
    (820.832, 1.6293, 0.02851), (997.678, 1.6353, 0.02912),
)  # fmt: skip
_IP_S_AT_THZ = (
    (199.861, 1.5873, 0.05616), (228.412, 1.5906, 0.05435), (251.335, 1.5958, 0.05156), (273.916, 1.5987, 0.04645),
    (305.26, 1.5997, 0.04268), (440.626, 1.6059, 0.03651), (627.695, 1.6103, 0.03067), (807.331, 1.6145, 0.02851),
    (997.678, 1.6194, 0.03045),
)  # fmt: skip


def _table(*materials: Material) -> Mapping[str, Material]:
    return MappingProxyType({entry.name: entry for entry in materials})


def _tabulated(name: str, rows: Sequence[tuple[float, float, float]], source: str) -> Material:
    """A material of a table, wavelengths in micrometres."""
    table = tuple((wavelength * 1e-6, n, k) for wavelength, n, k in rows)
    return Material(name, Tabulated(table), (table[0][0], table[-1][0]), source)


def _air() -> Material:
    # Ciddor gives n − 1 = Σ kᵢ/(cᵢ − 1/λ²); with n² − 1 ≈ 2(n − 1) that is a Sellmeier form, right to 1e-7 in n.
    pairs = ((0.05792105, 238.0185), (0.00167917, 57.362))
    return Material(
        "air",
        Sellmeier(tuple(2 * k / c for k, c in pairs), tuple(1 / c for _, c in pairs)),
        (0.23e-6, 1.69e-6),
        "P. E. Ciddor, Refractive index of air: new equations for the visible and near infrared, "
        "Appl. Opt. 35, 1566 (1996), doi:10.1364/AO.35.001566 (15 °C, 101325 Pa, dry)",
    )


MATERIALS = _table(
    Material("vacuum", Sellmeier((), ()), (1e-9, 1e-1), "by definition"),
    _air(),
    Material(
        "water",
        Sellmeier(
            (5.684027565e-1, 1.726177391e-1, 2.086189578e-2, 1.130748688e-1),
            (5.101829712e-3, 1.821153936e-2, 2.620722293e-2, 1.069792721e1),
        ),
        (0.182e-6, 1.129e-6),
        "M. Daimon, A. Masumura, Measurement of the refractive index of distilled water from the near-infrared region "
        "to the ultraviolet region, Appl. Opt. 46, 3811 (2007), doi:10.1364/AO.46.003811 (20 °C)",
    ),
    Material(
        "fused silica",
        Sellmeier(
            (0.6961663, 0.4079426, 0.8974794),
            (0.0684043**2, 0.1162414**2, 9.896161**2),
        ),
        (0.21e-6, 3.71e-6),
        "I. H. Malitson, Interspecimen comparison of the refractive index of fused silica, "
        "J. Opt. Soc. Am. 55, 1205 (1965), doi:10.1364/JOSA.55.001205",
    ),
    Material(
        "N-BK7",
        Sellmeier(
            (1.03961212, 0.231792344, 1.01046945),
            (0.00600069867, 0.0200179144, 103.560653),
        ),
        (0.3e-6, 2.5e-6),
        "SCHOTT optical glass data sheet N-BK7 517642.251",
    ),
    Material(
        "calcium fluoride",
        Sellmeier(
            (0.5675888, 0.4710914, 3.8484723),
            (0.050263605**2, 0.1003909**2, 34.649040**2),
        ),
        (0.23e-6, 9.7e-6),
        "I. H. Malitson, A redetermination of some optical properties of calcium fluoride, "
        "Appl. Opt. 2, 1103 (1963), doi:10.1364/AO.2.001103",
    ),
    Material(
        "sapphire",
        Sellmeier(
            (1.4313493, 0.65054713, 5.3414021),
            (0.0726631**2, 0.1193242**2, 18.028251**2),
        ),
        (0.2e-6, 5.0e-6),
        "I. H. Malitson, M. J. Dodge, Refractive index and birefringence of synthetic sapphire, "
        "J. Opt. Soc. Am. 62, 1405 (1972); ordinary ray",
    ),
    Material(
        "PMMA",
        Sellmeier(
            (1.1819,),
            (0.011313,),
        ),
        (0.4368e-6, 1.052e-6),
        "N. Sultanova, S. Kasarova, I. Nikolov, Dispersion properties of optical polymers, "
        "Acta Phys. Pol. A 116, 585 (2009), doi:10.12693/APhysPolA.116.585",
    ),
    Material(
        "polystyrene",
        Sellmeier(
            (1.4435,),
            (0.020216,),
        ),
        (0.4368e-6, 1.052e-6),
        "N. Sultanova, S. Kasarova, I. Nikolov, Dispersion properties of optical polymers, "
        "Acta Phys. Pol. A 116, 585 (2009), doi:10.12693/APhysPolA.116.585",
    ),
    Material(
        "glycerol",
        Cauchy((1.45797, 0.00598, -0.00036)),
        (0.5893e-6, 1.05e-6),
        "J. Rheims, J. Köser, T. Wriedt, Refractive-index measurements in the near-IR using an Abbe refractometer, "
        "Meas. Sci. Technol. 8, 601 (1997), doi:10.1088/0957-0233/8/6/003 (25 °C)",
    ),
    Material(
        "BK7 matching liquid",
        Cauchy((1.502639, 4.708942e-3, 6.367045e-5)),
        (0.4e-6, 1.55e-6),
        "Cargille, BK-7 Matching Liquid, data sheet of 27 March 2023, https://www.cargille.com/matching-liquids/ "
        "(25 °C); its k, at most 1.3e-6 here, is left out",
    ),
    Material(
        "SU-8 2000",
        Cauchy((1.566, 0.00796, 0.00014)),
        (0.4e-6, 0.8e-6),
        "MicroChem, SU-8 2000 permanent epoxy negative photoresist, data sheet (2011); uncured film",
    ),
    Material(
        "SU-8 3000",
        Cauchy((1.5525, 0.00629, 0.0004)),
        (0.4e-6, 1.7e-6),
        "MicroChem, SU-8 3000 permanent epoxy negative photoresist, data sheet (2011)",
    ),
    Material(
        "AZ 1500",
        Cauchy((1.5996, 0.013498, 1.90e-4)),
        (0.5e-6, 0.8e-6),
        "Merck, AZ 1500 series positive tone photoresist, technical data sheet: unexposed film. Resists of this kind "
        "absorb below 500 nm, and their Cauchy constants are of the visible",
    ),
    Material(
        "IP-Dip",
        Sellmeier((1.2899, 6.0569e-2, 1.1844e5), (1.1283e-2, 7.7762e-2, 2.5802e7)),
        (0.4e-6, 1.6e-6),
        "M. Schmid, D. Ludescher, H. Giessen, Optical properties of photoresists for femtosecond 3D printing, "
        "Opt. Mater. Express 9, 4564 (2019), doi:10.1364/OME.9.004564, table 2",
    ),
    Material(
        "rutile",
        # n² = 5.913 + 0.2441/(λ² − 0.0803), in the form of Sellmeier
        Sellmeier((4.913 - 0.2441 / 0.0803, 0.2441 / 0.0803), (0.0, 0.0803)),
        (0.43e-6, 1.53e-6),
        "J. R. DeVore, Refractive indices of rutile and sphalerite, J. Opt. Soc. Am. 41, 416 (1951), "
        "doi:10.1364/JOSA.41.000416; ordinary ray",
    ),
    _tabulated(
        "titanium dioxide film",
        _TITANIUM_DIOXIDE,
        "S. Sarkar et al., Hybridized guided-mode resonances via colloidal plasmonic self-assembled grating, "
        "ACS Appl. Mater. Interfaces 11, 13752 (2019), doi:10.1021/acsami.8b20535; a film of 200 nm, to 0.001 in n",
    ),
    Material(
        "silicon nitride",
        Sellmeier((3.0249, 40314.0), (0.1353406**2, 1239.842**2)),
        (0.31e-6, 5.504e-6),
        "K. Luke et al., Broadband mid-infrared frequency comb generation in a Si₃N₄ microresonator, "
        "Opt. Lett. 40, 4823 (2015), doi:10.1364/OL.40.004823",
    ),
    Material(
        "gallium nitride",
        Sellmeier((2.6, 1.75, 4.1), (0.0, 0.256**2, 17.86**2)),
        (0.4e-6, 10e-6),
        "A. S. Barker Jr., M. Ilegems, Infrared lattice vibrations and free-electron dispersion in GaN, "
        "Phys. Rev. B 7, 743 (1973), doi:10.1103/PhysRevB.7.743; wurtzite, ordinary ray",
    ),
    Material(
        "silicon",
        Sellmeier((10.6684293, 0.0030434748, 1.54133408), (0.301516485**2, 1.13475115**2, 1104.0**2)),
        (1.357e-6, 11.04e-6),
        "B. Tatian, Fitting refractive-index data with the Sellmeier dispersion formula, Appl. Opt. 23, 4477 (1984), "
        "doi:10.1364/AO.23.004477, of data by C. D. Salzberg, J. J. Villa, J. Opt. Soc. Am. 47, 244 (1957); 26 °C",
    ),
    _tabulated("HDPE", _HDPE, f"{_SMITH}; high-density polyethylene"),
    _tabulated("TPX", _TPX, f"{_SMITH}; polymethylpentene"),
    _tabulated("IP-Dip at THz", _IP_DIP_AT_THZ, f"{_MAVRONA}; cured"),
    _tabulated("IP-S at THz", _IP_S_AT_THZ, f"{_MAVRONA}; cured"),
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
