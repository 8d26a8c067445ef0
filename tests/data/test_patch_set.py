from __future__ import annotations

import math

import torch

from opticdesign.data import PatchSet


def test_targets_and_objects_are_the_middle_of_phases_and_fields() -> None:
    phase = torch.arange(2 * 9 * 8, dtype=torch.float32).reshape(2, 9, 8)
    fields = torch.polar(phase, phase)
    patches = PatchSet.of(fields, phase, (3, 6))
    assert torch.equal(patches.targets, phase[:, 3:6, 1:7] / (2.0 * math.pi))
    assert torch.equal(patches.objects, fields[:, 3:6, 1:7])
    assert patches.fields is fields and patches.phase_rad is phase


def test_without_a_margin_the_patches_are_everything() -> None:
    phase = torch.rand((3, 4, 5), generator=torch.Generator().manual_seed(0))
    patches = PatchSet.of(torch.polar(torch.ones_like(phase), phase), phase, (4, 5))
    assert torch.equal(patches.objects, patches.fields)
    first = patches.first(2)
    assert [len(part) for part in first] == [2, 2, 2]
    assert torch.equal(first.fields, patches.fields[:2]) and torch.equal(first.targets, patches.targets[:2])
    assert len(patches.first(7).targets) == 3
