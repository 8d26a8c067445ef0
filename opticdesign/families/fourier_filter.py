"""A learned filter in the pupil of a 4-f system."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from opticdesign.design import Design, FilterOptics
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.building import medium_wavelength_m, object_margin, starting_phases
from opticdesign.instrument.check import Check, graded
from opticdesign.instrument.checks import camera_check, illumination_check, image_sampling_check, mask_checks
from opticdesign.instrument.filter_system import FilterSystem
from opticdesign.optics.elements import FourierFilter, ring_of_point, zernike_phase
from opticdesign.optics.field import Grid
from opticdesign.optics.hop import Hop
from opticdesign.optics.propagation import padded_grid
from opticdesign.perturbed.filters import PerturbedFilter
from opticdesign.perturbed.hops import Way
from opticdesign.perturbed.optics import PerturbedFamily
from opticdesign.randomness import torch_stream
from opticdesign.units import format_length
from opticdesign.verification.filter import behind_filter
from opticdesign.verification.mask_in_file import Effort, Fields, MaskInFile, SecondOpinion
from opticdesign.verification.second_opinion import VerifiedFamily

__all__ = ["FourierFilters", "filter_window"]

_CAMERA_SAMPLES = 2  # of light across one of the image behind a filter: an intensity has twice the field's band


class FourierFilters(PerturbedFamily[FilterOptics, FilterSystem], VerifiedFamily[FilterOptics, FilterSystem]):
    """Filters between two lenses."""

    def build(self, design: Design, optics: FilterOptics) -> FilterSystem:
        """A 4-f system with its starting filter."""
        window = filter_window(optics)
        if optics.start == "zernike":
            phase = zernike_phase(window.shape)
        else:
            phase = starting_phases(optics.start, window.shape, torch_stream(design.training.seed, "start"))
            if optics.rings:  # one of the random phases for each ring
                phase = phase.flatten()[ring_of_point(window)]
        wavelength_m = medium_wavelength_m(design)
        image = _image_grid(optics)
        element = FourierFilter(
            image,
            wavelength_m,
            optics.focal,
            mode=optics.mode,
            radius=optics.radius,
            # half the band along each axis, whatever the shape
            numerical_aperture=wavelength_m / (2.0 * optics.pitch) if optics.radius is None else None,
            padding=optics.padding,
            fill_factor=optics.fill_factor,
            clear_gaps=optics.gaps == "clear",
            phase_rad=phase,
        )
        (ny, nx), (my, mx) = image.shape, object_margin(design)
        lit = None if optics.surroundings == "repeat" else image.with_shape((ny + 2 * my, nx + 2 * mx))
        return FilterSystem(
            element,
            lit,
            endless=optics.surroundings == "neighbours",
            samples=optics.samples or _CAMERA_SAMPLES,
            rings=optics.rings,
        )

    def checks(self, design: Design, optics: FilterOptics) -> Iterator[Check]:  # noqa: D102 (documented on the base)
        yield illumination_check(design, "the object's mean beyond")
        yield from _filter_sampling(design, optics)
        yield from _pupil(design, optics)
        yield from mask_checks(
            design,
            min(self.build(design, optics).mask_pitch_m),
            part="point of the filter",
            wider="a longer optics.focal",
        )
        yield camera_check(design)

    def perturbed(  # noqa: D102 (documented on the base)
        self,
        design: Design,
        system: FilterSystem,
        process: FabricationProcess,
        phases_rad: Tensor,
        crossed: int | None,  # noqa: ARG002 (there is one)
        ways: dict[Hop, Way] | None,  # noqa: ARG002 (there are no hops)
    ) -> PerturbedFilter:
        return PerturbedFilter(design, system, process, phases_rad)

    def second_opinion(  # noqa: D102 (documented on the base)
        self,
        design: Design,
        optics: FilterOptics,
        masks: Sequence[MaskInFile],
        fields: Fields,
        effort: Effort,  # noqa: ARG002 (no window, and as many samples as there are)
    ) -> SecondOpinion:
        return behind_filter(design, optics, masks[0], fields)


def _image_grid(optics: FilterOptics) -> Grid:
    return Grid(optics.shape, (optics.sample_pitch, optics.sample_pitch))


def filter_window(optics: FilterOptics) -> Grid:
    """The window that a filter has as many points as: the image's, or a wider one."""
    grid = _image_grid(optics)
    return grid if optics.padding == 1.0 else padded_grid(grid, optics.padding)


def _filter_sampling(design: Design, optics: FilterOptics) -> Iterator[Check]:
    yield image_sampling_check(design)
    repeats = optics.surroundings == "repeat"
    yield Check(
        "filter, its points",
        "warn" if repeats else "pass",
        "points" if repeats else f"squares; convolution is linear over {' × '.join(map(str, _lit(design)))} samples",
        "masks modelled as the files draw them",
        'set optics.surroundings = "neighbours" or "field-stop"' if repeats else "",
    )


def _lit(design: Design) -> tuple[int, int]:
    (ny, nx), (my, mx) = design.optics.shape, object_margin(design)
    return ny + 2 * my, nx + 2 * mx


def _pupil(design: Design, optics: FilterOptics) -> Iterator[Check]:
    """Whether lenses exist that could hold the pupil, and whether the filter can be exported."""
    wavelength_m = medium_wavelength_m(design)
    extent_m = max(filter_window(optics).extent_m)  # of a radius in points the window is square
    sine = wavelength_m / (2.0 * optics.pitch) if optics.radius is None else optics.radius * wavelength_m / extent_m
    diameter = format_length(2.0 * sine * optics.focal)
    yield graded(
        "pupil",
        sine,
        0.95,
        1.0 + 1e-9,
        f"NA {sine:.3g}, a filter {diameter} wide, its points {format_length(wavelength_m * optics.focal / extent_m)}",
        "NA ≤ 0.95 for a real objective in air; above 1 there is no light",
        "choose a larger pitch or a smaller radius, or accept that no lens is that strong",
    )
    yield graded(
        "filter, what is learned",
        float("amplitude" in optics.mode),
        0.0,
        math.inf,
        f'optics.mode = "{optics.mode}"',
        "a phase alone, or nothing: the exported heights hold no amplitude",
        'set optics.mode = "phase" if the filter is to be exported',
    )
