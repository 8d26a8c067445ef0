import numpy as np
import pytest

from opticdesign.data import PhaseField
from opticdesign.errors import DataError


def arrays(shape=(5, 7)):
    return {
        "phase_rad": np.zeros(shape, np.float32),
        "amplitude": np.ones(shape, np.float32),
        "valid": np.ones(shape, np.bool_),
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"phase_rad": np.zeros((2, 5, 7), np.float32)}, r"phase of shape \(2, 5, 7\)"),
        ({"phase_rad": np.zeros((0, 7), np.float32)}, r"phase of shape \(0, 7\)"),
        ({"amplitude": np.ones((7, 5), np.float32)}, r"amplitude of shape \(7, 5\) beside"),
        ({"valid": np.ones((5, 6), np.bool_)}, r"mask of shape \(5, 6\) beside"),
        ({"phase_rad": np.zeros((5, 7))}, "phase of type float64"),
        ({"valid": np.ones((5, 7), np.uint8)}, "mask of type uint8"),
        ({"phase_rad": np.full((5, 7), np.nan, np.float32)}, "the phase holds NaN"),
        ({"amplitude": np.full((5, 7), np.inf, np.float32)}, "the amplitude holds NaN"),
        ({"amplitude": np.full((5, 7), -0.5, np.float32)}, "amplitude of -0.5"),
    ],
)
def test_phase_field_refuses_what_is_no_field(changed, message):
    with pytest.raises(DataError, match=message):
        PhaseField("bad", **(arrays() | changed))


def test_phase_field_crop_is_a_view_that_remembers_its_file():
    field = PhaseField("cells.npy", **arrays())
    part = field.crop(slice(1, 4), slice(2, 7), "val")
    assert part.shape == (3, 5)
    assert np.shares_memory(part.phase_rad, field.phase_rad)
    assert (part.name, part.source) == ("cells.npy:val", "cells.npy")
