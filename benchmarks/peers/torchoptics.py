"""TorchOptics (https://github.com/MatthewFilipovich/torchoptics), which builds its transfer functions on every call."""

from __future__ import annotations

from typing import ClassVar

import torch
import torchoptics
from torch import Tensor, nn
from torchoptics.elements import PhaseModulator

from benchmarks.scene import Scene

__all__ = ["Peer"]


class Peer:
    """Its system of phase modulators in float32, by the angular spectrum on a window of about the same accuracy."""

    same_kernel: ClassVar[bool] = False
    true_gradient: ClassVar[bool] = True
    remark: ClassVar[str] = "angular spectrum with evanescent waves, padded 2× where ours is padded"

    def __init__(self, scene: Scene) -> None:
        torchoptics.set_default_dtype(torch.float32)
        self._scene = scene
        places = [sum(scene.gaps_m[: index + 1]) for index in range(len(scene.gaps_m))]
        self._phases = [nn.Parameter(phase.clone()) for phase in scene.phases]
        self._system = torchoptics.System(
            *(
                PhaseModulator(phase, z=place, spacing=scene.pitch_m)
                for phase, place in zip(self._phases, places, strict=False)
            )
        ).to(scene.work.device)
        field = torchoptics.Field(scene.field, scene.wavelength_m, z=0, spacing=scene.pitch_m)
        self._field = field.to(scene.work.device)
        self._end = places[-1]

    def forward(self) -> Tensor:
        with torch.no_grad():
            return self._run()

    def gradient(self) -> Tensor:
        output = self._run()
        masks = list(self._system.parameters())
        return torch.stack(torch.autograd.grad(output, masks, self._scene.weights * output.detach()))

    def _run(self) -> Tensor:
        pad = (self._scene.accurate_margin,) * 2
        return self._system.measure_at_z(self._field, self._end, propagation_method="ASM", asm_pad=pad).data
