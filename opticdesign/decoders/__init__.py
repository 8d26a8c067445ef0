"""Electronic decoders: networks that turn camera readings into phase maps, and solvers that need no learning."""

from opticdesign.decoders.brightness import Brightness
from opticdesign.decoders.interpolated_unet import InterpolatedUNet
from opticdesign.decoders.linear_reader import LinearReader, WithReader, by_class, ridge, surroundings
from opticdesign.decoders.srcnn import SRCNN
from opticdesign.decoders.swinir import SWINIR_PRESETS, SwinIR
from opticdesign.decoders.unet import UNet

__all__ = [
    "SRCNN",
    "SWINIR_PRESETS",
    "Brightness",
    "InterpolatedUNet",
    "LinearReader",
    "SwinIR",
    "UNet",
    "WithReader",
    "by_class",
    "ridge",
    "surroundings",
]
