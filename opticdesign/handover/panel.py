"""A panel as frames for it need it: its profile, the phase of each grey, its correction, how masks lie on it."""

from __future__ import annotations

import csv
import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from opticdesign.design.panel import PanelProfile, find_profile, load_profile
from opticdesign.errors import DesignError, DesignProblem, UsageError
from opticdesign.optics.elements import linear_lut
from opticdesign.units import format_length

__all__ = ["TURN_PARTS", "Mounting", "Panel", "PanelFrames", "Place", "load_panel"]

TURN_PARTS = 65536
"""Parts of a turn to which corrections are rounded, so that a 16-bit picture holds them exactly."""
_TURN = 2.0 * math.pi
_NEAR = 0.01  # share by which wavelengths may differ: phases are then off by as much
_WIDEST_GAP_RAD = math.pi / 2.0  # between the phases of neighbouring greys, around the turn
_LARGEST_FILE = 256 << 20

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """A panel for light of one wavelength.

    Args:
        profile: what it is.
        lut_rad: phase of each grey, radians, float64 (greys,).
        correction: what makes it flat, in `TURN_PARTS`ths of a turn, uint16 (rows, columns); None where it is flat.
    """

    profile: PanelProfile
    lut_rad: Reals
    correction: npt.NDArray[np.uint16] | None = None

    @property
    def widest_gap_rad(self) -> float:
        """Largest distance between neighbouring phases that it shows, around the turn."""
        shown = np.unique(np.mod(self.lut_rad, _TURN))
        return float(np.diff(np.append(shown, shown[0] + _TURN)).max())


@dataclass(frozen=True)
class Mounting:
    """How masks lie on a panel.

    Args:
        center: where the middle of a mask is, along x and y in pixels from the upper left corner of the panel, or of
            each tile; the middle when left out.
        carrier: period along x in pixels of the blazed grating that is added to the masks; negative sends their light
            to the other side. None for no grating.
        tiles: rows and columns of equal parts of a panel, a mask in each, in the order of the light.
        superpixel: pixels of the panel along each side of one of a mask; what is nearest to its size when left out.
        encode: how amplitudes are shown: "checkerboard", pixels of two phases with them as mean; None leaves them out.

    Raises:
        UsageError: a number out of range.
    """

    center: tuple[float, float] | None = None
    carrier: float | None = None
    tiles: tuple[int, int] = (1, 1)
    superpixel: int | None = None
    encode: str | None = None

    def __post_init__(self) -> None:
        if self.carrier is not None and not 2.0 <= abs(self.carrier) <= 1e6:
            raise UsageError(
                f"--carrier {self.carrier:g}", expected="a period of 2 pixels or more", remedy="for example --carrier 8"
            )
        if min(self.tiles) < 1:
            raise UsageError(f"--tiles {self.tiles[0]} {self.tiles[1]}", expected="rows and columns, 1 or more")
        if self.superpixel is not None and self.superpixel < 1:
            raise UsageError(f"--superpixel {self.superpixel}", expected="1 or more")
        if self.encode not in (None, "checkerboard"):
            raise UsageError(f"--encode {self.encode}", expected="checkerboard")
        if self.encode is not None and self.superpixel is not None and self.superpixel % 2:
            raise UsageError(
                f"--superpixel {self.superpixel} with --encode {self.encode}",
                expected="an even number: half of the pixels for each of two phases",
                remedy=f"--superpixel {self.superpixel + 1}",
            )

    def side(self, ratio: float) -> int:
        """Pixels of a panel along one of a mask that is so many times as wide."""
        step = 1 if self.encode is None else 2
        return self.superpixel or max(step, step * round(ratio / step))


class Place(NamedTuple):
    """Where a mask is: the frame that shows it, from 0, and its first row and column there."""

    frame: int
    top: int
    left: int


@dataclass(frozen=True)
class PanelFrames:
    """Frames as their files hold them, with what the panel makes of them.

    Args:
        greys: frames (frames, rows, columns), uint16.
        lut_rad: phase of each grey, radians (greys,).
        correction_rad: phase that flattens the panel, radians (rows, columns).
        carrier: period along x, pixels; None for none.
        superpixel: pixels along each side of one of a mask.
        encoded: whether amplitudes are shown, as means of two phases on a checkerboard.
        places: of each mask.
        flip, turns, fill_factor, gap, crosstalk, lut_error: of the panel, as its profile has them.
        panel: its name.
    """

    greys: npt.NDArray[np.uint16]
    lut_rad: Reals
    correction_rad: Reals
    carrier: float | None
    superpixel: int
    encoded: bool
    places: tuple[Place, ...]
    flip: str
    turns: int
    fill_factor: float
    gap: float
    crosstalk: float
    lut_error: float
    panel: str


def load_panel(named: str, wavelength_m: float) -> Panel:
    """A panel from its profile, for light of a wavelength in metres.

    Args:
        named: the file of a profile, or the name of a shipped one.
        wavelength_m: of the design.

    Raises:
        UsageError: no such profile.
        DesignError: the profile, or a file that it names, cannot be used; names file, key and value.
    """
    path = find_profile(named)
    reader = _Reader(path, load_profile(path))
    reader.require_wavelength("wavelength", wavelength_m)
    reader.require_wavelength("flatness_wavelength", wavelength_m)
    panel = Panel(reader.profile, reader.lut(), reader.correction())
    if (gap := panel.widest_gap_rad) > _WIDEST_GAP_RAD:
        key = "two_pi_grey" if reader.profile.lut is None else "lut"
        reader.fail(
            key,
            f"neighbouring phases of its greys are up to {gap:.3g} rad apart",
            str(getattr(reader.profile, key)),
            "phases over 2π, at most π/2 apart",
            "give it a table that reaches 2π, or take light of a shorter wavelength",
        )
    return panel


class _Reader:
    """The files that a profile names."""

    def __init__(self, path: Path, profile: PanelProfile) -> None:
        self.path, self.profile = path, profile

    def fail(self, key: str, message: str, value: str, expected: str, remedy: str) -> NoReturn:
        raise DesignError([DesignProblem(key, message, value, expected, remedy, source=str(self.path))])

    def require_wavelength(self, key: str, wavelength_m: float) -> None:
        """Refuse what was measured with other light than the design's."""
        measured_m = getattr(self.profile, key)
        if measured_m is not None and abs(measured_m / wavelength_m - 1.0) > _NEAR:
            self.fail(
                key,
                f"the design is for {format_length(wavelength_m)}",
                f'"{format_length(measured_m)}"',
                f"within {_NEAR:.0%} of the design's",
                "measure the panel at the design's wavelength, and give that profile",
            )

    def content(self, key: str) -> bytes:
        """The bytes of a file that the profile names."""
        named = str(getattr(self.profile, key))
        file = self.path.parent / named
        try:
            with file.open("rb") as stream:
                data = stream.read(_LARGEST_FILE + 1)
        except OSError as error:
            reason = f"{file}: cannot be read: {error.strerror or error}"
            self.fail(key, reason, named, "a file beside the profile", "correct the path")
        if len(data) > _LARGEST_FILE:
            self.fail(key, f"{file}: too large", named, "at most 256 MB", "name the right file")
        return data

    def lut(self) -> Reals:
        """The phase of each grey."""
        greys = 2**self.profile.bits
        if self.profile.lut is None:
            return linear_lut(self.profile.bits, self.profile.two_pi_grey or greys).numpy()
        points = self.points(self.content("lut"), greys)
        return np.interp(np.arange(greys), points[:, 0], points[:, 1])

    def points(self, data: bytes, greys: int) -> Reals:
        """Greys and phases of a CSV file (points, 2)."""
        rows: list[tuple[float, float]] = []
        expected = f"greys rising from 0 to {greys - 1} and phases in radians, such as 12, 0.295"
        for number, line in enumerate(csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"))), start=1):
            if not any(cell.strip() for cell in line) or line[0].lstrip().startswith("#"):
                continue
            try:
                grey, phase = (float(cell) for cell in line)
            except ValueError:
                if not rows:  # a heading
                    continue
                grey = math.nan
            rises = grey == int(grey) and grey > (rows[-1][0] if rows else -1) if math.isfinite(grey) else False
            if not rises or grey > greys - 1 or not math.isfinite(phase):
                what = f"{self.profile.lut}: line {number} is no rising grey with its phase"
                self.fail("lut", what, ", ".join(line)[:60], expected, "correct that line")
            rows.append((grey, phase))
        if len(rows) < 2 or (rows[0][0], rows[-1][0]) != (0, greys - 1):
            what = f"{self.profile.lut}: {len(rows)} lines, which do not reach from grey 0 to grey {greys - 1}"
            self.fail("lut", what, str(self.profile.lut), expected, "measure the first and the last grey as well")
        return np.array(rows)

    def correction(self) -> npt.NDArray[np.uint16] | None:
        """The picture of the correction, rounded to parts of a turn."""
        if self.profile.flatness is None:
            return None
        values = self.picture(self.content("flatness"))
        if values.shape != self.profile.pixels:
            what = f"{self.profile.flatness}: {' × '.join(map(str, values.shape))} pixels"
            expected = f"{self.profile.pixels[0]} × {self.profile.pixels[1]}, as the panel"
            self.fail("flatness", what, str(self.profile.flatness), expected, "take the picture of this panel")
        if values.dtype.kind == "f":
            scale = _TURN
        else:
            scale = self.profile.flatness_two_pi or float(np.iinfo(values.dtype).max) + 1.0
        turns = values.astype(np.float64) / scale
        if not np.isfinite(turns).all():
            what = f"{self.profile.flatness}: values that are no numbers"
            self.fail("flatness", what, str(self.profile.flatness), "finite phases", "fill the holes of the map")
        return np.mod(np.rint(turns * TURN_PARTS), TURN_PARTS).astype(np.uint16)

    def picture(self, data: bytes) -> npt.NDArray[Any]:
        """Greys of a BMP, PNG or TIFF, or the floats of a TIFF (rows, columns)."""
        import tifffile
        from PIL import Image

        try:
            if data[:4] in (b"II*\0", b"MM\0*"):
                values = tifffile.imread(io.BytesIO(data))
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", Image.DecompressionBombWarning)
                    image = Image.open(io.BytesIO(data), formats=["BMP", "PNG"])
                with image:
                    deep = image.mode.startswith("I")
                    values = np.asarray(image if deep else image.convert("RGB"))
                values = values.astype(np.uint16) if deep else values
                if values.ndim == 3 and (values == values[..., :1]).all():
                    values = values[..., 0]
        except Exception as error:  # Pillow and tifffile raise whatever a damaged file leads them to
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            what = f"{self.profile.flatness}: cannot be read: {reason}"
            self.fail("flatness", what, str(self.profile.flatness), "a whole BMP, PNG or TIFF", "save it again")
        if values.ndim != 2 or values.dtype.kind not in "uf":
            what = f"{self.profile.flatness}: type {values.dtype}, shape {values.shape}"
            self.fail("flatness", what, str(self.profile.flatness), "one picture of greys or floats", "save it as grey")
        return values
