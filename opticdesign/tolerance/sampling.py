"""Points in the unit cube, each of which depends on the seed and its number only."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from opticdesign.errors import UsageError
from opticdesign.randomness import numpy_stream, stream_seed

__all__ = ["Sampler", "unit_points"]

Sampler = Literal["sobol", "latin-hypercube", "random"]

_MARGIN = 1e-12  # the ends themselves have no quantile
_SOBOL_MOST = 21_201  # dimensions with known direction numbers


def unit_points(
    sampler: Sampler, dimensions: int, seed: int, first: int, count: int, total: int
) -> NDArray[np.float64]:
    """Points first … first + count − 1 of a sequence in the open unit cube: (count, dimensions).

    "sobol" is the scrambled Sobol sequence, "latin-hypercube" has one point in each of `total` strips of every
    dimension, "random" has independent points. Point i is the same whichever others are asked for with it; in a Latin
    hypercube it depends on `total` too.

    S. Joe, F. Y. Kuo, Constructing Sobol sequences with better two-dimensional projections, SIAM J. Sci. Comput. 30,
    2635 (2008), doi:10.1137/070709359; M. D. McKay, R. J. Beckman, W. J. Conover, A comparison of three methods for
    selecting values of input variables in the analysis of output from a computer code, Technometrics 21, 239 (1979),
    doi:10.1080/00401706.1979.10489755.

    Args:
        sampler: kind of sequence.
        dimensions: of the cube.
        seed: seed of the scrambling, the strips or the points.
        first: number of the first point, from 0.
        count: how many.
        total: points of the whole study.

    Raises:
        UsageError: more dimensions than Sobol sequences are known for.
    """
    kinds = {"sobol": _sobol, "latin-hypercube": _latin_hypercube, "random": _random}
    points = kinds[sampler](dimensions, seed, first, count, total) if dimensions else np.zeros((count, 0))
    return np.asarray(np.clip(points, _MARGIN, 1.0 - _MARGIN), dtype=np.float64)


def _sobol(dimensions: int, seed: int, first: int, count: int, total: int) -> NDArray[np.float64]:  # noqa: ARG001
    from scipy.stats import qmc

    if dimensions > _SOBOL_MOST:
        raise UsageError(
            f"a Sobol sequence in {dimensions} dimensions",
            expected=f"at most {_SOBOL_MOST}",
            remedy='set tolerance.sampler = "random"',
        )
    engine = qmc.Sobol(dimensions, seed=stream_seed(seed, "sobol") % 2**32)
    # scipy warns where the first call is not for a power of two; balance is not what these shards are for
    start = engine.random(1)
    if first == 0:
        return np.concatenate([start, engine.random(count - 1)])[:count]
    if first > 1:
        engine.fast_forward(first - 1)
    return np.asarray(engine.random(count), dtype=np.float64)


def _latin_hypercube(dimensions: int, seed: int, first: int, count: int, total: int) -> NDArray[np.float64]:
    part = slice(first, first + count)
    columns = []
    for dimension in range(dimensions):
        rng = numpy_stream(seed, "latin hypercube", dimension)
        strips, inside = rng.permutation(total), rng.random(total)
        columns.append((strips[part] + inside[part]) / total)
    return np.stack(columns, axis=1)


def _random(dimensions: int, seed: int, first: int, count: int, total: int) -> NDArray[np.float64]:  # noqa: ARG001
    return np.stack([numpy_stream(seed, "random point", first + row).random(dimensions) for row in range(count)])
