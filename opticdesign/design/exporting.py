"""Tables of a design that say how its masks are written to files."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from opticdesign.design.fields import Table, sequence
from opticdesign.design.values import check_contrast
from opticdesign.units import Length

__all__ = ["Export", "GreyScale", "Layout", "Print"]

_Dies: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
_DiePair: TypeAlias = Annotated[
    tuple[_Dies, _Dies],
    BeforeValidator(sequence),
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 1000}, "minItems": 2}),
]
_Grey: TypeAlias = Annotated[int, Field(ge=0, le=255)]
_Point: TypeAlias = Annotated[tuple[_Grey, Length], BeforeValidator(sequence)]
_Dose: TypeAlias = Annotated[float, Field(gt=0, le=1000)]


class Layout(Table):
    """Lithography layouts, GDSII and OASIS.

    Attributes:
        kind: all levels of a mask layer on one layout layer, told apart by datatype; or one binary mask for each bit of
            the level, which all etch steps with that bit share.
        tone: draw what stays ("keep"), or what is etched ("etch").
        mirror: draw the die as seen from the back, x reversed, for the far side of a wafer.
        arrange: all masks of a die at one place, each on layers of its own ("overlaid"), or beside one another, from
            left to right in the order of the light, as on a wafer that is cut ("side by side").
        array: rows and columns of dies.
        spacing: free space between neighbouring dies, and between masks side by side, metres.
        marks: draw alignment marks, verniers, a frame, the orientation F and the label.
        label: text of the label; the design's name where it is empty.
        vernier: step that the verniers read, metres.
        halftone: cells along each side of a pixel in a chrome layer, the opened share of which is the amplitude.
        doses: relative dose of each level, the lowest first, for a writer that exposes levels in one pass.
    """

    kind: Literal["levels", "bits"] = Field(default="levels", description="kind of layout", examples=["bits"])
    tone: Literal["keep", "etch"] = Field(default="keep", description="what is drawn", examples=["etch"])
    mirror: bool = Field(default=False, description="as seen from the back", examples=[True])
    arrange: Literal["overlaid", "side by side"] = Field(
        default="overlaid", description="where the masks of a die are", examples=["side by side"]
    )
    array: _DiePair = Field(default=(1, 1), description="rows and columns of dies", examples=[[2, 3]])
    spacing: Length = Field(default=100e-6, ge=0, description="space between dies", examples=["100 um"])
    marks: bool = Field(default=True, description="marks, verniers, frame, F and label", examples=[False])
    label: str = Field(default="", max_length=32, pattern=r"^[ -~]*$", description="text", examples=["WAFER 7"])
    vernier: Length = Field(default=50e-9, gt=0, description="step that verniers read", examples=["50 nm"])
    halftone: int = Field(default=8, ge=1, le=64, description="chrome cells along a pixel, 1 to 64", examples=[8])
    doses: Annotated[tuple[_Dose, ...], BeforeValidator(sequence)] = Field(
        default=(), description="relative dose of each level", examples=[[1.0, 1.1, 1.25, 1.4]]
    )


class GreyScale(Table):
    """Bitmaps for grey-scale lithography.

    Attributes:
        contrast: the resist's curve: grey values and the height above the lowest that each leaves, metres; heights rise
            or fall throughout, grey values rise. Empty: grey 0 leaves the lowest level and 255 the highest, straight.
    """

    contrast: Annotated[tuple[_Point, ...], BeforeValidator(sequence), AfterValidator(check_contrast)] = Field(
        default=(),
        description="grey values and the heights they leave",
        examples=[[[0, "0 nm"], [100, "500 nm"], [255, "1400 nm"]]],
    )


class Print(Table):
    """Solids for printing, STL and 3MF.

    Attributes:
        base: thickness of the plate under the relief, metres.
        magnification: size of the print over that of the mask, in all directions.
    """

    base: Length = Field(default=2e-6, gt=0, description="thickness of the plate", examples=["2 um"])
    magnification: float = Field(default=1.0, gt=0, le=1e6, description="print over mask", examples=[1000.0])


class Export(Table):
    """How the masks are written.

    Attributes:
        layout: GDSII and OASIS.
        grey: grey-scale lithography.
        print: solids.
    """

    layout: Layout = Layout()
    grey: GreyScale = GreyScale()
    print: Print = Print()
