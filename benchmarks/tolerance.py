"""Draws of a tolerance study against their floors: `python -m benchmarks.tolerance [--quick] [--json FILE]`.

A forward is the bare cascade of the same images through nominal masks and transfer functions: what a draw cannot do
without. A draw does that and makes masks, ways and light anew. The naive loop builds every propagator again, and moves
fields to the frame of each mask and back.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import machine
from benchmarks.table import Row, print_table
from benchmarks.timing import interleave, median_ratio
from opticdesign.design import Design, load_design
from opticdesign.instrument.building import build_optics, build_process
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.optics.cascade import cascade
from opticdesign.optics.field import shifted
from opticdesign.optics.hop import Hop
from opticdesign.perturbed.deviations import Deviations, deviations_of
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.sample import Sample
from opticdesign.perturbed.space import Space, build_space
from opticdesign.tolerance.sampling import unit_points

__all__ = ["CASES", "Case", "Stand", "main", "rows"]

_DESIGN = Path(__file__).parent.parent / "designs" / "d2nn5.toml"
_FORWARD, _NAIVE = "forward", "naive loop"
_ALL_LAYERS, _LATE_LAYER = 1.1, 0.2  # targets, forwards a draw
_MANY_IMAGES = 8


@dataclass(frozen=True)
class Case:
    """Errors that occur together.

    Args:
        name: what the table says.
        groups: of [tolerance]; empty for all.
        patterns: whether masks vary from pixel to pixel.
        only_last: whether the last layer alone has them.
        target: most forwards a draw.
    """

    name: str
    groups: tuple[str, ...]
    patterns: bool = False
    only_last: bool = False
    target: float | None = None


_PLANES = ("layer_shift", "gap")
_MASKS = ("etch_depth", "blur", "overlay_shift", "overlay_rotation", "overlay_scale", "cd_bias", "index")
CASES = (
    Case("all planes: shift, gap", _PLANES, target=_ALL_LAYERS),
    Case("all masks: etch, blur, overlay, width, index", _MASKS, target=_ALL_LAYERS),
    Case("all masks: height noise, rough edges", (), patterns=True, target=_ALL_LAYERS),
    Case("all masks turned", ("rotation",), target=_ALL_LAYERS),
    Case("wavelength", ("wavelength",), target=_ALL_LAYERS),
    Case("all of these", (*_PLANES, *_MASKS, "rotation", "wavelength"), patterns=True),
    Case("all layers tilted", ("tilt",)),
    Case(
        "last layer: overlay",
        ("overlay_shift", "overlay_rotation", "overlay_scale"),
        only_last=True,
        target=_LATE_LAYER,
    ),
    Case("last gap", ("gap",), only_last=True, target=_LATE_LAYER),
)


class Stand:
    """The five layers of designs/d2nn5.toml with random masks, and some random images.

    Args:
        size: rows and columns.
        images: images in a draw.
    """

    def __init__(self, size: int, images: int) -> None:
        self.design = _sized(size)
        self.process = build_process(self.design)
        optics = build_optics(self.design)
        if not isinstance(optics, DiffractiveSystem):
            raise TypeError(f"{_DESIGN} has no layers")
        draw = torch.Generator().manual_seed(5)
        optics.set_phases_rad(torch.rand(optics.detached_phases().shape, generator=draw) * 2.0 * math.pi)
        self.optics, self.space = optics, build_space(self.design)
        phase = torch.rand((images, *optics.object_grid.shape), generator=draw)
        self.sample = Sample(torch.polar(torch.ones_like(phase), phase), phase)
        self.layers = PerturbedLayers(self.design, optics, self.process, optics.detached_phases())
        with torch.no_grad():
            self._masks = [element.transmission(self.process) for element in optics.masks]
        self._transfers = optics.ready(self.hops)

    @property
    def hops(self) -> list[Hop]:
        """The hops as designed."""
        return self.optics.taken(self.optics.crossed)

    def draw(self, case: Case) -> Deviations:
        """One draw of a case."""
        values = self.space.values(unit_points("sobol", len(self.space.parameters), 0, 3, 1, 8))
        last = {"overlay_shift": 4, "overlay_rotation": 4, "overlay_scale": 4, "gap": 5}
        for column, parameter in enumerate(self.space.parameters):
            kept = parameter.group in case.groups
            if case.only_last:
                kept = kept and parameter.place[0] == last[parameter.group]
            values[:, column] *= kept
        space = self.space if case.patterns else Space(self.space.parameters)
        return deviations_of(self.design, space, values, [0 if case.patterns else NO_PATTERN], 0)

    def forward(self) -> Tensor:
        """The images through the nominal optics."""
        return cascade(self.sample.fields, self._masks, self._transfers)

    def perturbed(self, dev: Deviations) -> Tensor:
        """The images through the optics of a draw."""
        return self.layers.field(self.sample, dev)[0]

    def naive(self, dev: Deviations) -> Tensor:
        """The same of a draw that has shifts and gaps, everything built again."""
        gaps, shifts = dev["gap"][0].tolist(), dev["layer_shift"][0]
        hops = [_longer(hop, gap) for hop, gap in zip(self.hops, gaps, strict=True)]
        wave: Tensor = hops[0](self.sample.fields)
        for layer, hop in enumerate(hops[1:]):
            way, grid, mask = shifts[layer], hop.source_grid, self._masks[layer]
            wave = shifted(wave, -float(way[0]), -float(way[1]), grid) * mask
            wave = hop(shifted(wave, float(way[0]), float(way[1]), grid))
        return wave


def _sized(size: int) -> Design:
    return load_design(_DESIGN, [f"optics.neurons={size}", "optics.cell=32", "evaluation.overlap=8"])


def _longer(hop: Hop, gap_m: float) -> Hop:
    """A hop over another distance, built again in the same window."""
    way = hop.propagator
    made = type(way)(
        way.grid,
        way.wavelength_m,
        float(way.distance_m) + gap_m,
        target=way.target,
        window=way.window.shape,
    )
    return Hop(made, hop.source_grid, hop.target_grid)


def rows(size: int, images: int, rounds: int) -> list[Row]:
    """Forwards a draw for each case, and draws against the naive loop."""
    stand = Stand(size, images)
    draws = {case.name: stand.draw(case) for case in CASES}
    runs: dict[str, Callable[[], object]] = {_FORWARD: stand.forward}
    for name, dev in draws.items():
        runs[name] = lambda dev=dev: stand.perturbed(dev)  # type: ignore[misc]  # mypy does not infer a bound default
    planes = draws[CASES[0].name]
    runs[_NAIVE] = lambda: stand.naive(planes)
    with torch.no_grad():
        times = interleave(runs, rounds, seconds=120.0)
    work = f"{size}², 5 layers, {images} images"
    found = [
        Row(
            f"{work}: {case.name}",
            "forwards a draw",
            median_ratio(times, case.name, _FORWARD),
            case.target if images >= _MANY_IMAGES else None,
            most=True,
            remark=f"{1.0 / min(times[case.name]):.3g} draws/s",
        )
        for case in CASES
    ]
    gain = median_ratio(times, _NAIVE, CASES[0].name)
    return [*found, Row(f"{work}: {CASES[0].name}", _NAIVE, gain, remark=f"{1.0 / min(times[_NAIVE]):.3g} draws/s")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and, if asked, write {"rows": …, "machine": …}."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tolerance", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small fields and few rounds: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write rows and machine to FILE")
    parser.add_argument("--size", type=int, default=256, metavar="N", help="rows and columns, a multiple of 64")
    parser.add_argument("--images", type=int, default=_MANY_IMAGES, metavar="N", help="images in a draw")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads, one as in a study")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    size, rounds = (64, 3) if options.quick else (options.size, 9)
    found, about = rows(size, options.images, rounds), machine(options.threads)
    if options.json:
        lines = [{"case": row.case, "against": row.against, "ratio": row.ratio, "target": row.target} for row in found]
        options.json.write_text(json.dumps({"rows": lines, "machine": about}, indent=1, ensure_ascii=False) + "\n")
    print_table(found, "time of a draw / time of a forward; against the naive loop: its time / ours")
    print(json.dumps(about, ensure_ascii=False))


if __name__ == "__main__":
    main()
