"""The instrument: optics, a camera, and the decoder behind it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from opticdesign.decoders import Brightness
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.instrument.optical_system import OpticalSystem
from opticdesign.optics.detectors import Detector
from opticdesign.optics.elements.element import Quantiser

__all__ = ["Microscope"]


class Microscope(nn.Module):
    """Optics, camera and decoder: a complex field in, a phase map in waves out.

    Args:
        optics: the optical system.
        detector: the camera.
        decoder: network from camera readings to phase over 2π; without one, the light on the camera is the image, but
            for its brightness.
        process: makes the masks.
        precision: number type in which the decoder computes; its weights and its image are float32.
    """

    def __init__(
        self,
        optics: OpticalSystem,
        detector: Detector,
        decoder: nn.Module | None,
        process: FabricationProcess,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.optics, self.detector, self.decoder = optics, detector, decoder
        self.brightness = Brightness(max(1, optics.mask_count))
        self.process, self.precision = process, precision

    def read(
        self,
        field: Tensor,
        quantiser: Quantiser | None = None,
        noise: torch.Generator | None = None,
        crossed: int | None = None,
    ) -> Tensor:
        """Camera reading (batch, y/b, x/b) of complex fields (batch, y, x); noiseless without a generator.

        The other arguments are those of `OpticalSystem.forward`.
        """
        reading: Tensor = self.detector(self.optics.intensity(field, quantiser, crossed), noise)
        return reading

    def decode(self, reading: Tensor) -> Tensor:
        """Phase over 2π, (batch, y, x), of camera readings (batch, y/b, x/b)."""
        if self.decoder is None:
            image: Tensor = self.brightness(reading, self.optics.crossed)
            return image
        with torch.autocast(reading.device.type, self.precision, enabled=self.precision != torch.float32):
            image = self.decoder(reading)
        return image.float()

    def forward(
        self, field: Tensor, quantiser: Quantiser | None = None, noise: torch.Generator | None = None
    ) -> Tensor:
        """Reconstructed phase over 2π, (batch, y, x), of complex fields (batch, y, x)."""
        return self.decode(self.read(field, quantiser, noise))
