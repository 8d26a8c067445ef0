"""Errors of fused kernels as JSON: run with TRITON_INTERPRET=1, which Triton heeds only before it is imported."""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor

from opticdesign.optics.cascade import cascade
from opticdesign.optics.cuda import fused

CASES = {  # field, window, batch, layers
    "square": ((16, 16), (32, 32), 1, 1),
    "not square": ((24, 20), (48, 32), 3, 1),
    "unpadded": ((32, 64), (32, 64), 1, 1),
    "thirds": ((64, 33), (96, 48), 1, 1),
    "long": ((30, 64), (64, 128), 1, 1),
    "in parts": ((4, 6), (8, 12), 2, 2),
}


def plain(field: Tensor, masks: Tensor, transfers: list[Tensor]) -> Tensor:
    """The operations one after another, by autograd."""
    rows, columns = field.shape[-2:]
    for index, transfer in enumerate(transfers):
        wave = torch.fft.ifft2(torch.fft.fft2(field, s=transfer.shape) * transfer)[:, :rows, :columns]
        field = wave * masks[index] if index < len(masks) else wave
    return field


def scene(name: str) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Field, masks, transfer functions and weights in complex128."""
    shape, window, batch, layers = CASES[name]
    draw = torch.Generator().manual_seed(5)
    sizes = [(batch, *shape), (layers, *shape), (layers + 1, *window), (batch, *shape)]
    field, masks, transfers, weights = (torch.randn(size, generator=draw, dtype=torch.complex128) for size in sizes)
    return field, masks, list(transfers), weights


def errors(name: str) -> dict[str, list[float]]:
    """Of field, field gradient and mask gradient, in relative L2 norm: from the cascade and from autograd."""
    *inputs, weights = scene(name)
    set_programs(CASES[name][1])
    fused._TOGETHER = 1 if name == "in parts" else 8
    found = []
    for forward, dtype in (
        (fused.fused_cascade, torch.complex64), (cascade, torch.complex64), (plain, torch.complex128)
    ):  # fmt: skip
        field, masks = (each.to(dtype, copy=True).requires_grad_() for each in inputs[:2])
        output = forward(field, masks, [each.to(dtype) for each in inputs[2]])
        output.backward(weights.to(dtype))
        found.append([output.detach(), field.grad, masks.grad])
    ours, *others = found
    return {
        against: [float((a.to(b.dtype) - b).norm() / b.norm()) for a, b in zip(ours, other, strict=True)]
        for against, other in zip(("cascade", "autograd"), others, strict=True)
    }


def set_programs(window: tuple[int, int]) -> None:
    """Have as few programs as have edges inside a field: the interpreter's time goes by their number."""
    fused._ROW, fused._HELD, fused._COLUMNS = (32 * max(window),) * 3


def alone(wants_field: bool) -> bool:
    """Whether field or masks get the same gradient when the other wants none, and a conjugate view goes in and out."""
    field, masks, transfers, _ = scene("in parts")
    given = [each.to(torch.complex64).conj() for each in (field, masks)]
    hops = fused.FusedCascade([each.to(torch.complex64) for each in transfers])
    gradients = []
    for wishes in ((True, True), (wants_field, not wants_field)):
        inputs = [each.detach().requires_grad_(wish) for each, wish in zip(given, wishes, strict=True)]
        gradients.append(torch.autograd.grad(hops(*inputs).abs().sum(), inputs[0 if wants_field else 1])[0])
    return torch.equal(*gradients)


def contender() -> dict[str, float]:
    """Agreement of the benchmark's fused contender with ours."""
    from dataclasses import asdict

    from benchmarks.agreement import agreement, reference
    from benchmarks.contenders import FUSED, OURS
    from benchmarks.contenders import contender as made
    from benchmarks.scene import Scene, Work

    scene = Scene(Work(size=32, layers=1, batch=1))
    set_programs((48, 48))
    return asdict(agreement(made(FUSED, scene), made(OURS, scene), reference(scene)))


def main() -> None:
    """Write everything."""
    results = {name: errors(name) for name in CASES}
    found = {"errors": results, "alone": [alone(True), alone(False)], "contender": contender()}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
