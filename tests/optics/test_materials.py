from __future__ import annotations

from itertools import pairwise

import pytest

from opticdesign.errors import UsageError
from opticdesign.optics.materials import MATERIALS, material


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
    ],
)
def test_index_equals_the_published_one(name: str, wavelength_nm: float, index: float, within: float) -> None:
    assert material(name).index(wavelength_nm * 1e-9) == pytest.approx(index, rel=0.0, abs=within)


@pytest.mark.parametrize("name", sorted(set(MATERIALS) - {"vacuum"}))
def test_index_falls_with_the_wavelength_and_is_above_one_over_the_whole_range(name: str) -> None:
    low, high = MATERIALS[name].range_m
    indices = [MATERIALS[name].index(low + (high - low) * step / 50) for step in range(51)]
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


def test_unknown_material_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match=r"unknown material 'silica'(.|\n)*fused silica"):
        material("silica")


def test_table_of_materials_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        MATERIALS["glass"] = MATERIALS["water"]  # type: ignore[index]
