"""Thin optical elements: what acts on a field in one plane, or on its spectrum in a 4-f system."""

from __future__ import annotations

from opticdesign.elements.aperture import Aperture, circular_share, rectangular_share
from opticdesign.elements.diffractive import AmplitudeMask, DiffractiveElement
from opticdesign.elements.element import Element, Mask, phase_transmission
from opticdesign.elements.fourier_filter import FourierFilter, ring_means, ring_of_point, zernike_phase
from opticdesign.elements.lens import ThinLens, lens_phase
from opticdesign.elements.modulator import SpatialLightModulator, grey_of_phase, linear_lut
from opticdesign.elements.squares import Square
from opticdesign.elements.stack import ElementStack

__all__ = [
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
    "ring_means",
    "ring_of_point",
    "zernike_phase",
]
