"""Optical design and hardware export: diffractive optics trained with their decoder, quantised, exported, verified.

`import opticdesign as od` gives what `dir(od)` lists: grids and light, free space, elements and whole systems, what a
process makes of them, the camera, designs, trained runs, phase solvers and plots. A name is imported when it is first
used, so that importing the package costs nothing. CONTRIBUTING.md says where everything else is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from opticdesign.decoders.phase_solvers import axial_derivative, equally_bright, solve_tie
    from opticdesign.design.loading import load_design
    from opticdesign.fabrication.process import FabricationProcess
    from opticdesign.figures import plot
    from opticdesign.instrument.building import build_microscope, build_optics, build_process
    from opticdesign.instrument.diffractive_system import DiffractiveSystem
    from opticdesign.instrument.filter_system import FilterSystem
    from opticdesign.optics.detectors import Detector
    from opticdesign.optics.elements.aperture import Aperture
    from opticdesign.optics.elements.diffractive import AmplitudeMask, DiffractiveElement
    from opticdesign.optics.elements.fourier_filter import FourierFilter
    from opticdesign.optics.elements.lens import ThinLens
    from opticdesign.optics.elements.modulator import SpatialLightModulator
    from opticdesign.optics.elements.stack import ElementStack
    from opticdesign.optics.field import Grid, Spectrum
    from opticdesign.optics.free_space import free_space, propagate
    from opticdesign.optics.hop import Hop
    from opticdesign.optics.illumination import condenser, partially_coherent_intensity, plane_wave
    from opticdesign.optics.materials import material
    from opticdesign.optics.relief import Relief
    from opticdesign.runs.trained import open_run

__all__ = [
    "AmplitudeMask",
    "Aperture",
    "Detector",
    "DiffractiveElement",
    "DiffractiveSystem",
    "ElementStack",
    "FabricationProcess",
    "FilterSystem",
    "FourierFilter",
    "Grid",
    "Hop",
    "Relief",
    "SpatialLightModulator",
    "Spectrum",
    "ThinLens",
    "__version__",
    "axial_derivative",
    "build_microscope",
    "build_optics",
    "build_process",
    "condenser",
    "equally_bright",
    "free_space",
    "load_design",
    "material",
    "open_run",
    "partially_coherent_intensity",
    "plane_wave",
    "plot",
    "propagate",
    "solve_tie",
]

_HOMES = (
    "opticdesign.decoders.phase_solvers.axial_derivative",
    "opticdesign.decoders.phase_solvers.equally_bright",
    "opticdesign.decoders.phase_solvers.solve_tie",
    "opticdesign.design.loading.load_design",
    "opticdesign.optics.detectors.Detector",
    "opticdesign.optics.elements.aperture.Aperture",
    "opticdesign.optics.elements.diffractive.AmplitudeMask",
    "opticdesign.optics.elements.diffractive.DiffractiveElement",
    "opticdesign.optics.elements.fourier_filter.FourierFilter",
    "opticdesign.optics.elements.lens.ThinLens",
    "opticdesign.optics.elements.modulator.SpatialLightModulator",
    "opticdesign.optics.elements.stack.ElementStack",
    "opticdesign.fabrication.process.FabricationProcess",
    "opticdesign.optics.field.Grid",
    "opticdesign.optics.field.Spectrum",
    "opticdesign.figures.plot",
    "opticdesign.optics.free_space.free_space",
    "opticdesign.optics.free_space.propagate",
    "opticdesign.optics.hop.Hop",
    "opticdesign.optics.illumination.condenser",
    "opticdesign.optics.illumination.partially_coherent_intensity",
    "opticdesign.optics.illumination.plane_wave",
    "opticdesign.optics.materials.material",
    "opticdesign.instrument.diffractive_system.DiffractiveSystem",
    "opticdesign.instrument.filter_system.FilterSystem",
    "opticdesign.optics.relief.Relief",
    "opticdesign.instrument.building.build_microscope",
    "opticdesign.instrument.building.build_optics",
    "opticdesign.instrument.building.build_process",
    "opticdesign.runs.trained.open_run",
)
_HOME_OF = {home.rpartition(".")[2]: home.rpartition(".")[0] for home in _HOMES}


if not TYPE_CHECKING:  # which knows the names from the imports above, and no others

    def __getattr__(name: str) -> Any:
        """A name of the package, imported when it is first used."""
        if name == "__version__":
            from importlib.metadata import version

            value: Any = version("opticdesign")
        elif name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        elif name == "plot":
            value = import_module(f"{_HOME_OF[name]}.{name}")
        else:
            value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
