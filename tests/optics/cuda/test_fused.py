"""Fused kernels: their numbers in Triton's interpreter, in another process, and that they compile for a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.optics.cuda.fused import FusedCascade, fused_cascade, spectral_order
from tests.support.fused_cases import CASES

triton = pytest.importorskip("triton", reason="Triton exists for Linux only")


@pytest.fixture(scope="module")
def interpreted() -> dict[str, Any]:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(root / "tests" / "support" / "fused_cases.py")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("against", ["cascade", "autograd"])
@pytest.mark.parametrize("case", CASES)
def test_field_and_gradients_are_those_of_the_cascade(interpreted: dict[str, Any], case: str, against: str) -> None:
    found = interpreted["errors"][case][against]
    assert len(found) == 3
    assert 0.0 < max(found) < 1e-5  # in float32 and in another order, so never the same


def test_a_gradient_is_the_same_when_no_other_is_wanted(interpreted: dict[str, Any]) -> None:
    assert interpreted["alone"] == [True, True]


def test_the_benchmark_would_time_it(interpreted: dict[str, Any]) -> None:
    found = interpreted["contender"]
    assert found["equal"] and found["field"] < 1e-5 and found["gradient"] < 1e-5


@pytest.mark.parametrize("length", [16, 48])
def test_spectral_order_names_every_frequency_once(length: int) -> None:
    order = spectral_order(length)
    assert sorted(order.tolist()) == list(range(length))
    assert order[:2].tolist() == [0, length // 2]


@pytest.mark.parametrize("kernel", ["row_kernel", "column_kernel"])
def test_kernels_compile_for_a_gpu_without_one(kernel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from opticdesign.optics.cuda import kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    function = getattr(kernels, kernel)
    tensors = ("spectra", "fields", "masks", "kept", "shares", "roots", "transfer")
    flags = {"first": False, "last": False, "keeps": True, "shared": True, "conjugate": True}
    settled = {**flags, "fields": None, "count": 1, "q": 3, "m": 32, "log": 5}
    settled = {name: value for name, value in settled.items() if name in function.arg_names}
    kinds = {name: "*i64" if name in tensors else "i32" for name in function.arg_names}
    source = ASTSource(function, {**kinds, **dict.fromkeys(settled, "constexpr")}, settled)
    made = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 1})
    assert made.asm["cubin"]
    assert ".shared" not in made.asm["ptx"] or kernel == "column_kernel"  # rows stay in registers and lanes


def transfers(*windows: tuple[int, int]) -> list[torch.Tensor]:
    return [torch.ones(window, dtype=torch.complex64) for window in windows]


@pytest.mark.parametrize("length", [2, 6, 20, 36, 72, 4096])
def test_other_windows_are_refused(length: int) -> None:
    with pytest.raises(UsageError, match=rf"a window of {length} samples\n.*2\^a or 3·2\^a"):
        FusedCascade(transfers((32, length), (32, length)))


def test_hops_on_two_windows_are_refused() -> None:
    with pytest.raises(UsageError, match="hops on 2 windows"):
        FusedCascade(transfers((32, 32), (64, 64)))


@pytest.mark.parametrize(
    ("field", "masks", "message"),
    [
        (torch.ones(1, 8, 8, dtype=torch.complex128), torch.ones(1, 8, 8, dtype=torch.complex64), "complex128 fields"),
        (torch.ones(1, 8, 8, dtype=torch.complex64), torch.ones(2, 8, 8, dtype=torch.complex64), "1 masks as large"),
        (torch.ones(1, 40, 8, dtype=torch.complex64), torch.ones(1, 40, 8, dtype=torch.complex64), "no larger than"),
        (torch.ones(1, 8, 8, dtype=torch.complex64), torch.ones(1, 8, 8, dtype=torch.complex64), "tensors on cpu"),
    ],
)
def test_fields_and_masks_that_do_not_fit_are_refused(field: torch.Tensor, masks: torch.Tensor, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fused_cascade(field, masks, transfers((32, 32), (32, 32)))


def test_without_triton_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "opticdesign.optics.cuda.kernels", raising=False)
    monkeypatch.delattr("opticdesign.optics.cuda.kernels", raising=False)
    with pytest.raises(UsageError, match=r'pip install "opticdesign\[gpu\]"'):
        FusedCascade(transfers((32, 32)))
