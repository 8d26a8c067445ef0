from __future__ import annotations

from pathlib import Path

import pytest

from opticdesign.cli.tolerance_tables import replay_table
from opticdesign.tolerance.result import WorstDraw
from opticdesign.tolerance.running.study_run import Replay


@pytest.mark.parametrize("same", [True, False])
def test_replayed_metrics_have_all_digits_only_where_they_differ(same: bool) -> None:
    draw = WorstDraw(3, {"gap": 1.25e-6}, {"psnr_db": 23.456789012345})
    stored = {"psnr_db": 23.456789012345 if same else 23.456789012346}
    table = replay_table(Replay(draw, stored, {"gap": "m"}, Path(), 0.0))
    shown = [list(column.cells)[-1] for column in table.columns[1:]]
    assert shown == (["23.46", "23.46"] if same else ["23.456789012345", "23.456789012346"])
