"""The schema of a design: frozen tables of SI numbers, named exactly as in the TOML file.

Lengths are metres and angles radians inside; in a file every quantity is text with a unit. `Design.to_toml` writes a
file that reads back as an equal design.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field, model_validator

from opticdesign.design.exporting import Export
from opticdesign.design.fields import Name, Table
from opticdesign.design.instrument import DecoderSpec, DetectorSpec, Fabrication, Light, SlmPanel
from opticdesign.design.learning import Data, Evaluation, Training
from opticdesign.design.optics_spec import OpticsSpec
from opticdesign.design.rules import (
    check_detector,
    check_doses,
    check_light,
    check_measured,
    check_parts,
    check_perceptual,
    check_pixel,
    check_probe,
    check_relief,
    check_slm,
    check_tiles,
)
from opticdesign.design.tolerance_rules import check_tolerance
from opticdesign.design.tolerancing import Tolerance
from opticdesign.design.toml_text import to_toml
from opticdesign.design.values import refuse
from opticdesign.errors import DesignProblem

__all__ = ["Design", "design_schema"]


class Design(Table):
    """A complete design: what is built, trained, judged and made.

    Attributes:
        name: name of the design, also of its run folder and its layout cell.
        light: the illumination.
        optics: the optics.
        fabrication: the process that makes the masks.
        detector: the camera.
        decoder: the network that reads the camera.
        data: the fields it is trained and tested on.
        training: the stages.
        evaluation: how it is judged.
        slm: the panel that shows the masks.
        export: how the masks are written to files.
        tolerance: how far what is built may be from this, and how that is studied; None for what is usual.
    """

    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["d2nn5"])
    light: Light
    optics: OpticsSpec
    fabrication: Fabrication
    detector: DetectorSpec
    decoder: DecoderSpec
    data: Data
    training: Training
    evaluation: Evaluation = Evaluation()
    slm: SlmPanel = SlmPanel()
    export: Export = Export()
    tolerance: Tolerance | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Design:
        optics, made, training = self.optics, self.fabrication, self.training
        light = check_light(self.light, made)
        problems: list[DesignProblem] = [
            *light,
            *check_detector(optics, self.detector, self.decoder),
            *check_pixel(optics, self.detector),
            *check_measured(optics, self.data),
            *check_tiles(optics, self.evaluation),
            *check_slm(made, self.slm),
            *check_doses(made, self.export),
            *optics.problems(light=self.light, made=made, detector=self.detector, training=training),
            *([] if light else check_relief(self.light, made)),
            *check_probe(training),
            *check_parts(self.detector, self.decoder, training),
            *check_perceptual(training),
            *check_tolerance(optics, made, self.tolerance),
        ]
        refuse(problems)
        return self

    def to_toml(self) -> str:
        """The design as a TOML file in SI units, which reads back as an equal design."""
        return to_toml(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> str:
        """SHA-256 of the resolved design as canonical JSON, 64 hexadecimal digits; the order of stages counts.

        Defaults are left out, so that a key added to the schema later does not estrange the runs made before.
        """
        text = json.dumps(self.model_dump(mode="json", exclude_defaults=True), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def design_schema() -> dict[str, Any]:
    """JSON schema of a design file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Design.model_json_schema()}
