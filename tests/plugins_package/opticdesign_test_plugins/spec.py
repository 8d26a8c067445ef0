"""The table [optics] of a phase plate; light, so that reading a design needs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from opticdesign.design import OpticsSpec
from opticdesign.design.fields import NeuronPair
from opticdesign.design.optics_spec import Accuracy
from opticdesign.units import Length


class PlateOptics(OpticsSpec):
    """A learned phase plate behind the object, as large as the field of view and opaque around, and a way behind it."""

    kind: Literal["phase-plate"] = Field(description="kind of optics", examples=["phase-plate"])
    neurons: NeuronPair = Field(description="rows and columns of neurons", examples=[[64, 64]])
    pitch: Length = Field(gt=0, description="distance between neighbouring neurons", examples=["1 um"])
    distance: Length = Field(gt=0, description="from the plate to the camera", examples=["50 um"])
    start: Literal["clear", "random"] = Field(default="random", description="before training", examples=["clear"])
    surroundings: Literal["field-stop"] = Field(default="field-stop", description="around it", examples=["field-stop"])
    margin: None = Field(default=None, description="none behind a field stop")
    accuracy: Accuracy = Field(default=0.01, description="largest error of the camera's reading", examples=[0.01])

    @property
    def shape(self) -> tuple[int, int]:
        return self.neurons

    @property
    def sample_pitch(self) -> float:
        return self.pitch

    @property
    def distances(self) -> int:
        return 1

    def mask_size(self, wavelength: float) -> tuple[float, float]:
        return self.neurons[0] * self.pitch, self.neurons[1] * self.pitch

    def clear(self) -> PlateOptics:
        return self.model_copy(update={"start": "clear"})

    def random(self) -> PlateOptics:
        return self.model_copy(update={"start": "random"})
