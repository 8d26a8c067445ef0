"""Electronic decoders: networks that turn camera readings into phase maps."""

from opticdesign.decoders.unet import UNet

__all__ = ["UNet"]
