"""Measured frames in the place of optics, as a design says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from opticdesign.design.fields import NeuronPair
from opticdesign.design.instrument import DetectorSpec, Fabrication, Light
from opticdesign.design.learning import Training
from opticdesign.design.optics_spec import Accuracy, Margin, OpticsSpec
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem
from opticdesign.units import Length

__all__ = ["MeasuredOptics"]


class MeasuredOptics(OpticsSpec):
    """No model of light: the decoder learns from frames that were measured, which `data.kind = "stacks"` has.

    Attributes:
        kind: "measured".
        neurons: pixels of a patch of the frames along y and x.
        pitch: distance between pixels in the object, metres: the camera's over the magnification.
        surroundings, margin, accuracy: as of layers, and without a say: frames hold no light of other places.
    """

    kind: Literal["measured"] = Field(description="kind of optics", examples=["measured"])
    neurons: NeuronPair = Field(description="rows and columns of pixels, each 8 to 8192", examples=[[512, 512]])
    pitch: Length = Field(gt=0, description="distance between pixels, at the object", examples=["170 nm"])
    surroundings: Literal["field-stop"] = Field(
        default="field-stop", description="what lies around the field of view", examples=["field-stop"]
    )
    margin: Margin = Field(default=None, description="reach of light beyond the field of view", examples=["auto"])
    accuracy: Accuracy = Field(default=0.01, description="largest error of the camera's reading", examples=[0.01])

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of a patch along y and x."""
        return self.neurons

    @property
    def sample_pitch(self) -> float:
        """Distance between pixels in the object, metres."""
        return self.pitch

    @property
    def masks(self) -> int:
        """None."""
        return 0

    @property
    def measured(self) -> bool:  # noqa: D102 (documented on the base)
        return True

    @property
    def acts_alike(self) -> bool:
        """Every place of a frame is as good as another."""
        return True

    @property
    def learns(self) -> bool:  # noqa: D102 (documented on the base)
        return False

    @property
    def keeps_phase(self) -> bool:  # noqa: D102 (documented on the base)
        return False

    def mask_size(self, wavelength: float) -> tuple[float, float]:  # noqa: ARG002, D102 (documented on the base)
        return 0.0, 0.0

    def clear(self) -> MeasuredOptics:  # noqa: D102 (documented on the base)
        return self

    def random(self) -> MeasuredOptics:  # noqa: D102 (documented on the base)
        return self

    def problems(  # noqa: D102 (documented on the base)
        self,
        *,
        light: Light,  # noqa: ARG002 (neither light nor process have a say)
        made: Fabrication,  # noqa: ARG002
        detector: DetectorSpec,
        training: Training,
    ) -> list[DesignProblem]:
        problems = []
        if detector.shot_noise or detector.read_noise > 0.0:
            value = f'{toml_value(detector.shot_noise)}, "{detector.read_noise:g} electron"'
            message, remedy = (
                "measured frames have their own noise",
                'set shot_noise = false, read_noise = "0 electron"',
            )
            keys, expected = "detector.shot_noise, detector.read_noise", "no noise beside it"
            problems.append(DesignProblem(keys, message, value, expected, remedy))
        if training.augmentation.superpose > 0.0:
            value, expected = f"{training.augmentation.superpose:g}", "0: what is out of focus does not add up"
            message, remedy = "two measured frames make no third", "remove training.augmentation"
            problems.append(DesignProblem("training.augmentation.superpose", message, value, expected, remedy))
        for name, stage in training.stages.items():
            if "optics" in stage.train or stage.vaccinated:
                key, value = f"training.stages.{name}.train", toml_value(stage.train)
                message, remedy = (
                    "there are no optics to train, or to err",
                    'set train = ["decoder"], vaccinated = false',
                )
                problems.append(DesignProblem(key, message, value, 'train = ["decoder"]', remedy))
        return problems
