"""Optical design and hardware export: diffractive optics trained with their decoder, quantised, exported, verified.

`import opticdesign as od` gives what `dir(od)` lists: grids and light, free space, elements and whole systems, what a
process makes of them, the camera, designs, trained runs and plots. A name is imported when it is first used, so that
importing the package costs nothing. CONTRIBUTING.md says where everything else is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from opticdesign.design.loading import load_design
    from opticdesign.detectors import Detector
    from opticdesign.elements.aperture import Aperture
    from opticdesign.elements.diffractive import AmplitudeMask, DiffractiveElement
    from opticdesign.elements.fourier_filter import FourierFilter
    from opticdesign.elements.lens import ThinLens
    from opticdesign.elements.modulator import SpatialLightModulator
    from opticdesign.elements.stack import ElementStack
    from opticdesign.fabrication import FabricationProcess
    from opticdesign.field import Grid, Spectrum
    from opticdesign.figures import plot
    from opticdesign.freespace import free_space, propagate
    from opticdesign.hop import Hop
    from opticdesign.illumination import condenser, partially_coherent_intensity, plane_wave
    from opticdesign.materials import material
    from opticdesign.optical_system import DiffractiveSystem, FilterSystem
    from opticdesign.relief import Relief
    from opticdesign.system import build_microscope, build_optics, build_process
    from opticdesign.workflow.trained import open_run

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
    "build_microscope",
    "build_optics",
    "build_process",
    "condenser",
    "free_space",
    "load_design",
    "material",
    "open_run",
    "partially_coherent_intensity",
    "plane_wave",
    "plot",
    "propagate",
]

_HOMES = (
    "opticdesign.design.loading.load_design",
    "opticdesign.detectors.Detector",
    "opticdesign.elements.aperture.Aperture",
    "opticdesign.elements.diffractive.AmplitudeMask",
    "opticdesign.elements.diffractive.DiffractiveElement",
    "opticdesign.elements.fourier_filter.FourierFilter",
    "opticdesign.elements.lens.ThinLens",
    "opticdesign.elements.modulator.SpatialLightModulator",
    "opticdesign.elements.stack.ElementStack",
    "opticdesign.fabrication.FabricationProcess",
    "opticdesign.field.Grid",
    "opticdesign.field.Spectrum",
    "opticdesign.figures.plot",
    "opticdesign.freespace.free_space",
    "opticdesign.freespace.propagate",
    "opticdesign.hop.Hop",
    "opticdesign.illumination.condenser",
    "opticdesign.illumination.partially_coherent_intensity",
    "opticdesign.illumination.plane_wave",
    "opticdesign.materials.material",
    "opticdesign.optical_system.DiffractiveSystem",
    "opticdesign.optical_system.FilterSystem",
    "opticdesign.relief.Relief",
    "opticdesign.system.build_microscope",
    "opticdesign.system.build_optics",
    "opticdesign.system.build_process",
    "opticdesign.workflow.trained.open_run",
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
