"""Optics at one fixed shape as CUDA graphs, so that launching their kernels costs nothing. Not yet run on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from opticdesign.errors import UsageError

__all__ = ["GraphedCascade"]

Optics = Callable[[Tensor, Tensor], Tensor]
Capture = Callable[[Optics, tuple[Tensor, ...]], Optics]


class GraphedCascade:
    """A cascade whose forward and backward passes are one graph each, captured once and replayed for every batch.

    A graph reads and writes memory of its own. Fields and masks are copied into it, results and gradients out of it;
    what the backward pass needs stays there and is overwritten by the next forward pass.

    Args:
        optics: field behind the last hop of a field (batch, y, x) and masks (layers, y, x), such as a `FusedCascade`.
        field: as all fields will be: shape, type, device, and whether it wants a gradient; its values do not matter.
        masks: as all masks will be.
        capture: records the graphs; left out, torch.cuda.make_graphed_callables.

    Raises:
        UsageError: tensors that are not on a CUDA device, where torch is to capture them.
    """

    def __init__(self, optics: Optics, field: Tensor, masks: Tensor, capture: Capture | None = None) -> None:
        if capture is None and not (field.is_cuda and masks.is_cuda):
            raise UsageError(f"a graph on {field.device}", expected="a CUDA device", remedy="run without a graph")
        samples = tuple(each.detach().clone().requires_grad_(each.requires_grad) for each in (field, masks))
        self._expected = [_kind(each) for each in samples]
        record: Any = (
            capture or torch.cuda.make_graphed_callables
        )  # its overloads are wider than one function in and out
        self._optics: Optics = record(optics, samples)
        self._passes = 0

    def __call__(self, field: Tensor, masks: Tensor) -> Tensor:
        """The field behind the last hop, a copy of its own.

        Raises:
            UsageError: another shape, type or device than captured, or another wish for gradients; and, in the backward
                pass, when there was another forward pass since.
        """
        found = [_kind(each) for each in (field, masks)]
        if found != self._expected:
            text = [", ".join(f"{name} {kind}" for name, kind in zip(("field", "masks"), kinds, strict=True))
                    for kinds in (found, self._expected)]  # fmt: skip
            raise UsageError(text[0], expected=text[1], remedy="capture another graph for it")
        self._passes += 1
        number = self._passes
        inputs = [each.view_as(each) for each in (field, masks)]
        for each in inputs:
            if each.requires_grad:  # else a gradient would be the graph's memory
                each.register_hook(torch.clone)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        output = self._optics(*inputs).clone()
        if output.requires_grad:
            output.register_hook(lambda _: self._check(number))  # type: ignore[no-untyped-call]  # as above
        return output

    def _check(self, number: int) -> None:
        if number != self._passes:
            raise UsageError(
                f"backward pass of forward pass {number} after {self._passes}",
                expected="every backward pass before the next forward pass",
                remedy="capture one graph for each that is held",
            )


def _kind(tensor: Tensor) -> str:
    """What a graph is captured for."""
    wish = "with a gradient" if tensor.requires_grad and torch.is_grad_enabled() else "without a gradient"
    return f"{tensor.dtype} {tuple(tensor.shape)} on {tensor.device} {wish}"
