"""The instrument on the test bench: test images through perturbed optics, the camera and the decoder, and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.data import PatchSet
from opticdesign.design import Design
from opticdesign.errors import OpticDesignError, UsageError
from opticdesign.instrument.microscope import Microscope
from opticdesign.instrument.reconstruction import BATCH, evaluation_noise
from opticdesign.learning.evaluation import METRICS, image_scores
from opticdesign.perturbed.deviations import Deviations, deviations_of
from opticdesign.perturbed.optics import perturbed_optics
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import Space
from opticdesign.tolerance.retuning import Retuning

__all__ = ["OpticalBench", "build_bench"]

_GIB = 2**30
_MEMORY_GIB = 2.0  # on a CPU, where nothing is won by more
_FREE_SHARE = 0.5  # of a GPU's memory


class OpticalBench:
    """Judges a trained microscope at points of its errors; an `evaluator.Bench`.

    The images, and the seed of the camera's noise, are the same at every point, and as in evaluation.

    Args:
        design: what the microscope is built from.
        microscope: trained, on the device where to compute.
        space: its errors.
        sample: test images.
        targets: what they should give, phase over 2π (images, y, x).
        seed: with the number of a draw, gives its per-pixel patterns.
        memory_bytes: what several draws at once may take.
        retuning: tunes the decoder to a perturbed instrument.
    """

    def __init__(
        self,
        design: Design,
        microscope: Microscope,
        space: Space,
        *,
        sample: Sample,
        targets: Tensor,
        seed: int,
        memory_bytes: int,
        retuning: Retuning,
    ) -> None:
        self._design, self._microscope, self._space = design, microscope.eval(), space
        self._targets, self._seed, self._retuning = targets, seed, retuning
        device = sample.fields.device
        parts = zip(torch.split(sample.fields, BATCH), torch.split(sample.phase_rad, BATCH), strict=True)
        self._samples = [Sample(fields, phase) for fields, phase in parts]
        self._process = microscope.process
        self._optics = perturbed_optics(design, microscope.optics, self._process)
        needed = self._optics.bytes_per_draw(min(BATCH, len(targets)))
        # on a CPU one draw at a time stays in the cache
        self._together = 1 if device.type == "cpu" else max(1, memory_bytes // needed)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return METRICS

    @property
    def images(self) -> int:
        """Number of test images."""
        return len(self._targets)

    @property
    def targets(self) -> NDArray[np.float32]:
        """What the images should be, phase over 2π (images, y, x)."""
        return np.asarray(self._targets.numpy(), dtype=np.float32)

    def evaluate(self, values: NDArray[np.float64], indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """As `evaluator.Evaluator.evaluate`.

        Raises:
            UsageError: a draw that the model cannot simulate.
            OpticDesignError: not enough memory even for one draw.
        """
        return self._scores(self._images(values, indices), len(values))

    def pictures(self, values: NDArray[np.float64], indices: Sequence[int]) -> NDArray[np.float32]:
        """As `evaluator.Bench.pictures`."""
        found: list[Tensor | None] = [None] * len(values)
        for place, image in self._images(values, indices):
            found[place] = image
        return np.stack([image.numpy() for image in found if image is not None]).astype(np.float32)

    def retuned(self, values: NDArray[np.float64], indices: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """As `evaluator.Bench.retuned`."""
        dev = deviations_of(self._design, self._space, values, indices, self._seed)

        def images() -> Iterator[tuple[int, Tensor]]:
            for place in range(len(values)):
                draw = dev.rows([place])
                decode = self._retuning.decoder(self._microscope, partial(self._light, dev=draw))
                yield place, _decoded(decode, self._readings(draw)[0])

        return self._scores(images(), len(values))

    def _scores(self, images: Iterator[tuple[int, Tensor]], count: int) -> dict[str, NDArray[np.float64]]:
        """Every metric (n, images) of reconstructions of draws, by the place of each draw."""
        table = {metric: np.empty((count, self.images)) for metric in METRICS}
        for place, image in images:
            for metric, scores in image_scores(image, self._targets).items():
                table[metric][place] = scores.double().numpy()
        return table

    def _images(self, values: NDArray[np.float64], indices: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """Place of each draw and its reconstruction, phase over 2π (images, y, x), on the CPU."""
        dev = deviations_of(self._design, self._space, values, indices, self._seed)
        for places in dev.alike():
            group = dev.rows(places)
            plans = [(0, 0)] * len(places) if group.nominal else self._optics.plans(group)
            for plan in dict.fromkeys(plans):
                chosen = [place for place, one in enumerate(plans) if one == plan]
                yield from self._in_chunks(group.rows(chosen), [places[place] for place in chosen])

    def _in_chunks(self, dev: Deviations, places: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
        """The same for draws of one plan, as many at once as memory holds."""
        done = 0
        while done < len(places):
            chunk = range(done, min(done + self._together, len(places)))
            try:
                readings = self._readings(dev.rows(chunk))
            except (torch.OutOfMemoryError, RuntimeError) as error:
                self._halve(error, len(chunk))
                continue
            for place, reading in zip(chunk, readings, strict=True):
                yield places[place], _decoded(self._microscope.decode, reading)
            done += len(chunk)

    def _halve(self, error: RuntimeError, tried: int) -> None:
        """Take half as many draws at once after an error for want of memory.

        Raises:
            OpticDesignError: one was too many.
            RuntimeError: the error was another one.
        """
        if not isinstance(error, torch.OutOfMemoryError) and "allocate" not in str(error):
            raise error
        if tried == 1:
            raise OpticDesignError(
                "not enough memory for one draw",
                expected=f"about {self._optics.bytes_per_draw(BATCH) / _GIB:.2g} GiB",
                remedy="fewer --workers, or a machine with more memory",
            ) from error
        torch.cuda.empty_cache()  # where there is none, it does nothing
        self._together = tried // 2

    def _readings(self, dev: Deviations) -> list[list[Tensor]]:
        """What the camera reads of the batches of images, for each draw."""
        found: list[list[Tensor]] = [[] for _ in range(len(dev))]
        start = 0
        for sample in self._samples:
            intensity = self._light(sample, dev)
            for draw, light in zip(found, intensity, strict=True):
                noise = evaluation_noise(self._design.training.seed, start)
                draw.append(self._microscope.detector(light, noise))
            start += len(sample.fields)
        return found

    def _light(self, sample: Sample, dev: Deviations) -> Tensor:
        """Intensity on the camera (n, images, y, x) of draws of one plan, without gradients.

        Raises:
            UsageError: errors beyond what can be simulated.
        """
        with torch.no_grad():
            if dev.nominal:
                nominal = self._microscope.optics.intensity(sample.fields, self._process)
                return nominal.expand(len(dev), *nominal.shape)
            intensity = self._optics.intensity(sample, dev)
        if not bool(torch.isfinite(intensity).all()):
            raise UsageError(
                "errors so large that their light is no number",
                expected="errors for which the optics can be simulated",
                remedy="smaller errors in [tolerance]",
            )
        return intensity


def _decoded(decode: Callable[[Tensor], Tensor], readings: Sequence[Tensor]) -> Tensor:
    """Phase over 2π (images, y, x) on the CPU, batch by batch as in evaluation."""
    with torch.no_grad():
        return torch.cat([decode(reading).cpu() for reading in readings])


def build_bench(
    design: Design,
    microscope: Microscope,
    space: Space,
    test: PatchSet,
    *,
    seed: int,
    memory_gib: float | None = None,
    calibration: PatchSet | None = None,
) -> OpticalBench:
    """A bench for a trained microscope, on its device.

    Args:
        design: what it was built from.
        microscope: the microscope.
        space: the errors.
        test: test images.
        seed: seed of what varies from pixel to pixel.
        memory_gib: memory for several draws at once; half of what a GPU has free, or 2 on a CPU, when left out.
        calibration: other images, that a decoder is tuned again with.

    Raises:
        UsageError: a memory that is none.
    """
    if memory_gib is not None and memory_gib <= 0.0:
        raise UsageError(f"a memory of {memory_gib} GiB", expected="more than 0", remedy="correct --memory")
    device = next(microscope.parameters()).device
    if memory_gib is None:
        free = torch.cuda.mem_get_info(device)[0] / _GIB if device.type == "cuda" else _MEMORY_GIB / _FREE_SHARE
        memory_gib = _FREE_SHARE * free
    return OpticalBench(
        design,
        microscope,
        space,
        sample=Sample(test.fields.to(device), test.phase_rad.to(device)),
        targets=test.targets,
        seed=seed,
        memory_bytes=int(memory_gib * _GIB),
        retuning=Retuning(design, _samples(calibration, device)),
    )


def _samples(calibration: PatchSet | None, device: torch.device) -> list[tuple[Sample, Tensor]]:
    """Batches of samples for calibration, and their targets."""
    if calibration is None:
        return []
    batches = zip(*(torch.split(part.to(device), BATCH) for part in calibration), strict=True)
    return [(Sample(fields, phase_rad), targets) for fields, phase_rad, targets in batches]
