"""Diffractive layers with the errors of draws: masks as they are made, planes as they are mounted, light as it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.optics.cascade import cascade
from opticdesign.optics.hop import Hop
from opticdesign.optics.straight_through import straight_through
from opticdesign.optics.thick import ThickRelief
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.hops import Moves, PerturbedHop, Way
from opticdesign.perturbed.masks import PerturbedMasks
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.tilts import tilt_orders

__all__ = ["PerturbedLayers"]

_FIELDS = 6  # windows that one field needs while it is propagated, transforms and copies counted


class PerturbedLayers:
    """A stack of masks, thin or thick, as draws make it.

    Args:
        design: says what the masks are made of.
        optics: the stack as designed, on the device where to compute.
        process: makes the masks.
        phases_rad: of the masks that it makes, one a neuron (layers, y, x).
        crossed: masks that light passes; left out, as many as the design says.
        ways: what is known of the hops of the same stack with other masks; what is missing is added.
    """

    def __init__(
        self,
        design: Design,
        optics: DiffractiveSystem,
        process: FabricationProcess,
        phases_rad: Tensor,
        crossed: int | None = None,
        ways: dict[Hop, Way] | None = None,
    ) -> None:
        self._optics, self._process = optics, process
        self._crossed = crossed or optics.crossed
        levels = process.level_of_phase(phases_rad)[: self._crossed]
        mask = optics.masks[0]
        self._masks = PerturbedMasks(design, process, levels, mask.sampling, mask.square)
        self._hops = optics.taken(self._crossed)
        ways = {} if ways is None else ways
        for hop in self._hops:
            if hop not in ways:
                ways[hop] = Way(hop)
        self._ways = [ways[hop] for hop in self._hops]

    def plans(self, dev: Deviations) -> list[tuple[int, int]]:
        """For each draw, the first plane behind which it differs from nominal, and the order of its tilts.

        Draws of one plan can go together. Plane 0 is the object, plane l > 0 is mask l.
        """
        last = len(self._hops)
        changed = torch.zeros((len(dev), last + 1), dtype=torch.bool)
        changed[:, 1:last] = self._masks.changed(dev)
        shifts, slopes, turns = self._shifts(dev), self._slopes(dev), self._turns(dev)
        changed[:, :last] |= (self._gaps(dev) != 0.0) | (shifts.diff(dim=1) != 0.0).any(2) | (turns.diff(dim=1) != 0.0)
        changed[:, :last] |= (slopes[:, 1:] != 0.0).any(2) | (slopes[:, :-1] != 0.0).any(2)
        changed[:, 0] |= torch.tensor(dev.active("wavelength"))
        changed[:, last] = True
        orders = torch.zeros(len(dev), dtype=torch.int64)
        for j, hop in enumerate(self._hops if dev.active("tilt") else []):
            orders = torch.maximum(orders, tilt_orders(hop, (slopes[:, j], slopes[:, j + 1])))
        first = changed.to(torch.int8).argmax(1)
        return list(zip(first.tolist(), orders.tolist(), strict=True))

    def field(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Complex fields on the camera, (n, images, y, x), of draws of one plan.

        Args:
            sample: what light comes from.
            dev: the draws.
            learned: phases of the neurons (layers, y, x) that take the gradient of the masks that are made of them.
        """
        first, order = self.plans(dev)[0]
        first = min(first, len(self._hops) - 1)
        hops = self._perturbed_hops(dev, first, order)
        light = self._light(sample, dev, first)
        if self._optics.thick is not None:
            return self._through_thick(light, hops, dev, first, learned)
        masks = self._transmissions(dev, max(first - 1, 0), learned)
        if first > 0:
            light, masks = light * masks[:, :1], masks[:, 1:]
        if light.device.type != "cpu":
            return _through(light, masks, hops)
        if all(hop.plain for hop in hops):
            return _one_draw_at_a_time(light, masks, hops)
        # one image at a time stays in the cache
        return torch.cat([_through(image, masks, hops) for image in torch.split(light, 1, 1)], 1)

    def intensity(self, sample: Sample, dev: Deviations, learned: Tensor | None = None) -> Tensor:
        """Intensities in the image, (n, images, y, x), of draws of one plan; arguments as of `field`."""
        return self._optics.seen(self.field(sample, dev, learned))

    def bytes_per_draw(self, images: int) -> int:
        """Memory that one draw takes with so many images at once."""
        windows = [math.prod(plane.window) for hop in self._hops for plane in (hop.source, hop.target)]
        fields, masks = images * _FIELDS + 2 * len(self._hops), 8 * self._crossed
        return 8 * (fields * max(windows) + masks * math.prod(self._masks.grid.shape))

    def _light(self, sample: Sample, dev: Deviations, first: int) -> Tensor:
        """The field of the object, or nominal in front of mask `first`, (n or 1, images, y, x)."""
        if first == 0:
            return sample.at(dev.get("wavelength"))
        if first not in sample.ahead:
            with torch.no_grad():
                sample.ahead[first] = self._nominal_ahead(sample.fields, first)
        return sample.ahead[first][None]

    def _nominal_ahead(self, fields: Tensor, first: int) -> Tensor:
        if self._optics.thick is None:
            masks = self._masks.nominal_transmissions[: first - 1]
            return cascade(fields, masks, [way.nominal for way in self._ways[:first]])
        wave: Tensor = self._hops[0](fields)
        for layer in range(first - 1):
            wave = self._hops[layer + 1](self._optics.behind(layer, wave, self._process))
        return wave

    def _transmissions(self, dev: Deviations, first: int, learned: Tensor | None) -> Tensor:
        """Transmissions of the masks from number `first` on, counted from 0, complex (n, layers − first, y, x)."""
        if learned is None and not bool(self._masks.changed(dev).any()):
            return self._masks.nominal_transmissions[first:].expand(len(dev), -1, -1, -1)
        phases = self._masks.phases(dev, first)
        if learned is not None:
            phases = straight_through(self._of_samples(learned, first).expand_as(phases), phases)
        return self._masks.transmissions(phases, self._masks.loss(dev))

    def _of_samples(self, learned: Tensor, first: int) -> Tensor:
        """Phases of neurons on the grid of the field, of the masks that light passes from number `first` on."""
        return self._masks.sampled(learned[first : self._crossed])

    def _through_thick(
        self, light: Tensor, hops: Sequence[PerturbedHop], dev: Deviations, first: int, learned: Tensor | None
    ) -> Tensor:
        """The field behind reliefs that light is marched through, draw by draw: each has heights of its own."""
        heights = self._masks.heights(dev, max(first - 1, 0))
        if learned is not None:
            smooth = self._process.height_of_phase(self._of_samples(learned, max(first - 1, 0)))
            heights = straight_through(smooth.expand_as(heights), heights)
        losses = torch.as_tensor(self._masks.loss(dev), dtype=torch.float64).expand(len(dev)).tolist()
        constants = torch.stack([*self._masks.light(dev), self._masks.phase_per_m(dev)], 1)
        light = light.expand(len(dev), *light.shape[1:])
        behind = []
        for draw, wave in enumerate(torch.split(light, 1)):
            relief = self._relief(constants[draw].tolist() if dev.active("wavelength", "index") else None, losses[draw])
            parts = [hop.of_draw(draw) for hop in hops]
            if first == 0:
                wave = parts.pop(0)(wave)
            for layer, hop in enumerate(parts):
                wave = hop(self._marched(wave, heights[draw, layer], relief, float(constants[draw, 3])))
            behind.append(wave)
        return torch.cat(behind)

    def _relief(self, constants: Sequence[float] | None, loss: float = 0.0) -> ThickRelief:
        """The march as designed, or for another wavelength, other indices and what absorbs there."""
        if self._optics.thick is None:
            raise TypeError("thin masks are not marched through")
        nominal = self._optics.thick.relief
        if constants is None:
            return nominal
        wavelength_m, index, medium_index, _ = constants
        relief = ThickRelief(
            nominal.grid,
            wavelength_m,
            index,
            medium_index,
            depth_m=nominal.depth_m,
            slices=nominal.slices,
            beyond_m=nominal.beyond_m,
        )
        relief.loss = loss
        return relief.to(self._masks.device)

    def _marched(self, wave: Tensor, height_m: Tensor, relief: ThickRelief, phase_per_m: float) -> Tensor:
        """The field behind one relief, of heights of samples."""
        # what is deeper than the lowest level, or higher than a phase of 2π, is no part of the march
        inside = height_m.clamp(0.0, relief.depth_m)
        outside = (height_m - inside) * phase_per_m
        wave = wave * (self._masks.transmissions(outside, relief.loss) if bool(outside.any()) else self._masks.outlines)
        return relief.behind(wave, inside, self._masks.material)

    def _perturbed_hops(self, dev: Deviations, first: int, order: int) -> list[PerturbedHop]:
        """The hops from number `first` on, with tilts to an order."""
        wavelength_m, _, medium_index = self._masks.light(dev)
        gaps, shifts, slopes, turns = self._gaps(dev), self._shifts(dev), self._slopes(dev), self._turns(dev)
        if dev.active("wavelength"):
            wavelength_m = wavelength_m / medium_index
        else:
            wavelength_m = torch.full_like(wavelength_m, self._hops[0].propagator.wavelength_m)
        found: list[PerturbedHop] = []
        made: dict[tuple[Way, tuple[float, ...]], Tensor] = {}
        for j, way in enumerate(self._ways[first:], first):
            slope = slopes[:, j] if order > 0 else None
            shift, turn = shifts[:, j + 1] - shifts[:, j], turns[:, j + 1] - turns[:, j]
            alike = way, tuple(torch.cat([gaps[:, j, None], shift, slopes[:, j]], 1).flatten().tolist())
            if alike not in made:
                made[alike] = way.transfer(gaps[:, j], wavelength_m, shift, slope)
            moves = Moves(turn, (slopes[:, j], slopes[:, j + 1]), order)
            found.append(way.perturbed(made[alike], wavelength_m, moves))
        return found

    def _gaps(self, dev: Deviations) -> Tensor:
        """Errors of the distances, float64 (n, hops)."""
        count = len(self._hops)
        gaps = torch.zeros((len(dev), count), dtype=torch.float64)
        if dev.active("gap"):
            gaps += dev["gap"][:, :count]
        if dev.active("refocus"):
            gaps[:, -1] += dev["refocus"]
        return gaps

    def _shifts(self, dev: Deviations) -> Tensor:
        """Shifts of the planes along y and x, float64 (n, hops + 1, 2)."""
        shifts = self._of_planes(dev, "layer_shift")
        if dev.active("image_shift"):
            shifts[:, -1] = dev["image_shift"]
        return shifts

    def _slopes(self, dev: Deviations) -> Tensor:
        """Slopes of the planes along y and x, float64 (n, hops + 1, 2)."""
        return self._of_planes(dev, "tilt")

    def _of_planes(self, dev: Deviations, group: str) -> Tensor:
        """Errors of a group of layers, those of object and camera being zero, float64 (n, hops + 1, …)."""
        axes = () if group == "rotation" else (2,)
        planes = torch.zeros((len(dev), len(self._hops) + 1, *axes), dtype=torch.float64)
        if dev.active(group):
            planes[:, 1:-1] = dev[group][:, : self._crossed]
        return planes

    def _turns(self, dev: Deviations) -> Tensor:
        """Turns of the planes in themselves, radians, float64 (n, hops + 1)."""
        return self._of_planes(dev, "rotation")


def _through(light: Tensor, masks: Tensor, hops: Sequence[PerturbedHop]) -> Tensor:
    """Fields (n, images, y, x) behind all hops and the masks (n, layers, y, x) between them."""
    wave = hops[0](light)
    for layer, hop in enumerate(hops[1:]):
        wave = hop(wave * masks[:, layer, None])
    return wave.expand(len(masks), *wave.shape[1:])


def _one_draw_at_a_time(light: Tensor, masks: Tensor, hops: Sequence[PerturbedHop]) -> Tensor:
    """The same by the cascade, where hops are transfer functions."""
    fields = light.expand(len(masks), *light.shape[1:])
    behind = [cascade(fields[draw], masks[draw], [hop.prepared(draw) for hop in hops]) for draw in range(len(masks))]
    return torch.stack(behind) if len(behind) > 1 else behind[0][None]
