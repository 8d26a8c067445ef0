"""What several tests share: the packaged design, a tiny version of it, and one tiny trained run."""

from __future__ import annotations

import pytest
import torch

from opticdesign.design import Design, load_design
from opticdesign.runs.optimise import Options, optimise
from opticdesign.runs.run_folder import Run
from tests.support.design_texts import D2NN5, TINY


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Bit-for-bit comparisons need a fixed number of threads; test workers share the cores anyway."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_settings() -> list[str]:
    """Arguments that make the packaged design tiny."""
    return [part for setting in TINY for part in ("--set", setting)]


@pytest.fixture(scope="session")
def tiny_design() -> Design:
    return load_design(D2NN5, TINY)


@pytest.fixture(scope="session")
def trained_run(tiny_design: Design, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished tiny run; tests that change files work on a copy."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    return optimise(tiny_design, Options(torch.device("cpu"), folder), lambda progress: None, lambda: False)
