"""What surrounds a capture; the capture itself needs a GPU and is stood in for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.cascade import cascade
from opticdesign.optics.cuda.graphs import GraphedCascade


class Recorded:
    """Stands in for a capture: static buffers in, out and back, overwritten in every pass, as a graph has them."""

    def __init__(self, optics: Callable[[Tensor, Tensor], Tensor], samples: tuple[Tensor, ...]) -> None:
        self.samples, self.optics, self.output = samples, optics, optics(*samples).detach()
        self.gradients = [torch.zeros_like(each) for each in samples]

    def __call__(self, *inputs: Tensor) -> Tensor:
        recorded = self

        class Replayed(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *given):  # type: ignore[no-untyped-def]
                for buffer, each in zip(recorded.samples, given, strict=True):
                    buffer.data.copy_(each)
                with torch.enable_grad():
                    recorded.live = recorded.optics(*recorded.samples)
                return recorded.output.copy_(recorded.live.detach()).detach()

            @staticmethod
            def backward(ctx, gradient):  # type: ignore[no-untyped-def]
                wanted = [each for each in recorded.samples if each.requires_grad]
                found = iter(torch.autograd.grad(recorded.live, wanted, gradient))
                pairs = zip(recorded.samples, recorded.gradients, strict=True)
                return tuple(buffer.copy_(next(found)) if each.requires_grad else None for each, buffer in pairs)

        return Replayed.apply(*inputs)


def scene(seed: int, *, field_gradient: bool = False) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    field, masks = (torch.randn((2, 8, 6), generator=draw, dtype=torch.complex64) for _ in range(2))
    return field.requires_grad_(field_gradient), masks.requires_grad_()


def optics(field: Tensor, masks: Tensor) -> Tensor:
    draw = torch.Generator().manual_seed(9)
    return cascade(field, masks, [torch.randn((12, 9), generator=draw, dtype=torch.complex64) for _ in range(3)])


@pytest.mark.parametrize("field_gradient", [False, True])
def test_every_pass_gives_the_field_and_gradients_of_its_own_inputs(field_gradient: bool) -> None:
    graphed = GraphedCascade(optics, *scene(0, field_gradient=field_gradient), Recorded)
    held = []
    for seed in (1, 2):
        field, masks = scene(seed, field_gradient=field_gradient)
        wanted = [each for each in (field, masks) if each.requires_grad]
        output, plain = graphed(field, masks), optics(field, masks)
        found = torch.autograd.grad(output, wanted, output.detach())
        held.append(([output, *found], [plain, *torch.autograd.grad(plain, wanted, plain.detach())]))
    for found, expected in held:  # compared late: nothing of the first pass was overwritten by the second
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_gradients_of_leaves_add_up_over_passes() -> None:
    field, masks = scene(1)
    graphed = GraphedCascade(optics, field, masks, Recorded)
    for _ in range(2):
        graphed(field, masks).abs().sum().backward()
    (once,) = torch.autograd.grad(optics(field, masks).abs().sum(), masks)
    torch.testing.assert_close(masks.grad, 2.0 * once)


def test_what_was_not_captured_is_refused() -> None:
    field, masks = scene(0)
    graphed = GraphedCascade(optics, field, masks, Recorded)
    for other in (field[:1], field.to(torch.complex128), field.to("meta"), field.detach().requires_grad_()):
        with pytest.raises(UsageError, match=r"(?s)^field .*expected: field torch\.complex64 \(2, 8, 6\)"):
            graphed(other, masks)
    with torch.no_grad(), pytest.raises(UsageError, match=r"masks .* without a gradient"):
        graphed(field, masks)


def test_a_backward_pass_after_another_forward_pass_is_refused() -> None:
    field, masks = scene(0)
    graphed = GraphedCascade(optics, field, masks, Recorded)
    first = graphed(field, masks)
    graphed(field, masks)
    with pytest.raises(UsageError, match="before the next forward pass"):
        first.abs().sum().backward()


def test_without_a_gpu_there_is_no_graph() -> None:
    with pytest.raises(UsageError, match="a graph on cpu"):
        GraphedCascade(optics, *scene(0))
