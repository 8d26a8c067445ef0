from __future__ import annotations

from itertools import pairwise

import pytest

from opticdesign.errors import UsageError
from opticdesign.optics.dispersion import Tabulated
from opticdesign.optics.materials import MATERIALS, material
from opticdesign.units import format_length
from tests.support.design_texts import ROOT


# Published values, not computed by the package: data sheets and tables of the sources that each material names.
@pytest.mark.parametrize(
    ("name", "wavelength_nm", "index", "within"),
    [
        ("vacuum", 632.8, 1.0, 0.0),
        ("air", 587.6, 1.000277, 1e-6),
        ("air", 633.0, 1.0002765, 1e-6),
        ("water", 589.3, 1.33299 * 1.00027, 5e-5),  # tables give the index against air
        ("fused silica", 587.6, 1.45846, 1e-5),
        ("fused silica", 632.8, 1.45702, 1e-5),
        ("fused silica", 1064.0, 1.44963, 1e-5),
        ("fused silica", 1550.0, 1.44402, 1e-5),
        ("N-BK7", 486.1, 1.52238, 1e-5),
        ("N-BK7", 587.6, 1.51680, 1e-5),
        ("N-BK7", 632.8, 1.51509, 1e-5),
        ("N-BK7", 1060.0, 1.50669, 1e-5),
        ("calcium fluoride", 587.6, 1.43385, 2e-5),
        ("sapphire", 532.0, 1.7717, 1e-4),
        ("sapphire", 632.8, 1.7659, 1e-4),
        ("sapphire", 1550.0, 1.74618, 1e-4),
        ("PMMA", 587.6, 1.4914, 1e-3),  # measured to 1e-3 only
        ("polystyrene", 587.6, 1.5917, 1e-3),
        ("glycerol", 589.3, 1.473, 1e-3),
        ("BK7 matching liquid", 589.3, 1.5167, 1e-4),
        ("AZ 1500", 633.0, 1.63447, 1e-5),  # the same data sheet
        ("SU-8 2000", 633.0, 1.5867, 1e-4),
        ("SU-8 3000", 633.0, 1.5707, 1e-4),
        ("rutile", 589.3, 2.613, 1e-3),
        ("titanium dioxide film", 532.0, 2.174684, 1.5e-3),  # a row of the source that the table here leaves out
        ("titanium dioxide film", 633.0, 2.130194, 1.5e-3),
        ("silicon nitride", 1550.0, 1.9963, 1e-4),
        ("gallium nitride", 497.6, 2.4296, 2e-2),  # M. E. Lin et al., Electron. Lett. 29, 1759 (1993)
        ("silicon", 1550.0, 3.4757, 3e-3),  # H. H. Li, J. Phys. Chem. Ref. Data 9, 561 (1980)
        ("silicon", 2000.0, 3.4510, 3e-3),
        ("silicon", 5000.0, 3.4195, 3e-3),
        ("HDPE", 1e5, 1.521, 0.0),
        ("TPX", 1e5, 1.446, 0.0),
        ("IP-Dip at THz", 513987.0, 1.61936, 6e-4),
        ("IP-S at THz", 513987.0, 1.60778, 6e-4),
    ],
)
def test_index_equals_the_published_one(name: str, wavelength_nm: float, index: float, within: float) -> None:
    assert material(name).index(wavelength_nm * 1e-9) == pytest.approx(index, rel=0.0, abs=within)


@pytest.mark.parametrize(
    ("name", "wavelength_um", "extinction", "within"),
    [
        ("HDPE", 45.4545, 0.0029, 0.0),
        ("TPX", 200.0, 0.0095, 0.0),
        ("IP-Dip at THz", 407.351, 0.0389719, 6e-4),  # rows of the sources that the tables here leave out
        ("IP-S at THz", 337.359, 0.0409138, 6e-4),
        ("fused silica", 0.6328, 0.0, 0.0),
    ],
)
def test_extinction_equals_the_published_one(name: str, wavelength_um: float, extinction: float, within: float) -> None:
    assert material(name).extinction(wavelength_um * 1e-6) == pytest.approx(extinction, rel=1e-9, abs=within)


def test_table_is_met_at_its_rows_and_is_straight_between_them() -> None:
    law = Tabulated(((1e-6, 1.5, 0.0), (2e-6, 1.4, 0.2), (4e-6, 1.6, 0.1)))
    assert [law.index(w) for w in (1e-6, 2e-6, 4e-6)] == pytest.approx([1.5, 1.4, 1.6], rel=1e-15)
    assert (law.index(1.5e-6), law.extinction(3.5e-6)) == pytest.approx((1.45, 0.125), rel=1e-12)


@pytest.mark.parametrize("name", sorted({name for name in MATERIALS if "THz" not in name} - {"vacuum", "HDPE", "TPX"}))
def test_index_falls_with_the_wavelength_and_is_above_one_over_the_whole_range(name: str) -> None:
    low, high = MATERIALS[name].range_m
    indices = [MATERIALS[name].index(min(high, low + (high - low) * step / 50)) for step in range(51)]
    assert all(a > b > 1.0 for a, b in pairwise(indices))


@pytest.mark.parametrize("name", sorted(set(MATERIALS) - {"vacuum"}))
@pytest.mark.parametrize("beyond", [0.999, 1.001])
def test_index_outside_the_range_is_refused(name: str, beyond: float) -> None:
    low, high = MATERIALS[name].range_m
    with pytest.raises(UsageError, match=f"{name} has no index at .* nm"):
        MATERIALS[name].index(low * beyond if beyond < 1.0 else high * beyond)


def test_index_at_a_wavelength_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="N-BK7 has no index at nan nm"):
        material("N-BK7").index(float("nan"))


def test_every_material_names_its_source_and_itself() -> None:
    for name, entry in MATERIALS.items():
        assert entry.name == name
        assert entry.source


def test_page_of_the_documentation_has_them_all() -> None:
    page = (ROOT / "docs" / "materials.md").read_text("utf-8")
    for name, entry in MATERIALS.items():
        low, high = map(format_length, entry.range_m)
        assert f"| {name} | {low} … {high} |" in page and f"| {entry.source} |" in page


def test_unknown_material_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match=r"unknown material 'silica'(.|\n)*fused silica"):
        material("silica")


def test_table_of_materials_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        MATERIALS["glass"] = MATERIALS["water"]  # type: ignore[index]
