from __future__ import annotations

import torch

from opticdesign.optics.straight_through import straight_through


def test_values_are_the_shown_ones_and_gradients_those_of_the_smooth() -> None:
    smooth = torch.tensor([0.1, 1e8, -3.3], requires_grad=True)
    shown = torch.tensor([0.3, 1.0, -3.0], dtype=torch.float64)
    result = straight_through(smooth, shown)
    assert torch.equal(result, shown.float())  # also where smooth + (shown − smooth) would round
    (result * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert smooth.grad is not None
    assert smooth.grad.tolist() == [1.0, 2.0, 3.0]
