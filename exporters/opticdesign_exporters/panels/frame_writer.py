"""Whole frames of a panel: masks placed on it, with its correction and a carrier, as the greys of its table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from opticdesign.errors import UsageError
from opticdesign.handover.export import ExportedFile, ExportJob, WrittenFiles
from opticdesign.handover.panel import TURN_PARTS, Mounting, Panel, Place
from opticdesign.optics.elements import grey_of_phase

__all__ = ["write_frames"]

_TURN = 2.0 * math.pi
_SQUARE = 1e-6  # share by which the sides of a mask's pixel may differ


def write_frames(job: ExportJob, panel: Panel, folder: Path) -> WrittenFiles:
    """Write `slm/frame1.png` …, `slm/lut.csv` and, for a panel that is not flat, `slm/correction.png`.

    Raises:
        UsageError: masks whose pixels are not square, or that do not fit the panel; amplitudes of masks without.
    """
    profile, mounting = panel.profile, job.mounting
    if mounting.encode is not None and job.openings is None:
        raise UsageError(
            f"--encode {mounting.encode}: these masks absorb nothing",
            expected="masks with an amplitude to show",
            remedy="leave --encode out",
        )
    side = mounting.side(_pitch_m(job) / profile.pitch)
    places = _places(job, panel, side)
    wanted = _wanted_rad(job, panel, side, places)
    lut = torch.from_numpy(panel.lut_rad)
    (folder / "slm").mkdir()
    files, worst = [], 0.0
    for number, phase in enumerate(wanted):
        greys = grey_of_phase(torch.from_numpy(phase), lut).numpy()
        apart = np.mod(panel.lut_rad[greys] - phase + math.pi, _TURN) - math.pi
        worst = max(worst, float(np.abs(apart).max()))
        shown = ", ".join(str(mask) for mask, place in enumerate(places, start=1) if place.frame == number)
        path = f"slm/frame{number + 1}.png"
        _write_grey(folder / path, greys, profile.bits)
        files.append(ExportedFile(path, f"frame with mask {shown}, row 0 at the top", "grey, as lut.csv says"))
    files += _write_panel(panel, folder)
    magnification = side * profile.pitch / _pitch_m(job)
    options: dict[str, bool | int | float | str] = {
        "panel": profile.name,
        "rows": profile.pixels[0],
        "columns": profile.pixels[1],
        "bits": profile.bits,
        "panel_pitch_m": profile.pitch,
        "superpixel": side,
        "places": json.dumps(places),
        "flip": profile.flip,
        "turns": profile.turns,
        "encode": mounting.encode or "none",
        "carrier": mounting.carrier or 0.0,
        "fill_factor": profile.fill_factor,
        "gap": profile.gap,
        "crosstalk": profile.crosstalk,
        "lut_error": profile.lut_error,
        "magnification": magnification,
        "largest_rounding_rad": worst,
        "rule": "grey whose phase is nearest to mask + correction + carrier, modulo 2 pi",
        "note": f"{profile.name}: {side} × {side} panel pixels a pixel, {magnification:.6g} times the masks' size; "
        f"greys round by up to {worst:.4f} rad{_blurred(mounting.carrier, side)}",
    }
    if profile.settle is not None:
        options["settle_s"] = profile.settle
    return WrittenFiles(files, options)


def _blurred(carrier: float | None, side: int) -> str:
    """What a pinhole around the first order makes of masks that are finer than the carrier."""
    if carrier is None or side >= abs(carrier):
        return ""
    return f"; a carrier of {abs(carrier):g} pixels blurs masks of {side} × {side}: take a wider --superpixel"


def _pitch_m(job: ExportJob) -> float:
    """Side of a mask's pixel."""
    along_y, along_x = job.pitch_m
    if abs(along_y / along_x - 1.0) > _SQUARE:
        raise UsageError(
            f"masks with pixels of {along_y:.6g} m × {along_x:.6g} m",
            expected="square ones, as those of a panel",
            remedy="set optics.neurons to as many rows as columns",
        )
    return along_x


def _places(job: ExportJob, panel: Panel, side: int) -> list[Place]:
    """Where each mask begins on its frame."""
    profile, mounting = panel.profile, job.mounting
    rows, columns = job.levels.shape[1:]
    if profile.turns % 2:
        rows, columns = columns, rows
    tile = profile.pixels[0] // mounting.tiles[0], profile.pixels[1] // mounting.tiles[1]
    if rows * side > tile[0] or columns * side > tile[1]:
        raise UsageError(_too_large(rows, columns, side, tile), expected=_largest(rows, columns, tile), remedy=_REMEDY)
    top, left = _corner(mounting, (rows * side, columns * side), tile)
    many = mounting.tiles[0] * mounting.tiles[1]
    places = []
    for mask in range(len(job.levels)):
        frame, spot = divmod(mask, many)
        down, across = divmod(spot, mounting.tiles[1])
        places.append(Place(frame, down * tile[0] + top, across * tile[1] + left))
    return places


_REMEDY = "choose a smaller --superpixel, fewer --tiles, a larger panel, or a design of fewer neurons"


def _too_large(rows: int, columns: int, side: int, tile: tuple[int, int]) -> str:
    return (
        f"{rows} × {columns} pixels of {side} × {side} panel pixels are {rows * side} × {columns * side}, "
        f"on {tile[0]} × {tile[1]} of the panel"
    )


def _largest(rows: int, columns: int, tile: tuple[int, int]) -> str:
    """The largest that would fit, in words."""
    side = min(tile[0] // rows, tile[1] // columns)
    if side >= 1:
        return f"at most --superpixel {side}: {rows * side} × {columns * side}"
    return f"masks of at most {tile[0]} × {tile[1]} pixels, with --superpixel 1"


def _corner(mounting: Mounting, size: tuple[int, int], tile: tuple[int, int]) -> tuple[int, int]:
    """First row and column of a mask of a size in pixels, in its tile."""
    x, y = mounting.center or (tile[1] / 2.0, tile[0] / 2.0)
    top, left = math.floor(y - size[0] / 2.0 + 0.5), math.floor(x - size[1] / 2.0 + 0.5)
    if not (0 <= top <= tile[0] - size[0] and 0 <= left <= tile[1] - size[1]):
        margins = zip(size[::-1], tile[::-1], strict=True)
        ranges = (f"{length / 2.0:g} to {whole - length / 2.0:g}" for length, whole in margins)
        raise UsageError(
            f'--center "{x:g} {y:g}": a mask of {size[0]} × {size[1]} pixels leaves the panel',
            expected="x of {}, y of {}".format(*ranges),
            remedy="move it, or leave --center out for the middle",
        )
    return top, left


def _wanted_rad(job: ExportJob, panel: Panel, side: int, places: list[Place]) -> npt.NDArray[np.float64]:
    """Phase of each frame, float64 (frames, rows, columns): correction everywhere, masks and carrier where they are."""
    profile = panel.profile
    frames = np.zeros((places[-1].frame + 1, *profile.pixels))
    if panel.correction is not None:
        frames += panel.correction * (_TURN / TURN_PARTS)
    phases = job.process.phase_of_level(torch.arange(job.process.levels)).double().numpy()
    for number, (levels, place) in enumerate(zip(job.levels, places, strict=True)):
        mask = np.kron(_as_seen(phases[levels], profile.flip, profile.turns), np.ones((side, side)))
        if job.mounting.encode is not None and job.openings is not None:
            amplitude = job.openings[number] / job.spec.layout.halftone**2
            mask += _two_phases(_as_seen(amplitude, profile.flip, profile.turns), side)
        across = slice(place.left, place.left + mask.shape[1])
        if job.mounting.carrier is not None:
            mask += _TURN * np.arange(across.start, across.stop) / job.mounting.carrier
        frames[place.frame, place.top : place.top + len(mask), across] += mask
    return frames


def _two_phases(amplitude: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """What a checkerboard adds to the phase of each pixel so that an amplitude (rows, columns) is the mean.

    A = (exp(i arccos A) + exp(−i arccos A)) / 2; Mendoza-Yero, Mínguez-Vega and Lancis, "Encoding complex fields by
    using a phase-only optical element", Opt. Lett. 39, 1740 (2014), eq. 2, doi:10.1364/OL.39.001740.
    """
    turned = np.kron(np.arccos(amplitude), np.ones((side, side)))
    odd = np.add.outer(np.arange(len(turned)), np.arange(turned.shape[1])) % 2
    return np.where(odd == 1, -turned, turned)


def _as_seen(mask: npt.NDArray[np.float64], flip: str, turns: int) -> npt.NDArray[np.float64]:
    """What a panel has to show that is seen reversed, then turned, so that the mask is seen."""
    unturned = np.rot90(mask, -turns)
    return {"none": unturned, "rows": unturned[::-1], "columns": unturned[:, ::-1]}[flip]


def _write_grey(path: Path, greys: npt.NDArray[np.integer], bits: int) -> None:
    from PIL import Image

    Image.fromarray(greys.astype(np.uint8 if bits == 8 else np.uint16)).save(path, format="PNG")


def _write_panel(panel: Panel, folder: Path) -> list[ExportedFile]:
    """The table and the correction, without which nobody can tell what a frame shows."""
    lines = [f"{grey},{float(phase)!r}\n" for grey, phase in enumerate(panel.lut_rad)]
    (folder / "slm/lut.csv").write_text("grey,phase_rad\n" + "".join(lines), encoding="utf-8", newline="\n")
    files = [ExportedFile("slm/lut.csv", "phase of each grey of the panel", "radians")]
    if panel.correction is not None:
        _write_grey(folder / "slm/correction.png", panel.correction, 16)
        files.append(ExportedFile("slm/correction.png", "phase that makes the panel flat", f"2 pi / {TURN_PARTS}"))
    return files
