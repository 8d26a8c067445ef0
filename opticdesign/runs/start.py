"""Starting a design with what another one has learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_microscope
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.learning.training import load_weights
from opticdesign.runs.run_folder import Run, open_run, resume_command
from opticdesign.units import format_length

__all__ = ["check_start", "load_trained", "take_over", "take_over_run"]


def check_start(ours: OpticalSystem, design: Design, theirs: OpticalSystem, source: Design, name: str) -> None:
    """Refuse to start optics of a design with those of another one that do not fit; arguments as for `take_over`.

    Raises:
        UsageError: the optics are of another kind, size, pitch or wavelength, or do not repeat as those of the design.
    """
    remedy = "start from another run, or without one"
    if not _same_shapes(ours, theirs):
        message = f"{name}: its optics are not of the kind and size of this design's"
        expected = "the same optics.kind, layers, neurons, padding and mode"
        raise UsageError(message, expected=expected, remedy=remedy)
    if not design.optics.regular_as(source.optics):
        message = f"{name}: its masks do not repeat as this design's do"
        raise UsageError(message, expected="the same optics.cell, or optics.rings", remedy=remedy)
    for key, first, second in (
        ("light.wavelength", design.light.wavelength, source.light.wavelength),
        ("optics.pitch", design.optics.sample_pitch, source.optics.sample_pitch),
    ):
        if first != second:
            message = f"{name}: its {key} is {format_length(second)}, this design's {format_length(first)}"
            raise UsageError(message, expected="masks that were learned for the same light and samples", remedy=remedy)


def take_over(ours: Microscope, design: Design, theirs: Microscope, source: Design, name: str) -> list[str]:
    """Give a microscope the masks of another one, and its decoder where that is of the same kind and size.

    Args:
        ours: the microscope that is changed.
        design: its design.
        theirs: the trained one.
        source: the design of that.
        name: what to call the other one in an error.

    Returns:
        The parts that were taken: "optics", and "decoder" if so.

    Raises:
        UsageError: as `check_start`.
    """
    check_start(ours.optics, design, theirs.optics, source, name)
    ours.optics.load_state_dict(theirs.optics.state_dict())
    ours.brightness.load_state_dict(theirs.brightness.state_dict())
    if ours.decoder is None or theirs.decoder is None or not _same_shapes(ours.decoder, theirs.decoder):
        return ["optics"]
    ours.decoder.load_state_dict(theirs.decoder.state_dict())
    return ["optics", "decoder"]


def _same_shapes(ours: nn.Module, theirs: nn.Module) -> bool:
    """Whether the states of two modules have the same names and sizes, as those of one kind and size do."""
    first, second = ({key: value.shape for key, value in part.state_dict().items()} for part in (ours, theirs))
    return first == second


def take_over_run(folder: Path, design: Design, microscope: Microscope) -> dict[str, Any]:
    """Give a microscope what another run has learned; says from which run and checkpoint, and which parts.

    Raises:
        UsageError: the run is not complete, or its optics do not fit.
    """
    source = open_run(folder)
    trained, digest = load_trained(source, torch.device("cpu"))
    parts = take_over(microscope, design, trained, source.design, str(source.folder))
    return {"run": source.folder.name, "checkpoint_sha256": digest, "parts": parts}


def load_trained(run: Run, device: torch.device, accuracy: float | None = None) -> tuple[Microscope, str]:
    """The trained microscope of a complete run, and the SHA-256 of its checkpoint.

    Args:
        run: the run.
        device: where it is to be.
        accuracy: of the optics' reading; left out, the design's.

    Raises:
        UsageError: training has not come to its end.
        RunError: the checkpoint that it ended with is damaged.
    """
    if not run.complete:
        raise UsageError(
            f"{run.folder}: training has not finished (status {run.info['status']!r})",
            expected="a complete run",
            remedy=resume_command(run.folder),
        )
    tensors, _, digest = run.final()
    optics = run.design.optics.model_copy(update={} if accuracy is None else {"accuracy": accuracy})
    microscope = build_microscope(run.design.model_copy(update={"optics": optics}))
    load_weights(microscope, tensors)
    return microscope.to(device).eval(), digest
