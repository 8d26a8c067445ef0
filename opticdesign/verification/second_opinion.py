"""What light does behind masks as their files have them, by another way than training goes; float64, numpy and scipy.

Nothing is shared with the model that trains but the design, the materials' indices and the conventions: time factor
e^{−iωt}, forward travel e^{+ikz} without its carrier, φ = 2π(n − n₀)h/λ, samples at (i − (N − 1)/2)·pitch about one
axis. Masks are squares where the coordinates of a file put them, opaque around.

Layers
    Free space is an angular spectrum whose evanescent waves decay, in a window at least twice as wide as the widest
    plane. Light that a frequency f sends off by x(f) = zλf/√(1 − λ²f²) comes back into a window that repeats; so
    frequencies fade out between the farthest offset that is needed and the nearest that would come back.
    K. Matsushima, T. Shimobaba, Band-limited angular spectrum method, Opt. Express 17, 19662 (2009),
    doi:10.1364/OE.17.019662, cuts them off there. Fading takes some zones of √(dx/df), which are wide where light goes
    far, or almost along the planes; where that takes more than four times the widest plane, the kernel of Rayleigh and
    Sommerfeld is sampled instead, in a window that holds the whole linear convolution. A mask is the series
    t̂(f) = Σ tₙ·e^{−2πi f·xₙ}·w²·sinc(w·f), as far as the grid carries it: right for light of frequencies to 1/λ where
    samples are λ/4 or less apart.

Filter
    Fourier integrals over each square of the pupil, by Gauss and Legendre: several points in each, the field at each
    of them summed from the samples of the object. No window, and so nothing that repeats.

Microscope
    Fourier integrals over the pupil's disc by Gauss's rule, rows from rim to rim, the object tilted for each point of
    the source, on rings of their own; the field summed from the samples of the object, so that nothing repeats.

Relief
    Light is marched through thin slices: a screen of each slice's material in its middle, and to either side the
    spectrum of the slice's mean index over the mask; what leaves a mask through its sides is lost.
    M. D. Feit, J. A. Fleck, Appl. Opt. 17, 3990 (1978), doi:10.1364/AO.17.003990.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.instrument.family import Family, Spec, System, family_of
from opticdesign.verification.mask_in_file import (
    Effort,
    Fields,
    MaskInFile,
    SecondOpinion,
    mask_size_m,
    masks_of_design,
)

__all__ = [
    "MaskInFile",
    "SecondOpinion",
    "VerifiedFamily",
    "mask_size_m",
    "masks_of_design",
    "second_opinion",
]

_MEMORY = 1_500_000_000  # bytes


class VerifiedFamily(Family[Spec, System]):
    """A kind of optics that has a second model, which shares nothing with the one that trains."""

    @abstractmethod
    def second_opinion(
        self, design: Design, optics: Spec, masks: Sequence[MaskInFile], fields: Fields, effort: Effort
    ) -> SecondOpinion:
        """The light on the camera; arguments as of `second_opinion`, the masks as many as light passes."""


def second_opinion(
    design: Design,
    masks: Sequence[MaskInFile],
    fields: npt.NDArray[np.complexfloating],
    samples: int | None = None,
    memory_bytes: int = _MEMORY,
) -> SecondOpinion:
    """The light on the camera of a design, with masks as files have them.

    Args:
        design: the instrument.
        masks: those that light passes, in its order.
        fields: complex fields in the object plane with their margin, sampled as the image is (n, y, x); dark beyond.
            Behind a filter neighbours go on as the field's mean, and what repeats is the same again and again.
        samples: least samples across a neuron; left out, as many as steep light needs, and as memory holds.
        memory_bytes: what may be used.

    Raises:
        UsageError: planes that do not fit that memory, another number of masks than light passes, or a kind of optics
            that has no second model.
    """
    family, expected = family_of(design.optics), design.optics.crossed
    if not isinstance(family, VerifiedFamily):
        raise UsageError(
            f"optics of the kind {design.optics.kind!r} have no second model",
            expected="a kind whose family has one",
            remedy="trust the one that trains, or take another kind",
        )
    if len(masks) != expected:
        raise UsageError(f"{len(masks)} masks", expected=f"the {expected} that light passes")
    light, effort = np.asarray(fields, np.complex128), Effort(samples, memory_bytes)
    opinion: SecondOpinion = family.second_opinion(design, design.optics, masks, light, effort)
    return opinion
