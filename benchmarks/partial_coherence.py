"""A bright-field microscope beside bare transforms: `python -m benchmarks.partial_coherence [--size N] [--batch N]`.

The floor is one pair of Fourier transforms for each point of the source and each image, in a window that holds the same
light; for gradients it is taken three times: for an image, for the same image again on the way back, and for the way
back. Ours makes the object's spectrum once for all points, leaves out the frequencies that no pupil passes, and adds up
intensities.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.timing import interleave, median_ratio
from opticdesign.design import load_design
from opticdesign.instrument.bright_field import BrightFieldSystem
from opticdesign.instrument.building import build_optics

__all__ = ["Case", "main", "measured"]

_DESIGN = Path(__file__).parent.parent / "designs" / "dlsrqpi.toml"
_COHERENCES = (0.0, 0.1, 0.4)


@dataclass(frozen=True)
class Case:
    """What was measured.

    Args:
        coherence: S of the condenser.
        points: of the source.
        window: rows and columns that light is transformed in.
        seconds: of one batch of images by ours.
        ratio: that over the floor's, the median of rounds.
        gradient_ratio: the same of an image and its gradient to the object.
    """

    coherence: float
    points: int
    window: tuple[int, int]
    seconds: float
    ratio: float
    gradient_ratio: float


def measured(size: int, batch: int, rounds: int = 5) -> Iterator[Case]:
    """Each coherence in turn, `batch` images of size² samples at once."""
    for coherence in _COHERENCES:
        settings = [f"optics.neurons={size}", f"optics.coherence={coherence}", f"evaluation.overlap={size // 4}"]
        system = build_optics(load_design(_DESIGN, settings))
        if not isinstance(system, BrightFieldSystem):
            raise TypeError(f"{_DESIGN} is no microscope")
        phase = torch.rand((batch, *system.object_grid.shape), generator=torch.Generator().manual_seed(0))
        field = torch.polar(torch.ones_like(phase), phase)
        window, points = system.source_plane.window, len(system.source.weights)
        wide = torch.zeros((batch, *window), dtype=torch.complex64)
        runs = {
            "ours": _forward(system, field),
            "floor": _pairs(wide, points),
            "our gradient": _gradient(system, field),
            "floor gradient": _pairs(wide, 3 * points),
        }
        times = interleave(runs, rounds)
        yield Case(
            coherence,
            points,
            window,
            sorted(times["ours"])[len(times["ours"]) // 2],
            median_ratio(times, "ours", "floor"),
            median_ratio(times, "our gradient", "floor gradient"),
        )


def _forward(system: BrightFieldSystem, field: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.no_grad():
            return system.intensity(field)

    return run


def _gradient(system: BrightFieldSystem, field: Tensor) -> Callable[[], Tensor]:
    def run() -> Tensor:
        learned = field.clone().requires_grad_()
        return torch.autograd.grad(system.intensity(learned).sum(), learned)[0]

    return run


def _pairs(wide: Tensor, count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            torch.fft.ifft2(torch.fft.fft2(wide))

    return run


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partial_coherence", description=__doc__)
    parser.add_argument("--size", type=int, default=256, metavar="N", help="rows and columns, a multiple of 32")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="images at once")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print("| S | points | window | ours / s | over the floor | with gradient |\n|---|---|---|---|---|---|")
    for case in measured(options.size, options.batch):
        sides = " × ".join(map(str, case.window))
        print(
            f"| {case.coherence:g} | {case.points} | {sides} | {case.seconds:.2g} | {case.ratio:.2f} | "
            f"{case.gradient_ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
