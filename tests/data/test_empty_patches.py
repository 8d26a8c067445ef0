from __future__ import annotations

import numpy as np
import pytest

from opticdesign.data import PatchSampler, PhaseField, Window, grid_patches, split_fields
from opticdesign.errors import DataError

EDGE_RAD = 0.1


def cell(rows: int = 40, columns: int = 60) -> PhaseField:
    """Empty but for a plate of 1 rad in the upper left corner."""
    phase = np.zeros((rows, columns), np.float32)
    phase[5:15, 5:15] = 1.0
    return PhaseField("cell", phase, np.ones_like(phase), np.ones(phase.shape, bool))


def test_patches_without_edges_are_never_drawn_nor_laid_out() -> None:
    window = Window((16, 16), least_edges=0.05, edge_rad=EDGE_RAD)
    _, drawn = PatchSampler([cell()], window).draw(200, np.random.default_rng(0))
    _, laid = grid_patches([cell()], window, 4)
    for patches in (drawn, laid):
        steep = [np.hypot(*np.gradient(patch)) > EDGE_RAD for patch in patches]
        assert min(edges.mean() for edges in steep) >= 0.05 - 16 * 4 / 256  # but at the patch's own rim
        assert all(patch.max() > 0.0 for patch in patches)
    everything = grid_patches([cell()], Window((16, 16)), 4)[1]
    assert len(laid) < len(everything) and any(patch.max() == 0.0 for patch in everything)


def test_a_slope_counts_by_how_steep_it_is() -> None:
    phase = np.tile(np.linspace(0.0, 6.0, 61, dtype=np.float32), (20, 1))  # 0.1 rad a pixel
    field = PhaseField("slope", phase, np.ones_like(phase), np.ones(phase.shape, bool))
    assert PatchSampler([field], Window((16, 16), least_edges=0.9, edge_rad=0.09)).positions == 5 * 46
    with pytest.raises(DataError, match=r"90.00% on edges(.*\n)*.*lower data.least_edges"):
        PatchSampler([field], Window((16, 16), least_edges=0.9, edge_rad=0.11))


def test_what_was_not_measured_is_no_edge() -> None:
    field = cell()
    field.valid[:20, :20] = False
    with pytest.raises(DataError, match="on edges"):
        grid_patches([field], Window((16, 16), least_edges=0.02, edge_rad=EDGE_RAD), 4)


def test_a_leaking_split_has_every_map_in_all_parts() -> None:
    fields = [cell(), PhaseField("other", *(getattr(cell(), name) for name in ("phase_rad", "amplitude", "valid")))]
    split = split_fields(fields, (0.5, 0.25, 0.25), "leaking", (16, 16))
    assert [[field.name for field in part] for part in split] == [["cell", "other"]] * 3
