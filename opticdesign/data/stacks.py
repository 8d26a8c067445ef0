"""Pairs to learn from out of measured stacks: the frame that a decoder reads, and the phase that the stack shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from opticdesign.data.frames import Frames, read_frames
from opticdesign.data.phase_field import PhaseField
from opticdesign.decoders.phase_solvers import axial_derivative, equally_bright, solve_tie
from opticdesign.design import Design, StackData
from opticdesign.errors import DataError
from opticdesign.optics.field import Grid
from opticdesign.units import format_length

__all__ = ["load_pairs"]


def load_pairs(path: Path, data: StackData, design: Design) -> Iterator[PhaseField]:
    """The pairs of a file of stacks as fields: their phase is the label, their intensity the frame that is read.

    Stacks of one file follow each other, a frame for each plane. The phase is that of the transport-of-intensity
    equation of the whole stack, brightness corrected. The frame is over its mean where there is light, C = R/R̄, so that
    1 is the light alone. Where there is none, nothing is valid and counts as clear, so that tiles there harm no others.

    Args:
        path: the file.
        data: what its frames are.
        design: gives the wavelength and the pixels.

    Raises:
        DataError: a file that holds no whole stacks, or pixels of another size.
    """
    file, count, pitch = read_frames(path), len(data.planes), design.optics.sample_pitch
    if len(file.counts) % count:
        raise DataError(
            path,
            f"{len(file.counts)} frames",
            expected=f"{count} for each stack, at {', '.join(map(format_length, data.planes))}, as data.planes says",
            remedy="correct data.planes, or store whole stacks",
        )
    _check_pixel(file, data, pitch)
    for first in range(0, len(file.counts), count):
        frames = equally_bright(torch.from_numpy(file.counts[first : first + count].astype(np.float32)))
        intensity, derivative = axial_derivative(frames, data.planes)
        phase = solve_tie(
            intensity,
            derivative,
            Grid(file.shape, (pitch, pitch)),
            design.light.wavelength,
            data.method,
            darkest=data.darkest,
            longest_m=math.inf if data.longest is None else data.longest,
        )
        lit = intensity.clamp(min=0.0)
        valid = lit > data.darkest * lit.square().sum() / lit.sum()
        read = frames[data.planes.index(data.read)].clamp(min=0.0)
        amplitude = torch.sqrt(read / read[valid].mean()).where(valid, torch.ones_like(read))
        name = path.name if count == len(file.counts) else f"{path.name}[{first // count}]"
        yield PhaseField(name, phase.numpy(), amplitude.numpy(), valid.numpy(), path.name)


def _check_pixel(file: Frames, data: StackData, pitch: float) -> None:
    """Refuse pixels of another size than the design's: measured light cannot be sampled anew."""
    stated = None if file.pitch is None or not file.pitch.certain else (file.pitch.y, file.pitch.x)
    found = stated if data.pitch is None else (data.pitch, data.pitch)
    if found is not None and any(abs(side / pitch - 1.0) > 0.01 for side in found):
        raise DataError(
            file.path,
            f"pixels of {format_length(found[1])}",
            expected=f"{format_length(pitch)}, optics.pitch",
            remedy=f'set optics.pitch = "{format_length(found[1])}", or data.pitch to the size that is right',
        )
