"""Tuning a decoder to one perturbed instrument: a linear correction of what it makes, fitted in closed form.

It is what a lab does with the first device: show it known samples, and correct the decoder by what it gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from opticdesign.decoders import LinearReader
from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import camera_period
from opticdesign.instrument.microscope import Microscope
from opticdesign.perturbed.sample import Sample
from opticdesign.randomness import torch_stream

__all__ = ["Retuning"]


class Retuning:
    """Known samples that decoders are tuned with.

    Args:
        design: says camera and seed.
        calibration: batches of samples, and the phase over 2π of what is imaged of them (batch, y, x).
    """

    def __init__(self, design: Design, calibration: Sequence[tuple[Sample, Tensor]]) -> None:
        self._design, self._calibration = design, calibration

    def decoder(self, microscope: Microscope, light: Callable[[Sample], Tensor]) -> Callable[[Tensor], Tensor]:
        """The decoder of a microscope with a correction for optics that are not as designed.

        Without a decoder, the image is scaled anew.

        Args:
            microscope: gives camera and decoder; not changed.
            light: intensity on the camera (1, batch, y, x) of samples through these optics.

        Raises:
            UsageError: there are no known samples.
        """
        if not self._calibration:
            raise UsageError("nothing to tune a decoder with", expected="fields of training data")
        readings = [
            microscope.detector(light(sample)[0], torch_stream(self._design.training.seed, "retuning noise", number))
            for number, (sample, _) in enumerate(self._calibration)
        ]
        pairs = list(zip(readings, (target for _, target in self._calibration), strict=True))
        return _rescaled(pairs) if microscope.decoder is None else self._corrected(microscope, pairs)

    def _corrected(self, microscope: Microscope, pairs: Sequence[tuple[Tensor, Tensor]]) -> Callable[[Tensor], Tensor]:
        """Decoder plus the linear reader that is best for what it leaves wrong."""
        reader = LinearReader(self._design.detector.binning, camera_period(self._design)).to(pairs[0][0].device)
        with torch.no_grad():
            seen = [reader.seen(reading, target - microscope.decode(reading)) for reading, target in pairs]
            grams, moments = zip(*seen, strict=True)
            reader.fit(torch.stack(grams).sum(0), torch.stack(moments).sum(0))

        def decode(reading: Tensor) -> Tensor:
            image: Tensor = microscope.decode(reading) + reader(reading)
            return image

        return decode


def _rescaled(pairs: Sequence[tuple[Tensor, Tensor]]) -> Callable[[Tensor], Tensor]:
    """The reading times the factor that brings it nearest to the targets."""
    readings, targets = (torch.cat(each) for each in zip(*pairs, strict=True))
    factor = (readings * targets).sum() / readings.square().sum()
    return lambda reading: factor * reading
