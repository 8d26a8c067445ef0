"""What is compared: this core and its other ways on a GPU, bare transforms as a floor, and installed peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from importlib import import_module
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from benchmarks.scene import Scene
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.optics.cascade import PreparedTransfer, cascade, prepared
from opticdesign.optics.cuda.fused import FusedCascade
from opticdesign.optics.cuda.graphs import GraphedCascade, Optics
from opticdesign.optics.elements import DiffractiveElement, phase_transmission

__all__ = [
    "FLOOR",
    "FUSED",
    "OURS",
    "PEERS",
    "WAYS",
    "Contender",
    "Floor",
    "Ours",
    "Way",
    "contender",
    "missing",
    "rivals",
]

OURS, FLOOR = "opticdesign", "floor"
PEERS = ("LightRidge", "TorchOptics", "Chromatix")
GRAPHED, FUSED, BOTH = WAYS = ("CUDA graph", "fused kernels", "fused kernels in a CUDA graph")


class Contender(Protocol):
    """One way to compute a scene.

    `same_kernel` says that transfer functions and window are ours, so that the fields must be equal; `remark` says
    what differs otherwise. Building one does everything that a user does once.
    """

    same_kernel: ClassVar[bool]
    true_gradient: ClassVar[bool]
    remark: ClassVar[str]

    def forward(self) -> Tensor:
        """The field on the detector, complex (batch, y, x), without gradients."""

    def gradient(self) -> Tensor:
        """Forward and backward: the gradient of Σ w|A|²/2 to the phases, (layers, y, x)."""


class Ours:
    """This package's optical system."""

    same_kernel: ClassVar[bool] = True
    true_gradient: ClassVar[bool] = True
    remark: ClassVar[str] = ""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        system = DiffractiveSystem([DiffractiveElement(scene.grid, phase) for phase in scene.phases], scene.hops)
        self._system = system.to(scene.work.device)

    def forward(self) -> Tensor:
        with torch.no_grad():
            output: Tensor = self._system(self._scene.field)
            return output

    def gradient(self) -> Tensor:
        output = self._system(self._scene.field)
        masks = [element.phase_rad for element in self._system.elements if isinstance(element, DiffractiveElement)]
        return torch.stack(torch.autograd.grad(output, masks, self._scene.weights * output.detach()))


class Floor:
    """Two-dimensional transforms, one pass for every product, and nothing else: no padding, no autograd, masks given.

    Sample by sample, because that is the fastest order on a CPU. Only what transforms less than whole windows, or in
    another order, comes below it. `gradient` sends the wave through all but the first hop once more; the fields that a
    true gradient needs are not kept, so its result is no gradient.
    """

    same_kernel: ClassVar[bool] = True
    true_gradient: ClassVar[bool] = False
    remark: ClassVar[str] = "its backward pass only does the work"

    def __init__(self, scene: Scene) -> None:
        self._field, self._masks = scene.field, phase_transmission(scene.phases)
        self._transfers = [hop.transfer for hop in scene.hops]
        self._window = torch.zeros(self._transfers[0].shape, dtype=torch.complex64)
        self._aperture = self._window[: scene.work.size, : scene.work.size]

    def forward(self) -> Tensor:
        output = torch.empty_like(self._field)
        for sample, field in zip(output, self._field, strict=True):
            sample.copy_(self._send(field))
        return output

    def gradient(self) -> Tensor:
        total = torch.zeros_like(self._masks)
        for field in self._field:
            self._aperture.copy_(self._send(field))
            for mask, transfer, share in zip(self._masks, self._transfers[1:], total, strict=True):
                wave = self._hop(transfer)
                share.addcmul_(wave, mask)
                torch.mul(wave, mask, out=self._aperture)
        return total

    def _send(self, field: Tensor) -> Tensor:
        self._aperture.copy_(field)
        for mask, transfer in zip(self._masks, self._transfers, strict=False):
            torch.mul(self._hop(transfer), mask, out=self._aperture)
        return self._hop(self._transfers[-1])

    def _hop(self, transfer: Tensor) -> Tensor:
        # without out=, which makes torch copy the result
        rows, columns = self._aperture.shape
        wave: Tensor = torch.fft.ifft2(torch.fft.fft2(self._window).mul_(transfer))[:rows, :columns]
        return wave


class BatchFloor:
    """The same floor as a GPU has it: every call takes the whole batch."""

    same_kernel: ClassVar[bool] = True
    true_gradient: ClassVar[bool] = False
    remark: ClassVar[str] = "eager transforms of the batch; its backward pass only does the work"

    def __init__(self, scene: Scene) -> None:
        self._field, self._masks = scene.field, phase_transmission(scene.phases)
        self._transfers = [hop.transfer for hop in scene.hops]
        self._window = self._field.new_zeros((len(self._field), *self._transfers[0].shape))
        self._aperture = self._window[:, : scene.work.size, : scene.work.size]

    def forward(self) -> Tensor:
        self._aperture.copy_(self._field)
        for mask, transfer in zip(self._masks, self._transfers, strict=False):
            torch.mul(self._hop(transfer), mask, out=self._aperture)
        return self._hop(self._transfers[-1]).contiguous()

    def gradient(self) -> Tensor:
        self._aperture.copy_(self.forward())
        shares = []
        for mask, transfer in zip(self._masks, self._transfers[1:], strict=True):
            wave = self._hop(transfer)
            shares.append((wave * mask).sum(0))
            torch.mul(wave, mask, out=self._aperture)
        return torch.stack(shares)

    def _hop(self, transfer: Tensor) -> Tensor:
        rows, columns = self._aperture.shape[1:]
        wave: Tensor = torch.fft.ifft2(torch.fft.fft2(self._window).mul_(transfer))[:, :rows, :columns]
        return wave


class Way:
    """This package's optics on a GPU by other means than the usual eager ones.

    Args:
        scene: what to compute.
        fused: use the fused kernels.
        graphed: replay CUDA graphs.
    """

    same_kernel: ClassVar[bool] = True
    true_gradient: ClassVar[bool] = True
    remark: ClassVar[str] = ""

    def __init__(self, scene: Scene, *, fused: bool, graphed: bool) -> None:
        self._scene = scene
        ready = {hop: prepared(hop.transfer, hop.grid.shape) for hop in scene.hops}
        eager = partial(_eager, [ready[hop] for hop in scene.hops])
        self._optics: Optics = FusedCascade([hop.transfer for hop in scene.hops]) if fused else eager
        self._phases = scene.phases.clone().requires_grad_()
        self._graphed = graphed

    def forward(self) -> Tensor:
        with torch.no_grad():
            return self._forward(self._scene.field, phase_transmission(self._phases))

    def gradient(self) -> Tensor:
        output = self._gradient(self._scene.field, phase_transmission(self._phases))
        return torch.autograd.grad(output, self._phases, self._scene.weights * output.detach())[0]

    # captured when first used: a measurement of memory holds no other graph
    @cached_property
    def _forward(self) -> Optics:
        return self._captured(phase_transmission(self._scene.phases))

    @cached_property
    def _gradient(self) -> Optics:
        return self._captured(phase_transmission(self._scene.phases).requires_grad_())

    def _captured(self, masks: Tensor) -> Optics:
        return GraphedCascade(self._optics, self._scene.field, masks) if self._graphed else self._optics


def _eager(transfers: list[PreparedTransfer], field: Tensor, masks: Tensor) -> Tensor:
    return cascade(field, masks, transfers)


def _floor(scene: Scene) -> Contender:
    return Floor(scene) if scene.work.device == "cpu" else BatchFloor(scene)


_OWN: Mapping[str, Callable[[Scene], Contender]] = {
    OURS: Ours,
    FLOOR: _floor,
    GRAPHED: partial(Way, fused=False, graphed=True),
    FUSED: partial(Way, fused=True, graphed=False),
    BOTH: partial(Way, fused=True, graphed=True),
}


def rivals(device: str) -> tuple[str, ...]:
    """What ours is compared with on a device, installed or not."""
    return (FLOOR, *PEERS) if device == "cpu" else (FLOOR, *WAYS, *(peer for peer in PEERS if peer != "Chromatix"))


def contender(name: str, scene: Scene) -> Contender:
    """A contender by name, ready to run on a scene.

    Raises:
        ImportError: a peer that is not installed.
    """
    if name in _OWN:
        return _OWN[name](scene)
    made: Contender = import_module(f"benchmarks.peers.{name.lower()}").Peer(scene)
    return made


def missing(name: str) -> bool:
    """Whether a peer is not installed, or is without optics in it."""
    if name in _OWN:
        return False
    try:
        import_module(f"benchmarks.peers.{name.lower()}")
    except ImportError:
        return True
    return False
