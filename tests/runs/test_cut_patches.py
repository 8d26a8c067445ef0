from __future__ import annotations

import math

import pytest
import torch

from opticdesign.data.source import load_split
from opticdesign.design import Design, load_design
from opticdesign.instrument.building import object_margin
from opticdesign.optics.field import middle
from opticdesign.runs.floors import floors_of
from opticdesign.runs.patches import batch_source, object_window, patch_set
from tests.support.design_texts import D2NN5, ROOT, TINY

MARGIN = "optics.margin=2 um"  # 7 samples
OBLONG = ("optics.neurons=[32, 64]", "optics.cell=8", "evaluation.overlap=8", MARGIN)
SUPERPOSED = ("training.augmentation.superpose=0.5", "training.augmentation.scale=[0.8, 1.2]")


def tiny(*changes: str) -> Design:
    return load_design(D2NN5, [*TINY, *changes])


@pytest.mark.parametrize("surroundings", ["neighbours", "repeat", "field-stop"])
def test_a_design_says_what_is_under_its_optics(surroundings: str) -> None:
    named = f"optics.surroundings={surroundings}"
    window = object_window(tiny(named, MARGIN))
    margin = (0, 0) if surroundings == "field-stop" else (7, 7)
    assert (window.patch, window.margin, window.repeated) == ((64, 64), margin, surroundings == "repeat")
    filtered = load_design(ROOT / "designs" / "lff64.toml", [named, MARGIN])
    expected = (7, 7) if surroundings == "neighbours" else (0, 0)
    assert (object_window(filtered).patch, object_window(filtered).margin) == (filtered.optics.shape, expected)


@pytest.mark.parametrize("changes", [(MARGIN,), (MARGIN, *SUPERPOSED), OBLONG])
@pytest.mark.parametrize("surroundings", ["neighbours", "repeat"])
def test_batches_are_those_without_a_margin_and_what_surrounds_them(
    surroundings: str, changes: tuple[str, ...]
) -> None:
    design, alone = (
        tiny(*changes, f"optics.surroundings={surroundings}"),
        tiny(*changes, "optics.surroundings=field-stop"),
    )
    split = load_split(design)
    fields, phase_rad = batch_source(design, split)(3)
    rows, columns = design.optics.shape
    assert fields.shape == phase_rad.shape == (2, rows + 14, columns + 14)
    torch.testing.assert_close(fields.angle(), torch.angle(torch.polar(torch.ones_like(phase_rad), phase_rad)))
    expected_fields, expected = batch_source(alone, split)(3)
    assert torch.equal(middle(phase_rad, design.optics.shape), expected)
    torch.testing.assert_close(middle(fields, design.optics.shape), expected_fields, rtol=1e-6, atol=1e-6)
    periodic = torch.equal(phase_rad[:, :7], phase_rad[:, rows : rows + 7])
    assert periodic == (surroundings == "repeat")
    assert torch.equal(batch_source(design, split)(3)[1], phase_rad)


def test_sets_have_the_middle_for_a_target_and_no_more_patches_than_asked_for() -> None:
    design = tiny(*OBLONG)
    patches = patch_set(load_split(design).test, design, 5)
    assert 1 < len(patches.targets) <= 5
    assert patches.targets.shape[1:] == (32, 64) and patches.fields.shape[1:] == patches.phase_rad.shape[1:] == (46, 78)
    assert torch.equal(patches.targets, middle(patches.phase_rad, (32, 64)) / (2.0 * math.pi))
    turned = patches.fields * torch.polar(torch.ones_like(patches.phase_rad), -patches.phase_rad)
    torch.testing.assert_close(turned.imag, torch.zeros_like(turned.imag), atol=1e-5, rtol=0.0)


def test_floors_of_another_margin_are_compared_on_the_same_patches() -> None:
    design = tiny(MARGIN)
    split = load_split(design)
    targets, margins = patch_set(split.test, design, 9).targets, set()
    for _, floor in floors_of(design):
        patches = patch_set(split.test, floor, 9)
        assert torch.equal(patches.targets, targets)
        assert patches.fields.shape[-1] == 64 + 2 * object_margin(floor)[1]
        margins.add(object_margin(floor))
    assert margins == {(7, 7), (32, 32)}  # layers, and Zernike's filter
