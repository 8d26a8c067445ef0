"""LightRidge (https://lightridge.github.io/lightridge), which caches its transfer functions as we do."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from typing import ClassVar

import torch
from torch import Tensor, nn

from benchmarks.scene import Scene

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for pyFFTW, which only another kernel of its uses
    from lightridge.layers import DiffractLayer_Raw

__all__ = ["Peer"]


class Peer:
    """Its raw diffractive layers, given our transfer functions and our window."""

    same_kernel: ClassVar[bool] = True
    true_gradient: ClassVar[bool] = True
    remark: ClassVar[str] = "our transfer functions put into its layers"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._layers = [self._layer(index) for index in range(scene.work.layers + 1)]
        self._masks = self._layers[:-1]
        for layer, phase in zip(self._masks, scene.phases, strict=True):
            layer.phase.data.copy_(phase)

    def forward(self) -> Tensor:
        with torch.no_grad():
            return self._run()

    def gradient(self) -> Tensor:
        output = self._run()
        phases = [layer.phase for layer in self._masks]
        return torch.stack(torch.autograd.grad(output, phases, self._scene.weights * output.detach()))

    def _run(self) -> Tensor:
        wave = self._scene.field
        for layer in self._layers:
            wave = layer(wave)
        return wave

    def _layer(self, index: int) -> DiffractLayer_Raw:
        scene = self._scene
        with redirect_stdout(io.StringIO()):  # it prints which kernel it builds
            layer = DiffractLayer_Raw(
                wavelength=scene.wavelength_m,
                pixel_size=scene.pitch_m,
                size=scene.work.size,
                pad=scene.margin or 1,  # it refuses 0, and computes rightly with it
                distance=scene.gaps_m[index],
                amplitude_factor=1,
                approx="Fresnel",
                phase_mod=index < scene.work.layers,
            )
        layer.pad = scene.margin
        layer.h = nn.Parameter(scene.hops[index].transfer, requires_grad=False)
        return layer.to(scene.work.device)
