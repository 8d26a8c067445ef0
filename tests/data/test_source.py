from __future__ import annotations

from pathlib import Path

import numpy as np

from opticdesign.data.source import load_split
from opticdesign.design import Design, load_design
from tests.support.design_texts import D2NN5, TINY


def test_synthetic_fields_differ_and_are_dealt_out(tiny_design: Design) -> None:
    split = load_split(tiny_design)
    assert [len(part) for part in split] == [4, 1, 1]
    phases = [field.phase_rad for part in split for field in part]
    assert all(phase.shape == (96, 96) for phase in phases)
    assert all(not np.array_equal(a, b) for i, a in enumerate(phases) for b in phases[:i])


def test_synthetic_fields_have_short_names_of_their_own(tiny_design: Design) -> None:
    names = [field.name for part in load_split(tiny_design) for field in part]
    assert sorted(names) == [f"synthetic {number}" for number in range(1, 7)]


def test_synthetic_fields_depend_on_the_seed_only(tiny_design: Design) -> None:
    other = load_design(D2NN5, [*TINY, "optics.layers=4", "training.batch=5"])
    np.testing.assert_array_equal(load_split(tiny_design).test[0].phase_rad, load_split(other).test[0].phase_rad)


def test_folder_is_resampled_to_the_pitch_of_the_design(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(150, 150)), 0), 1)
    np.save(tmp_path / "field.npy", (smooth / np.abs(smooth).max()).astype(np.float32))
    settings = ["data.kind=folder", f"data.path={tmp_path}", 'data.pitch="632.8 nm"', "optics.neurons=64"]
    split = load_split(load_design(D2NN5, [*settings, "evaluation.overlap=16"]))
    assert split.train[0].shape == (150, 300)
    assert {split.val[0].shape, split.test[0].shape} == {(150, 150)}
