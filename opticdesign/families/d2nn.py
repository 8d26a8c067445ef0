"""Layers of phase neurons, thin or as reliefs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from opticdesign.design import D2NNOptics, Design
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.building import build_process, medium_wavelength_m, object_margin, starting_phases
from opticdesign.instrument.check import Check, graded
from opticdesign.instrument.checks import camera_check, illumination_check, image_sampling_check, mask_checks
from opticdesign.instrument.diffractive_system import DiffractiveSystem, ThickMasks
from opticdesign.instrument.geometry import (
    LARGEST_HOP_ERROR,
    Layers,
    Paddings,
    suitable_paddings,
    suitable_samples,
    window_errors,
)
from opticdesign.optics.elements import DiffractiveElement, Square
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop, light_grid
from opticdesign.optics.reach import coupling_gap_m, reach_of
from opticdesign.optics.thick import ThickRelief
from opticdesign.perturbed.hops import Way
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.optics import PerturbedFamily
from opticdesign.randomness import torch_stream
from opticdesign.units import format_length
from opticdesign.verification import layers as independent
from opticdesign.verification.mask_in_file import Effort, Fields, MaskInFile, SecondOpinion
from opticdesign.verification.second_opinion import VerifiedFamily

__all__ = ["D2NN", "layers_of", "light_samples", "power_lost_per_hop", "window_paddings"]

_SAMPLES_PER_WAVE = 4  # in vacuum, of light in a relief
_SLICES_PER_WAVE = 3  # least slices of a relief in one wavelength in vacuum
_FINE = 0.005  # accuracy below which the steepest light counts, which gaps and wavelengths change most


class D2NN(PerturbedFamily[D2NNOptics, DiffractiveSystem], VerifiedFamily[D2NNOptics, DiffractiveSystem]):
    """Layers of square phase neurons one behind the other."""

    def build(self, design: Design, optics: D2NNOptics) -> DiffractiveSystem:
        """The layers with their starting masks.

        Raises:
            UsageError: neurons that need more samples than a plane may have, or a method that cannot go over a gap.
        """
        layers, samples = layers_of(design, optics), light_samples(design, optics)
        phases = _starting_layers(optics, torch_stream(design.training.seed, "start"))
        square = None if layers.pointlike else Square(optics.fill_factor, optics.gaps == "clear")
        grid = layers.light(samples)
        elements = [DiffractiveElement(grid, phase, samples=samples, square=square) for phase in phases]
        hops = layers.hops(samples, window_paddings(design, optics))
        thick = _build_thick(design, grid) if optics.model == "bpm" else None
        return DiffractiveSystem(elements, hops, thick, image=layers.image, crossed=optics.crossed, cell=optics.cell)

    def checks(self, design: Design, optics: D2NNOptics) -> Iterator[Check]:  # noqa: D102 (documented on the base)
        yield illumination_check(design)
        yield from _sampling(design, optics)
        yield from _windows(design, optics)
        yield from _coupling(design, optics)
        yield from _power(design, optics)
        yield from mask_checks(
            design,
            min(self.build(design, optics).mask_pitch_m),
            part="neuron",
            wider="a larger pitch",
            marched=optics.model == "bpm",
            instead=', or set optics.model = "bpm" to march light through the relief',
        )
        yield camera_check(design)

    def perturbed(  # noqa: D102 (documented on the base)
        self,
        design: Design,
        system: DiffractiveSystem,
        process: FabricationProcess,
        phases_rad: Tensor,
        crossed: int | None,
        ways: dict[Hop, Way] | None,
    ) -> PerturbedLayers:
        return PerturbedLayers(design, system, process, phases_rad, crossed, ways)

    def second_opinion(  # noqa: D102 (documented on the base)
        self, design: Design, optics: D2NNOptics, masks: Sequence[MaskInFile], fields: Fields, effort: Effort
    ) -> SecondOpinion:
        return independent.Layers(design, optics, masks, fields.shape, effort).opinion(fields)


def layers_of(design: Design, optics: D2NNOptics) -> Layers:
    """How the layers of a design stand, and how what is between them is to be computed."""
    depth_m = build_process(design).full_height_m if optics.model == "bpm" else 0.0
    gaps = [optics.input_gap, *[optics.layer_gap - depth_m] * (optics.layers - 1), optics.detector_gap - depth_m]
    return Layers(
        neurons=optics.neurons,
        pitch_m=(optics.pitch, optics.pitch),
        image_samples=optics.image_samples,
        margin=object_margin(design),
        distances_m=tuple(gaps),
        wavelength_m=medium_wavelength_m(design),
        binning=design.detector.binning,
        method=optics.propagator,
        pointlike=optics.pointlike,
        coarser=1.5 if optics.accuracy < _FINE else 2.0,
    )


def light_samples(design: Design, optics: D2NNOptics) -> int:
    """Samples of light across a neuron: as the design names, or as its accuracy asks.

    Light in a relief is marched through at four samples a wave or more, whatever comes out of it.
    """
    if optics.samples is not None:
        return optics.samples
    step = math.lcm(2, optics.image_samples)
    marched = math.ceil(_SAMPLES_PER_WAVE * optics.pitch / design.light.wavelength * (1.0 - 1e-9))
    least = step * math.ceil(marched / step) if optics.model == "bpm" else 0
    return max(least, suitable_samples(layers_of(design, optics), optics.accuracy))


def window_paddings(design: Design, optics: D2NNOptics) -> Paddings:
    """Width of each hop's window over that of its planes: as the design names, or as its accuracy asks."""
    if optics.padding is not None:
        return optics.padding
    return suitable_paddings(layers_of(design, optics), light_samples(design, optics), optics.accuracy)


def _build_thick(design: Design, grid: Grid) -> ThickMasks:
    """The march through reliefs of a design, in slices that are parts of a level, so that no neuron ends inside one."""
    process = build_process(design)
    parts = math.ceil(_SLICES_PER_WAVE * process.full_height_m / (process.levels * process.wavelength_m))
    relief = ThickRelief(
        grid,
        process.wavelength_m,
        process.index,
        process.medium_index,
        depth_m=process.full_height_m,
        slices=process.levels * parts,
    )
    return ThickMasks(relief, process)


def _starting_layers(optics: D2NNOptics, noise: torch.Generator) -> Tensor:
    """Phases before training, repeated from cell to cell where the design has cells, one a neuron (layers, y, x)."""
    cell = (optics.cell, optics.cell) if optics.cell else optics.neurons
    phases = starting_phases(optics.start, (optics.layers, *cell), noise)
    return phases.repeat(1, optics.neurons[0] // cell[0], optics.neurons[1] // cell[1])


def _sampling(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    """Samples of the image, and whether neurons are what the files draw."""
    wavelength_m, samples = medium_wavelength_m(design), light_samples(design, optics)
    yield image_sampling_check(design, "raise optics.image_samples, ")
    light_m = layers_of(design, optics).light_pitch_m(samples)[1]
    shape = "points, where the files draw squares" if optics.samples == 1 else "squares"
    chosen = "named in the design" if optics.samples else f"for an accuracy of {optics.accuracy:.2g}"
    yield Check(
        "neurons",
        "warn" if optics.samples == 1 else "pass",
        f"{shape}, {samples} × {samples} samples each ({chosen}); light of {format_length(light_m)} = "
        f"{light_m / wavelength_m:.3g} λ",
        "masks modelled as the files draw them",
        'set optics.samples = "auto"' if optics.samples == 1 else "",
    )


def _windows(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    """Method and window of each gap, with the error of its field, and what all of them do to the camera's reading."""
    layers, samples, paddings = (
        layers_of(design, optics),
        light_samples(design, optics),
        window_paddings(design, optics),
    )
    passed = _passed(layers.distances_m, optics.crossed)
    errors = window_errors(layers, samples, paddings)
    hops = layers.hops(samples, paddings)
    given = [value for value in (optics.padding, None if optics.propagator == "auto" else optics.propagator) if value]
    remedy = _better(design, optics) if given else ""
    for name, index in passed.items():
        hop, first = hops[index], hops[index].propagator
        why = layers.kind(layers.distances_m[index], first.grid, light_grid(hop.target_grid, first.grid.pitch_m))[1]
        rows, columns = first.window.shape
        yield graded(
            f"propagation, {name}",
            errors.hops[index],
            LARGEST_HOP_ERROR,
            LARGEST_HOP_ERROR,
            f"{first.name}: {why}; window {rows} × {columns} for {' × '.join(map(str, first.grid.shape))}, "
            f"error of the field {errors.hops[index]:.2%} at z = {format_length(layers.distances_m[index])}",
            f"≤ {LARGEST_HOP_ERROR:.0%} against linear convolution",
            remedy or "raise optics.padding",
        )
    yield graded(
        "camera reading",
        errors.reading,
        optics.accuracy,
        optics.accuracy,
        f"error {errors.reading:.2%} by windows and methods, the larger one of a smooth and a random object",
        f"≤ {optics.accuracy:.2%} (optics.accuracy)",
        remedy or "raise optics.accuracy, or name optics.padding",
    )


def _passed(distances_m: tuple[float, ...], crossed: int) -> dict[str, int]:
    """Names of the gaps that light passes, and which hop stands for each."""
    gaps = {"input gap": 0, "layer gap": 1, "detector gap": len(distances_m) - 1}
    return gaps if crossed > 1 else {name: index for name, index in gaps.items() if name != "layer gap"}


def _better(design: Design, optics: D2NNOptics) -> str:
    """The window that would do, where one was named by hand."""
    free = optics.model_copy(update={"padding": None, "propagator": "auto"})
    layers, samples = layers_of(design, free), light_samples(design, free)
    widest = max(suitable_paddings(layers, samples, optics.accuracy))
    parts = [f'optics.padding = "auto" or {widest:g}'] if optics.padding else []
    parts += ['optics.propagator = "auto"'] if optics.propagator != "auto" else []
    return f"set {' and '.join(parts)}"


def _coupling(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    """How many neurons of the next mask one neuron reaches."""
    if optics.crossed == 1:
        return
    wavelength_m, neurons = medium_wavelength_m(design), min(optics.neurons)
    reach = reach_of(optics.pitch, wavelength_m, optics.layer_gap, neurons)
    gap = format_length(coupling_gap_m(optics.pitch, wavelength_m))
    alone, left = reach.same > 0.5, reach.inside < 0.25
    far = format_length(0.5 * neurons * optics.pitch**2 / wavelength_m)
    yield Check(
        "coupling of layers",
        "warn" if alone or left else "pass",
        f"a neuron sends {reach.same:.3g} of its light into the same neuron of the next mask, nine tenths of it into "
        f"{reach.neurons} along each axis, {reach.inside:.3g} into that mask",
        "≤ 0.5 into the same neuron, or the layers act as one; ≥ 0.25 into the next mask",
        f"lengthen optics.layer_gap: at {gap} a quarter is left in the same neuron"
        if alone
        else f"shorten optics.layer_gap: at {far} a neuron reaches just over the mask"
        if left
        else "",
    )


def power_lost_per_hop(design: Design, layers: D2NNOptics) -> list[float]:
    """Share of the power that leaves the aperture or the band in each hop, for a smooth random phase object.

    Only the field of view sends light here, so that no neighbour's stands in for what leaves.
    """
    optics = D2NN().build(design, layers)
    (ny, nx), (my, mx) = layers.shape, object_margin(design)
    generator = torch.Generator().manual_seed(design.training.seed)
    coarse = torch.rand((1, 1, max(2, ny // 16), max(2, nx // 16)), generator=generator)
    phase = 2.0 * torch.nn.functional.interpolate(coarse, (ny, nx), mode="bicubic", align_corners=True)[0, 0]
    field = torch.nn.functional.pad(torch.polar(torch.ones_like(phase), phase), (mx, mx, my, my))
    lost, area = [], math.prod(optics.object_grid.pitch_m)
    with torch.no_grad():
        for index, hop in enumerate(optics.taken(optics.crossed)):
            before = field.abs().square().sum() * area
            field, area = hop(field), math.prod(hop.target_grid.pitch_m)
            lost.append(float(1.0 - field.abs().square().sum() * area / before))
            if index < optics.crossed:
                field = optics.behind(index, field)
    return lost


def _power(design: Design, optics: D2NNOptics) -> Iterator[Check]:
    for index, lost in enumerate(power_lost_per_hop(design, optics)):
        end = f"mask {index + 1}" if index < optics.crossed else "detector"
        gained = lost < -0.01  # no passive hop adds power: the sampling is wrong
        yield graded(
            f"power lost before {end}",
            math.inf if gained else lost,
            0.05,
            0.5,
            f"{-lost:.2%} more power than before" if gained else f"{lost:.2%} of the power leaves the aperture",
            "0 to 5 % per hop (starting masks, smooth phase object)",
            "choose another propagator or more padding" if gained else "shorten the gap or enlarge the masks",
        )
