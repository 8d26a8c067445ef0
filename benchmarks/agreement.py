"""Proof that two contenders do equal work: their fields and gradients, and how wrong each field is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.contenders import Contender
from benchmarks.scene import Scene
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import convolve

__all__ = ["Agreement", "agreement", "reference"]

_SAME = 1e-4  # largest relative difference of fields computed with one kernel in float32
_ALIKE = 0.35  # and with another kernel that wraps around in another way
_FINER = 2  # samples of the reference's kernel per sample of the field
_WIDER = 4  # its window over the field: what the kernel's cut end leaves in the band is 0.15 % of a hop then


@dataclass(frozen=True)
class Agreement:
    """How a contender's result compares, all in relative L2 norm, up to a constant phase.

    Args:
        field: difference of its field from ours.
        gradient: difference of its gradient from ours, None for the floor.
        error: difference of its field from the reference.
        equal: whether it may be timed beside ours.
    """

    field: float
    gradient: float | None
    error: float
    equal: bool


def agreement(peer: Contender, ours: Contender, truth: Tensor) -> Agreement:
    """Compare a contender with ours and with the reference field (batch, y, x)."""
    field = peer.forward()
    apart = _difference(field, ours.forward())
    steeper = _difference(peer.gradient(), ours.gradient()) if peer.true_gradient else None
    equal = max(apart, steeper or 0.0) <= (_SAME if peer.same_kernel else _ALIKE)
    return Agreement(apart, steeper, _difference(field, truth), equal)


def reference(scene: Scene) -> Tensor:
    """The field on the detector in float64 on a window four times as wide, complex128 (batch, y, x).

    The Rayleigh–Sommerfeld kernel is sampled more finely than the field and cut to the field's band, so that it favours
    none of the kernels compared.
    """
    field = scene.field.cpu().to(torch.complex128)
    masks = torch.exp(1j * scene.phases.cpu().to(torch.complex128))
    made = {gap: _fine_transfer(scene, gap) for gap in dict.fromkeys(scene.gaps_m)}
    for gap, mask in zip(scene.gaps_m, [*masks, torch.ones_like(masks[0])], strict=True):
        field = convolve(field, made[gap])[:, : scene.work.size, : scene.work.size] * mask
    return field


def _fine_transfer(scene: Scene, z: float) -> Tensor:
    """Transfer function of free space on the wide window, without its carrier, complex128 (wide, wide)."""
    pitch_m, window = scene.pitch_m / _FINER, _WIDER * scene.work.size
    y, x = Grid.square(window * _FINER, pitch_m).offsets_m()
    k, across = 2.0 * math.pi / scene.wavelength_m, y**2 + x**2
    r = torch.sqrt(across + z * z)
    carrier = torch.polar(torch.ones_like(r), k * across / (r + z))
    kernel = torch.complex(1.0 / r, torch.full_like(r, -k)) * carrier * (z * pitch_m**2 / (2.0 * math.pi) / r**2)
    spectrum = torch.fft.fftshift(torch.fft.fft2(kernel))
    first = (spectrum.shape[0] - window) // 2
    transfer: Tensor = torch.fft.ifftshift(spectrum[first : first + window, first : first + window])
    return transfer


def _difference(value: Tensor, expected: Tensor) -> float:
    """‖value·e^{iα} − expected‖ / ‖expected‖ with the best constant phase α of complex tensors."""
    exact = torch.complex128 if expected.is_complex() else torch.float64
    value, expected = value.cpu().to(exact), expected.cpu().to(exact)
    if expected.is_complex():
        overlap = torch.sum(value.conj() * expected)
        value = value * (overlap / overlap.abs())
    return float(torch.linalg.vector_norm(value - expected) / torch.linalg.vector_norm(expected))
