"""Draws as the physics needs them: the errors of each group as an array, for some draws at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from opticdesign.design import Design
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import COMPENSATORS, Pattern, Space, group_axes

__all__ = ["Deviations", "deviations_of"]


class Deviations:
    """Errors of n draws.

    Args:
        groups: name of a group → its errors in SI units, float64 (n, …); groups that are not there do not err.
        patterns: what varies from pixel to pixel, by name.
        indices: number of each draw.
        seed: with the number of a draw, gives its patterns.
    """

    def __init__(
        self, groups: Mapping[str, Tensor], patterns: Mapping[str, Pattern], indices: Sequence[int], seed: int
    ) -> None:
        self._groups, self.patterns, self.indices, self.seed = groups, patterns, tuple(indices), seed
        self._signatures = self._find_signatures()

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, group: str) -> Tensor:
        """Errors of a group, float64 (n, …).

        Raises:
            KeyError: it does not err.
        """
        return self._groups[group]

    def get(self, group: str) -> Tensor | None:
        """Errors of a group, float64 (n, …); None where none of the draws has any."""
        found = self._groups.get(group)
        return found if found is not None and self.active(group) else None

    def active(self, *groups: str) -> bool:
        """Whether one of the draws has an error of one of the groups, or a pattern of one of the names."""
        return any(group in signature for signature in self._signatures for group in groups)

    def pattern(self, name: str) -> Pattern | None:
        """What varies from pixel to pixel under a name; None where no draw has it."""
        return self.patterns.get(name) if self.active(name) else None

    @property
    def nominal(self) -> bool:
        """Whether no draw errs at all."""
        return not any(self._signatures)

    def alike(self) -> list[list[int]]:
        """Places of the draws, those together that have errors of the same groups."""
        found: dict[frozenset[str], list[int]] = {}
        for place, signature in enumerate(self._signatures):
            found.setdefault(signature, []).append(place)
        return list(found.values())

    def rows(self, places: Sequence[int]) -> Deviations:
        """Some of the draws."""
        groups = {name: values[list(places)] for name, values in self._groups.items()}
        return Deviations(groups, self.patterns, [self.indices[place] for place in places], self.seed)

    def _find_signatures(self) -> list[frozenset[str]]:
        """Names of the groups and patterns of each draw that are not nominal."""
        errs = {name: (values.reshape(len(values), -1) != 0.0).any(1).tolist() for name, values in self._groups.items()}
        return [
            frozenset(name for name, rows in errs.items() if rows[place])
            | (frozenset(self.patterns) if index != NO_PATTERN else frozenset())
            for place, index in enumerate(self.indices)
        ]


def deviations_of(
    design: Design, space: Space, values: NDArray[np.float64], indices: Sequence[int], seed: int
) -> Deviations:
    """Points of a space (n, d), or (n, d + 3) with compensators, as errors of the instrument of a design."""
    groups: dict[str, Tensor] = {}
    for group in dict.fromkeys(space.groups):
        shape = [count for _, count in group_axes(design, group)]
        groups[group] = torch.from_numpy(space.group_values(values, group, shape))
    behind = torch.from_numpy(values[:, len(space.parameters) :])
    if behind.shape[1]:
        refocus, *across = (behind[:, place] for place in range(len(COMPENSATORS)))
        groups["refocus"], groups["image_shift"] = refocus, torch.stack(across, 1)
    return Deviations(groups, {pattern.name: pattern for pattern in space.patterns}, indices, seed)
