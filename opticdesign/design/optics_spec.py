"""The table [optics], whatever its kind: what all the rest asks of it without knowing which."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from opticdesign.design.fields import Variant, automatic, variant
from opticdesign.design.instrument import DetectorSpec, Fabrication, Light
from opticdesign.design.learning import Training
from opticdesign.design.toml_text import toml_value
from opticdesign.errors import DesignProblem
from opticdesign.plugins import Plugins
from opticdesign.units import Length

__all__ = ["Accuracy", "FillFactor", "Gaps", "Margin", "OpticsSpec", "Samples", "Surroundings"]

Samples: TypeAlias = Annotated[Annotated[int, Field(ge=1, le=64)] | None, *automatic("integer", 1, 64)]
FillFactor: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Gaps: TypeAlias = Literal["dark", "clear"]
Surroundings: TypeAlias = Literal["neighbours", "field-stop", "repeat"]
Margin: TypeAlias = Annotated[Annotated[Length, Field(ge=0)] | None, *automatic("string")]
Accuracy: TypeAlias = Annotated[float, Field(ge=1e-4, le=0.2)]

_OF_EVERY_KIND = ("surroundings", "margin", "accuracy")
_OF_MICROSCOPES = ("aperture", "coherence")  # errors


class OpticsSpec(Variant):
    """A kind of optics as its table says it; what it builds, a family of the same name knows.

    Every kind has the fields `kind`, a word of its own, `surroundings`, `margin` and `accuracy` as layers have them, at
    the places where its file has them.

    Raises:
        TypeError: a kind without one of these.
    """

    if TYPE_CHECKING:  # pydantic would put the fields of a base before all others
        surroundings: Surroundings
        margin: float | None
        accuracy: float

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if missing := [name for name in _OF_EVERY_KIND if name not in cls.model_fields]:
            raise TypeError(f"{cls.__name__} has no field {', '.join(missing)}")

    @classmethod
    def kinds(cls) -> tuple[type[Variant], ...]:
        """All kinds of optics, of the entry-point group `opticdesign.optics`, each named after its `kind`."""
        return tuple(_KINDS.installed().values()) if cls is OpticsSpec else super().kinds()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Samples of object and image along y and x, in the field of view."""

    @property
    @abstractmethod
    def sample_pitch(self) -> float:
        """Distance between samples of object and image, metres."""

    @property
    def image_pitch(self) -> float:
        """Distance between samples of the image on the camera, metres."""
        return self.sample_pitch

    @abstractmethod
    def mask_size(self, wavelength: float) -> tuple[float, float]:
        """How large a mask is along y and x, metres, for light of a wavelength in the medium, metres."""

    @abstractmethod
    def clear(self) -> OpticsSpec:
        """The same optics with masks that let light pass unchanged, for a floor."""

    @abstractmethod
    def random(self) -> OpticsSpec:
        """The same optics with masks of random phase, for a floor."""

    def random_cells(self) -> OpticsSpec:
        """The same with masks that repeat as these do."""
        return self.random()

    @property
    def neuron_samples(self) -> int:
        """Samples of the image across one of the neurons that the file counts."""
        return 1

    @property
    def light_samples(self) -> int | None:
        """Samples of the light on the camera across one of the image; None for what `accuracy` asks."""
        return None

    @property
    def masks(self) -> int:
        """Number of masks."""
        return 1

    @property
    def crossed(self) -> int:
        """Masks that light passes, the first ones."""
        return self.masks

    @property
    def distances(self) -> int:
        """Distances between planes that may be wrong."""
        return self.crossed + 1

    @property
    def camera_room(self) -> float:
        """How far the camera may come towards the optics, metres."""
        return math.inf

    @property
    def period(self) -> int:
        """Samples of the image after which the masks repeat; 1 where they act alike everywhere, or do not repeat."""
        return 1

    @property
    def measured(self) -> bool:
        """Whether light is not modelled, but was measured."""
        return False

    @property
    def acts_alike(self) -> bool:
        """Whether every place of an object is imaged alike, so that a frame of any size is one of these optics."""
        return False

    @property
    def pointlike(self) -> bool:
        """Whether the file asks by name for neurons that are points, which no process makes."""
        return False

    @property
    def absorbs(self) -> bool:
        """Whether an amplitude of the masks is learned."""
        return False

    @property
    def learns(self) -> bool:
        """Whether training changes anything in these optics."""
        return True

    @property
    def way_to_masks(self) -> str:
        """What would give these optics a mask, where they have none."""
        return "choose optics that have masks"

    @property
    def keeps_phase(self) -> bool:
        """Whether a phase of the masks is learned, and so kept in a run."""
        return True

    def pupil_radius(self, wavelength: float) -> float | None:  # noqa: ARG002 (most optics pass what samples carry)
        """Radius of a pupil in steps of frequency over a square field of view; None where all that is sampled passes.

        Args:
            wavelength: in vacuum, metres.
        """
        return None

    def reach(self, wavelength: float) -> float:  # noqa: ARG002 (some reach as far as there is something)
        """How far light crosses on its way from the object to the first mask, metres; wavelength in the medium."""
        return math.inf

    def margin_samples(self, wavelength: float) -> tuple[int, int]:
        """Samples by which light and object reach beyond the field of view on each side, along y and x.

        Left to the program, it is as far as light crosses, at most half a field of view.

        Args:
            wavelength: in the medium, metres.
        """
        if self.surroundings == "field-stop":
            return 0, 0
        if self.margin is not None:
            samples = math.ceil(self.margin / self.sample_pitch * (1.0 - 1e-9))
            return samples, samples
        crossed = self.reach(wavelength) / self.sample_pitch
        rows, columns = (math.ceil(min(crossed, math.ceil(side / 2))) for side in self.shape)
        return rows, columns

    def regular_as(self, other: OpticsSpec) -> bool:  # noqa: ARG002 (nothing is alike in most masks)
        """Whether what is alike in these masks is alike in those of others too: training keeps that, but makes none."""
        return True

    def problems(
        self,
        *,
        light: Light,  # noqa: ARG002 (most kinds have no such rule)
        made: Fabrication,  # noqa: ARG002
        detector: DetectorSpec,  # noqa: ARG002
        training: Training,  # noqa: ARG002
    ) -> list[DesignProblem]:
        """What is wrong with optics of this kind beside these tables of a design; see `rules`."""
        return []

    def error_problem(self, name: str) -> DesignProblem | None:
        """Why an error of [tolerance] cannot befall these optics; None where it can."""
        if name not in _OF_MICROSCOPES:
            return None
        message = "these optics have neither objective nor condenser"
        return DesignProblem("optics.kind", message, toml_value(self.kind), '"bright-field"', f"remove {name}")


# abstract here, and none of those that are found is
_KINDS = Plugins("opticdesign.optics", "kind of optics", variant(OpticsSpec))  # type: ignore[type-abstract]
