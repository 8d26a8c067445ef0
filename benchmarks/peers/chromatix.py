"""Chromatix (https://github.com/chromatix-team/chromatix), compiled by jax; the registry's release has no optics."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import torch
from chromatix import ScalarField
from chromatix.functional import kernel_propagate
from torch import Tensor

from benchmarks.scene import Scene
from opticdesign.optics.propagation import AngularSpectrum

__all__ = ["Peer"]


class Peer:
    """Its kernel propagation with cached angular spectra, on a window of about the same accuracy as ours."""

    same_kernel: ClassVar[bool] = False
    true_gradient: ClassVar[bool] = True
    remark: ClassVar[str] = "angular spectrum, padded 2× where ours is padded; jit, transfer functions cached"

    def __init__(self, scene: Scene) -> None:
        padding = 1.0 + 2.0 * scene.accurate_margin / scene.work.size
        made = {gap: AngularSpectrum(scene.grid, scene.wavelength_m, gap, padding=padding) for gap in {*scene.gaps_m}}
        self._transfers = [jnp.asarray(made[gap].transfer.numpy())[..., None, None] for gap in scene.gaps_m]
        self._margin, self._size = scene.accurate_margin, scene.work.size
        self._field = ScalarField.create(
            scene.pitch_m, scene.wavelength_m, 1.0, u=jnp.asarray(scene.field.numpy())[..., None, None]
        )
        self._phases, weights = jnp.asarray(scene.phases.numpy()), jnp.asarray(scene.weights.numpy())
        self._forward = jax.jit(self._run)
        self._gradient = jax.jit(jax.grad(lambda phases: 0.5 * jnp.sum(weights * jnp.abs(self._run(phases)) ** 2)))

    def forward(self) -> Tensor:
        return torch.from_numpy(np.array(self._forward(self._phases)))

    def gradient(self) -> Tensor:
        return torch.from_numpy(np.array(self._gradient(self._phases)))

    def _run(self, phases: Any) -> Any:
        field = self._field
        for index, transfer in enumerate(self._transfers):
            field = self._hop(field, transfer)
            if index < len(phases):
                field = field.replace(u=field.u * jnp.exp(1j * phases[index])[..., None, None])
        return field.u[..., 0, 0]

    def _hop(self, field: Any, transfer: Any) -> Any:
        beside, inside = (self._margin, self._margin), slice(self._margin, self._margin + self._size)
        padded = field.replace(u=jnp.pad(field.u, ((0, 0), beside, beside, (0, 0), (0, 0))))
        field = kernel_propagate(padded, transfer)
        return field.replace(u=field.u[:, inside, inside])
