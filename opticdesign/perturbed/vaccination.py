"""Training on instruments that are not as designed, so that what is learned does not depend on being built exactly.

D. Mengu, Y. Zhao, N. T. Yardimci, Y. Rivenson, M. Jarrahi, A. Ozcan, Misalignment resilient diffractive optical
networks, Nanophotonics 9, 4207 (2020), doi:10.1515/nanoph-2020-0291, who draw shifts of layers in each step of training
and call it vaccination.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.elements.element import Quantiser
from opticdesign.optics.hop import Hop
from opticdesign.perturbed.deviations import deviations_of
from opticdesign.perturbed.hops import Way
from opticdesign.perturbed.optics import perturbed_family, perturbed_optics
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import build_space
from opticdesign.randomness import numpy_stream

__all__ = ["Vaccine"]


class Vaccine:
    """Draws of a design's errors, one for each batch of training, or for each patch of it.

    Args:
        design: says the errors and the seed.
        process: makes the masks.

    Raises:
        UsageError: no errors are known of its kind of optics.
    """

    def __init__(self, design: Design, process: FabricationProcess) -> None:
        perturbed_family(design)  # told before the first step
        self._design, self._space, self._process = design, build_space(design), process
        self._ways: dict[Hop, Way] = {}

    def intensity(
        self,
        optics: OpticalSystem,
        quantiser: Quantiser,
        fields: Tensor,
        phase_rad: Tensor,
        batch: int,
        crossed: int | None = None,
        *,
        each: bool = False,
    ) -> Tensor:
        """Intensity on the camera (images, y, x) behind optics with the errors of a batch.

        The masks learn as if the errors of their making were constants; all others are differentiated through.

        Args:
            optics: the optics that learn.
            quantiser: makes their masks; its levels are what errors befall.
            fields: complex, with the margin that the optics take, (images, y + 2·my, x + 2·mx).
            phase_rad: their phase in radians, not wrapped, same shape.
            batch: number of the batch, and of its draw.
            crossed: masks that light passes; left out, as many as the design says.
            each: whether each image has errors of its own.
        """
        seed, draws = self._design.training.seed, len(fields) if each else 1
        rng = numpy_stream(seed, "vaccination", batch)
        values = self._space.values(rng.uniform(1e-12, 1.0 - 1e-12, (draws, len(self._space.parameters))))
        dev = deviations_of(
            self._design, self._space, np.asarray(values), range(batch * draws, (batch + 1) * draws), seed
        )
        learned = optics.phases(quantiser)
        perturbed = perturbed_optics(self._design, optics, self._process, learned.detach(), crossed, self._ways)
        parts = (Sample(*part) for part in zip(fields.chunk(draws), phase_rad.chunk(draws), strict=True))
        return torch.cat([perturbed.intensity(part, dev.rows([draw]), learned)[0] for draw, part in enumerate(parts)])
