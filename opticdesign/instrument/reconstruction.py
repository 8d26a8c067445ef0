"""What a microscope makes of fields: camera readings and phase maps, a few at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.microscope import Microscope
from opticdesign.randomness import torch_stream

__all__ = ["BATCH", "evaluation_noise", "reconstruct", "reconstruct_batches"]

BATCH = 8  # fields at once: enough to keep a GPU busy, few enough for its memory


def evaluation_noise(seed: int, first: int) -> torch.Generator:
    """The camera's noise wherever a microscope is judged, for a batch whose first image has this number."""
    return torch_stream(seed, "evaluation noise", first)


def reconstruct(
    microscope: Microscope, fields: Tensor, process: FabricationProcess | None, seed: int
) -> tuple[Tensor, Tensor]:
    """Camera readings and phase over 2π of complex fields (n, y, x), with true Poisson and read noise.

    The same fields and seed give the same noise.
    """
    readings, images = zip(*reconstruct_batches(microscope, torch.split(fields, BATCH), process, seed), strict=True)
    return torch.cat(readings), torch.cat(images)


def reconstruct_batches(
    microscope: Microscope, batches: Iterable[Tensor], process: FabricationProcess | None, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `reconstruct`, for complex fields that come in batches (batch, y, x), of which one is in memory at a time.

    Args:
        microscope: the instrument, which is set to evaluation.
        batches: the fields, `BATCH` of them at a time.
        process: given, the masks act as this process makes them.
        seed: seed of the noise.

    Yields:
        Camera readings (batch, y/b, x/b) and phase over 2π (batch, y, x), on the CPU.
    """
    device = next(microscope.parameters()).device
    microscope.eval()
    start = 0
    for batch in batches:
        with torch.no_grad():
            reading = microscope.read(batch.to(device), process, evaluation_noise(seed, start))
            image = microscope.decode(reading)
        yield reading.cpu(), image.cpu()
        start += len(batch)
