"""Electronic decoders: networks that turn camera readings into phase maps."""

from opticdesign.decoders.brightness import Brightness
from opticdesign.decoders.linear_reader import LinearReader, WithReader, by_class, ridge, surroundings
from opticdesign.decoders.swinir import SWINIR_PRESETS, SwinIR
from opticdesign.decoders.unet import UNet

__all__ = [
    "SWINIR_PRESETS",
    "Brightness",
    "LinearReader",
    "SwinIR",
    "UNet",
    "WithReader",
    "by_class",
    "ridge",
    "surroundings",
]
