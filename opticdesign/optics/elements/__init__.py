"""Thin optical elements: what acts on a field in one plane, or on its spectrum in a 4-f system."""

from __future__ import annotations

from opticdesign.optics.elements.aperture import Aperture, circular_share, rectangular_share
from opticdesign.optics.elements.diffractive import AmplitudeMask, DiffractiveElement
from opticdesign.optics.elements.element import Element, Mask, phase_transmission, relief_transmission
from opticdesign.optics.elements.fourier_filter import FourierFilter, ring_means, ring_of_point, zernike_phase
from opticdesign.optics.elements.lens import ThinLens, lens_phase
from opticdesign.optics.elements.modulator import SpatialLightModulator, grey_of_phase, linear_lut
from opticdesign.optics.elements.squares import RIM, Square
from opticdesign.optics.elements.stack import ElementStack

__all__ = [
    "RIM",
    "AmplitudeMask",
    "Aperture",
    "DiffractiveElement",
    "Element",
    "ElementStack",
    "FourierFilter",
    "Mask",
    "SpatialLightModulator",
    "Square",
    "ThinLens",
    "circular_share",
    "grey_of_phase",
    "lens_phase",
    "linear_lut",
    "phase_transmission",
    "rectangular_share",
    "relief_transmission",
    "ring_means",
    "ring_of_point",
    "zernike_phase",
]
