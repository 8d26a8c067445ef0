"""Jobs of every kind an exporter must hold, and a small export to damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from opticdesign.design import Export
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportJob, export_design

MakeJob = Callable[..., ExportJob]

F_PATTERN = np.array(
    [
        [1, 1, 1, 1, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ],
    dtype=np.uint8,
)


@pytest.fixture
def make_job() -> MakeJob:
    """`make_job(levels=8, shape=(3, 21, 34), …)`: random levels that include the lowest and the highest."""

    def make(
        levels: int = 8,
        shape: tuple[int, int, int] = (3, 21, 34),
        *,
        array: np.ndarray | None = None,
        pitch_m: float | tuple[float, float] = 316.4e-9,
        two_pi_grey: int = 256,
        name: str = "d2nn5",
        seed: int = 0,
        spec: Export | None = None,
        heights_m: tuple[float, ...] | None = None,
        openings: np.ndarray | None = None,
    ) -> ExportJob:
        if array is None:
            array = np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8)
            array[:, 0, 0], array[:, -1, -1] = 0, levels - 1
        process = FabricationProcess(levels, 632.8e-9, 1.45702, 1.0003, heights_m)
        sides = pitch_m if isinstance(pitch_m, tuple) else (pitch_m, pitch_m)
        return ExportJob(name, array, process, sides, two_pi_grey, openings, spec or Export())

    return make


@pytest.fixture
def f_job(make_job: MakeJob) -> ExportJob:
    """Two layers with an F, which no flip or turn maps onto itself, the second one mirrored."""
    return make_job(8, array=np.stack([F_PATTERN * 5, F_PATTERN[:, ::-1] * 3]))


@pytest.fixture
def small_of(make_job: MakeJob, tmp_path: Path) -> Callable[[str], tuple[ExportJob, Path]]:
    """`small_of(name)`: a job of two layers of 9 × 7 pixels, exported in one format."""

    def make(name: str) -> tuple[ExportJob, Path]:
        job = make_job(8, (2, 9, 7))
        export_design(job, [name], tmp_path / "small", {})
        return job, tmp_path / "small"

    return make


@pytest.fixture
def small(make_job: MakeJob, tmp_path: Path) -> tuple[ExportJob, Path]:
    """A job of two layers of 9 × 7 pixels, exported in three formats."""
    job = make_job(8, (2, 9, 7))
    export_design(job, ["gds", "heightmap", "slm"], tmp_path / "small", {})
    return job, tmp_path / "small"
