"""A study of autoencoders: linear and nonlinear encoders and decoders, on digits as images and as phases."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from opticdesign.design.fields import Fraction, Name, Table, distinct, sequence
from opticdesign.design.loading import load_tables
from opticdesign.design.values import check_data_split
from opticdesign.units import Angle

__all__ = ["AutoencoderStudy", "AutoencoderTraining", "IdxData", "StandInData", "load_autoencoder_study"]

_EXAMPLE = "designs/studies/autoencoders.toml is a complete study"


_Numbers: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=0, le=2**63 - 1)], ...], BeforeValidator(sequence), AfterValidator(distinct)
]
_Sizes: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(sequence), AfterValidator(distinct)
]


class StandInData(Table):
    """Small digits that scikit-learn carries, to try the study out.

    Attributes:
        kind: "stand-in".
    """

    kind: Literal["stand-in"] = Field(description="kind of data", examples=["stand-in"])


class IdxData(Table):
    """Digits of the user in idx files, such as MNIST.

    Attributes:
        kind: "idx".
        path: a file, or a folder of them; a relative path starts at the current directory.
    """

    kind: Literal["idx"] = Field(description="kind of data", examples=["idx"])
    path: str = Field(
        min_length=1, max_length=4096, description="a file or folder", examples=["t10k-images-idx3-ubyte"]
    )


class AutoencoderTraining(Table):
    """How every autoencoder is trained: Adam on the mean squared error.

    Attributes:
        steps: optimiser steps.
        batch: images per step.
        rate: highest learning rate.
    """

    steps: int = Field(default=1200, ge=1, le=10_000_000, description="optimiser steps", examples=[1200])
    batch: int = Field(default=64, ge=2, le=65_536, description="images per step, 2 or more", examples=[64])
    rate: float = Field(default=0.01, gt=0, le=10, description="learning rate", examples=[0.01])


class AutoencoderStudy(Table):
    """All pairs of encoder and decoder, at every latent size, with every seed.

    Attributes:
        kind: "autoencoders".
        name: name of the study.
        latents: numbers in the code: what a detector of so many pixels reads.
        seeds: seeds of the starting weights and the batches.
        hidden: units of the hidden layer that a nonlinear encoder and a nonlinear decoder have.
        phase_range: phase of full ink, radians. Under a full turn, since there ink and background would look the same.
        data: the digits.
        split: fractions of the digits for training, validation and test; their sum is 1.
        training: how every pair is trained.
    """

    kind: Literal["autoencoders"] = Field(description="kind of study", examples=["autoencoders"])
    name: Name = Field(description="letters, digits, - and _, at most 32", examples=["autoencoders"])
    latents: _Sizes = Field(min_length=1, description="numbers in the code, each 1 to 4096", examples=[[4, 16, 64]])
    seeds: _Numbers = Field(min_length=1, description="one seed or more", examples=[[0, 1, 2]])
    hidden: int = Field(default=256, ge=1, le=65_536, description="units of a hidden layer", examples=[256])
    phase_range: Angle = Field(
        default=math.pi, gt=0, lt=2.0 * math.pi, description="phase of full ink", examples=["180 deg"]
    )
    data: Annotated[StandInData | IdxData, Field(discriminator="kind")]
    split: Annotated[
        tuple[Fraction, Fraction, Fraction], BeforeValidator(sequence), AfterValidator(check_data_split)
    ] = Field(
        default=(0.8, 0.1, 0.1), description="fractions for training, validation, test", examples=[[0.8, 0.1, 0.1]]
    )
    training: AutoencoderTraining = AutoencoderTraining()

    def quick(self) -> AutoencoderStudy:
        """The same study at a smoke budget of seconds: few, short trainings of small networks."""
        training = self.training.model_copy(update={"steps": min(self.training.steps, 60)})
        update = {"training": training, "hidden": min(self.hidden, 32)}
        return self.model_copy(update={**update, "latents": self.latents[:2], "seeds": self.seeds[:2]})

    def digest(self, data_sha256: str) -> str:
        """SHA-256 of all that a result depends on beside its pair, latent size and seed.

        Args:
            data_sha256: SHA-256 of the digits themselves, which stands for their path.
        """
        rest = self.model_dump(mode="json", exclude={"name", "latents", "seeds", "data"})
        text = json.dumps({"format": 1, "data_sha256": data_sha256, **rest}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_autoencoder_study(path: Path | str, changes: Sequence[str] = ()) -> AutoencoderStudy:
    """Read a study file.

    Args:
        path: a TOML file in UTF-8.
        changes: key=value texts, such as "training.steps=100".

    Raises:
        DesignError: the file cannot be read or has problems; it holds all of them.
    """
    return load_tables(path, AutoencoderStudy, changes, _EXAMPLE)
