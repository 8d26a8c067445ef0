"""A decoder: the reading, enlarged without a step, times a learned factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from opticdesign.design import DecoderSpec

if TYPE_CHECKING:
    from torch import nn


class EnlargedSpec(DecoderSpec):
    """A reading that is enlarged.

    Attributes:
        kind: "enlarged".
        factor: what it is times before training.
    """

    kind: Literal["enlarged"] = Field(description="kind of decoder", examples=["enlarged"])
    factor: float = Field(default=1.0, gt=0, description="factor before training", examples=[0.5])

    def build(self, binning: int) -> nn.Module:
        from opticdesign_test_plugins.network import Enlarged

        return Enlarged(binning, self.factor)
