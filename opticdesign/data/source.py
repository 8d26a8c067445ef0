"""The fields that a design asks for, split into training, validation and test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from opticdesign.data.folder import load_fields
from opticdesign.data.sectors import Split, split_fields
from opticdesign.data.synthetic import synthetic_field
from opticdesign.design import Design, SyntheticData
from opticdesign.randomness import stream_seed

__all__ = ["load_split"]

_SYNTHETIC_SIZE = 1.5  # synthetic field over patch: room for random positions, and tiles to blend in a full field


def load_split(design: Design) -> Split:
    """Synthesise or read the fields of a design, sampled at its pitch, and split them.

    Raises:
        DataError: the files cannot be read, or are too small for the design's patches.
    """
    data, optics = design.data, design.optics
    if isinstance(data, SyntheticData):
        shape = (int(_SYNTHETIC_SIZE * optics.shape[0]), int(_SYNTHETIC_SIZE * optics.shape[1]))
        seeds = [stream_seed(design.training.seed, "field", i) for i in range(data.fields)]
        fields = [
            replace(synthetic_field(shape, optics.sample_pitch, design.light.wavelength, seed), name=f"synthetic {i}")
            for i, seed in enumerate(seeds, start=1)
        ]
        held_out = max(1, data.fields // 6)
        return Split(fields[2 * held_out :], fields[:held_out], fields[held_out : 2 * held_out])
    fields = load_fields(
        Path(data.path),
        pitch_m=data.pitch or optics.sample_pitch,
        design_pitch_m=optics.sample_pitch,
        key=data.key,
        phase_range_rad=data.phase_range,
    )
    return split_fields(fields, data.split, data.split_by, optics.shape)
