"""Profiles of panels: what a spatial light modulator is, and how a laboratory measured the one that it has."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from opticdesign.design.fields import Name, Table, sequence
from opticdesign.design.loading import load_tables
from opticdesign.design.values import refuse
from opticdesign.errors import DesignProblem, UsageError
from opticdesign.units import Length, Time, format_length

__all__ = ["PanelProfile", "find_profile", "load_profile", "shipped_profiles"]

_PACKAGE = Path(__file__).parent.parent
_SHIPPED = (_PACKAGE / "_designs", _PACKAGE.parent / "designs")  # in a wheel, and in a checkout
_TEMPLATE = "designs/panels/template.toml has every key"

_Side = Annotated[int, Field(ge=1, le=16384)]
_Sides = Annotated[
    tuple[_Side, _Side],
    BeforeValidator(sequence),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 16384}, "minItems": 2}),
]
_FilePath = Annotated[str, Field(min_length=1, max_length=4096)]


class PanelProfile(Table):
    """A phase-only panel. Rows and columns are those of the frame that is sent to it.

    Attributes:
        name: what it is called in manifests and tables.
        pixels: rows and columns.
        pitch: distance between neighbouring pixels, metres.
        bits: of a pixel of the frame.
        fill_factor: share of a pixel's area that modulates.
        gap: amplitude that the area between pixels sends on unmodulated.
        two_pi_grey: grey that gives a phase of 2π where phases grow evenly from grey 0; the number of greys where
            neither this nor a table is given: the driver's own table is then set for the design's wavelength.
        lut: CSV file of measured phases, radians, of rising greys, "grey, phase" a line, straight between its lines.
        wavelength: at which `two_pi_grey` or `lut` holds, metres.
        flatness: picture of the correction that makes the panel flat, of its rows and columns: greys of a BMP, PNG or
            TIFF, or radians of a TIFF of floats.
        flatness_wavelength: at which it holds, metres.
        flatness_two_pi: grey of the picture that stands for 2π; the number of its greys when left out.
        flip: what the panel shows is seen with its rows or its columns reversed.
        turns: quarter turns, counter-clockwise, in which it is then seen.
        crosstalk: standard deviation of the Gaussian that smears the phase between pixels, in pixels.
        lut_error: error of all phases over the phase.
        settle: time from a new frame to its full phase, seconds.
    """

    name: Name = Field(description="letters, digits, - and _", examples=["pluto-2-1"])
    pixels: _Sides = Field(description="rows and columns", examples=[[1080, 1920]])
    pitch: Length = Field(gt=0, description="distance between pixels", examples=["8 um"])
    bits: Literal[8, 10, 12] = Field(default=8, description="of a pixel", examples=[8])
    fill_factor: float = Field(default=1.0, gt=0, le=1, description="share that modulates", examples=[0.93])
    gap: float = Field(default=0.0, ge=0, le=1, description="amplitude of the gaps", examples=[0.5])
    two_pi_grey: int | None = Field(default=None, ge=2, le=4096, description="grey of 2π", examples=[218])
    lut: _FilePath | None = Field(default=None, description="CSV file of grey and phase", examples=["lut.csv"])
    wavelength: Length | None = Field(default=None, gt=0, description="of the phases", examples=["633 nm"])
    flatness: _FilePath | None = Field(default=None, description="picture of the correction", examples=["flat.bmp"])
    flatness_wavelength: Length | None = Field(default=None, gt=0, description="of the picture", examples=["633 nm"])
    flatness_two_pi: float | None = Field(default=None, gt=0, le=65536, description="its grey of 2π", examples=[255.0])
    flip: Literal["none", "rows", "columns"] = Field(default="none", description="what is reversed", examples=["rows"])
    turns: int = Field(default=0, ge=0, le=3, description="quarter turns, 0 to 3", examples=[1])
    crosstalk: float = Field(default=0.0, ge=0, le=4, description="deviation in pixels", examples=[0.3])
    lut_error: float = Field(default=0.0, ge=-0.5, le=0.5, description="relative error of phases", examples=[0.02])
    settle: Time | None = Field(default=None, ge=0, le=60, description="time to the full phase", examples=["50 ms"])

    @model_validator(mode="after")
    def _consistent(self) -> PanelProfile:
        refuse([*_check_phases(self), *_check_flatness(self)])
        return self


def _check_phases(panel: PanelProfile) -> list[DesignProblem]:
    """One source of phases, with its wavelength."""
    if panel.two_pi_grey is not None and panel.lut is not None:
        message, remedy = "two_pi_grey beside a measured table", "remove two_pi_grey"
        return [DesignProblem("two_pi_grey", message, str(panel.two_pi_grey), "one of lut and two_pi_grey", remedy)]
    if panel.two_pi_grey is not None and panel.two_pi_grey > 2**panel.bits:
        message, remedy = f"the panel has {2**panel.bits} greys", "correct bits or two_pi_grey"
        return [
            DesignProblem("two_pi_grey", message, str(panel.two_pi_grey), f"at most {2**panel.bits}", remedy),
        ]
    measured = panel.two_pi_grey is not None or panel.lut is not None
    if measured and panel.wavelength is None:
        message, remedy = "missing key 'wavelength'", 'add wavelength = "633 nm"'
        return [DesignProblem("wavelength", message, expected="that at which the phases hold", remedy=remedy)]
    if not measured and panel.wavelength is not None:
        message, value = "a wavelength of no phases", f'"{format_length(panel.wavelength)}"'
        return [DesignProblem("wavelength", message, value, "lut or two_pi_grey beside it", "add one, or remove it")]
    return []


def _check_flatness(panel: PanelProfile) -> list[DesignProblem]:
    """A correction with its wavelength, and no scale of none."""
    if panel.flatness is not None:
        if panel.flatness_wavelength is None:
            message, remedy = "missing key 'flatness_wavelength'", 'add flatness_wavelength = "633 nm"'
            key, expected = "flatness_wavelength", "that at which the correction holds"
            return [DesignProblem(key, message, expected=expected, remedy=remedy)]
        return []
    return [
        DesignProblem(
            key, "a scale of no correction", expected="flatness beside it", remedy="add flatness, or remove it"
        )
        for key in ("flatness_wavelength", "flatness_two_pi")
        if getattr(panel, key) is not None
    ]


def shipped_profiles() -> dict[str, Path]:
    """The profiles that ship with the toolkit, by name; its template is none of a panel."""
    folder = next((place / "panels" for place in _SHIPPED if (place / "panels").is_dir()), Path())
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if path.stem != "template"}


def find_profile(named: str) -> Path:
    """The file of a profile: a path that ends in .toml, or the name of a shipped one.

    Raises:
        UsageError: no shipped profile has this name.
    """
    if named.endswith(".toml"):
        return Path(named)
    known = shipped_profiles()
    if named not in known:
        near = get_close_matches(named, known, n=1, cutoff=0.5)
        raise UsageError(
            f"--panel {named}: no shipped profile of this name",
            expected="a .toml file, or one of " + ", ".join(known),
            remedy=f"did you mean {near[0]}?" if near else f"write a profile of your own; {_TEMPLATE}",
        )
    return known[named]


def load_profile(path: Path) -> PanelProfile:
    """Read and check a profile.

    Raises:
        DesignError: the file cannot be read, or it has problems; it holds all of them.
    """
    return load_tables(path, PanelProfile, example=_TEMPLATE, noun="panel")
