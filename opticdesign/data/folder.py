"""Phase images from files, brought to the design's pitch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opticdesign.data.phase_field import PhaseField
from opticdesign.data.readers import PARTS_KEY, SUFFIXES, RawImages, read_images
from opticdesign.data.resampling import resample, resample_mask, resampled_shape
from opticdesign.errors import DataError, UsageError

__all__ = ["load_fields"]

MAX_PHASE_RAD = 1e4  # no thin sample delays by a thousand waves: the numbers have another meaning
MAX_PIXELS = 2**28  # of one resampled image, 1 GiB of float32


def load_fields(
    path: Path | str,
    *,
    pitch_m: float | None,
    design_pitch_m: float,
    key: str | None = None,
    phase_range_rad: tuple[float, float] | None = None,
) -> list[PhaseField]:
    """Read a file, or every file of a known type in a folder (by name, without subfolders); stacks give several fields.

    Floats are a phase in radians, unwrapped. Complex numbers are a field A·exp(iφ), resampled as such and unwrapped
    then; its lowest phase becomes 0, since no detector sees a constant phase. Grey values run over `phase_range_rad`.
    Pixels that are not finite, or outside an array named "mask", are not valid.

    Args:
        path: the file or folder; npy, npz, tif, png, mat or h5.
        pitch_m: pixel pitch of the images in metres; None for the design's.
        design_pitch_m: pixel pitch of the result in metres.
        key: name of the array in npz, mat and h5 files. Default: "phase" (mat: "E_field"), or the only image.
        phase_range_rad: phase of grey value 0 and of full scale in radians; grey images need it.

    Raises:
        DataError: no file, an unknown or damaged one, or data that is no phase image; names the file and the remedy.
        UsageError: a pitch that is not positive.
    """
    source_pitch_m = design_pitch_m if pitch_m is None else pitch_m
    if not (source_pitch_m > 0.0 and design_pitch_m > 0.0):
        raise UsageError(f"pitches of {source_pitch_m} m and {design_pitch_m} m", expected="pitches above 0")
    scale = source_pitch_m / design_pitch_m
    return [
        field for file in _files(Path(path)) for field in _fields(file, read_images(file, key), scale, phase_range_rad)
    ]


def _files(path: Path) -> list[Path]:
    try:
        if not path.exists():
            raise DataError(path, "no such file or folder", remedy="check data.path")
        if not path.is_dir():
            return [path]
        files = sorted(
            item
            for item in path.iterdir()
            if item.suffix.lower() in SUFFIXES and not item.name.startswith(".") and item.is_file()
        )
    except OSError as problem:
        raise DataError(path, f"cannot be opened: {problem.strerror}", remedy="check data.path") from problem
    if not files:
        raise DataError(
            path,
            "no data file in the folder",
            expected=f"files of type {', '.join(SUFFIXES)}",
            remedy="check data.path",
        )
    return files


def _fields(
    file: Path, images: RawImages, scale: float, phase_range_rad: tuple[float, float] | None
) -> Iterator[PhaseField]:
    for i, data in enumerate(images.data):
        name = f"{file.name}[{i}]" if images.stacked else file.name
        path = file.with_name(name)
        values = _radians(path, data, phase_range_rad) if data.dtype.kind == "u" else data
        amplitude = np.ones(data.shape) if images.amplitude is None else images.amplitude[i]
        valid = np.isfinite(values) & np.isfinite(amplitude)
        if images.mask is not None:
            valid &= images.mask[i]
        values, amplitude = _finite(values), _finite(amplitude)
        _check(path, values, amplitude, valid)
        shape = _shape(path, (data.shape[0], data.shape[1]), scale)
        valid = resample_mask(valid, shape)
        if not valid.any():
            raise DataError(path, "no valid pixel", expected="finite numbers inside the mask")
        values, amplitude = resample(values, shape), resample(amplitude, shape)
        if np.iscomplexobj(values):
            values, amplitude = _unwrapped(values, valid), np.abs(values)
        yield PhaseField(name, values.astype(np.float32), amplitude.astype(np.float32), valid, file.name)


def _radians(path: Path, grey: NDArray[Any], phase_range_rad: tuple[float, float] | None) -> NDArray[np.float64]:
    """Grey values as phase, over the full scale of their type."""
    if phase_range_rad is None:
        raise DataError(
            path,
            f"grey values of type {grey.dtype} hold no phase scale",
            expected="data.phase_range, the phase of grey value 0 and of full scale",
            remedy='set data.phase_range = ["0 rad", "6.28 rad"] with the values of your instrument',
        )
    low, high = phase_range_rad
    return low + (high - low) * (grey / float(np.iinfo(grey.dtype).max))


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    """The values in double precision, 0 where they are not finite."""
    wide = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
    return np.where(np.isfinite(wide), wide, 0.0)


def _check(path: Path, values: NDArray[Any], amplitude: NDArray[Any], valid: NDArray[np.bool_]) -> None:
    """Refuse what is no unwrapped phase, or no amplitude."""
    if amplitude.min() < 0.0:
        raise DataError(
            path,
            f"an amplitude of {amplitude.min():.4g}",
            expected=f"an array {PARTS_KEY!r} with the amplitude as its real part and the phase as its imaginary part",
            remedy="give a field A·exp(iφ) another name and set data.key",
        )
    if np.iscomplexobj(values):
        return
    if np.abs(values).max() > MAX_PHASE_RAD:
        raise DataError(
            path, f"a phase of {np.abs(values).max():.4g} rad", expected=f"radians, at most {MAX_PHASE_RAD:g}"
        )
    if _looks_wrapped(values, valid):
        raise DataError(
            path,
            "the phase jumps by more than π between neighbours within a range of 2π: it looks wrapped",
            expected="an unwrapped phase",
            remedy="unwrap it, or store the complex field A·exp(iφ), which is unwrapped on loading",
        )


def _looks_wrapped(phase: NDArray[np.float64], valid: NDArray[np.bool_]) -> bool:
    """Whether more than 0.1 % of neighbours differ by more than π while all values lie within 2π."""
    inside = phase[valid]
    if inside.size == 0 or np.ptp(inside) > 2.0 * np.pi + 1e-3:
        return False
    jumps = pairs = 0
    for before, after in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        both = valid[before] & valid[after]
        jumps += int(np.count_nonzero(both & (np.abs(phase[after] - phase[before]) > np.pi)))
        pairs += int(np.count_nonzero(both))
    return jumps > 1e-3 * pairs


def _shape(path: Path, shape: tuple[int, int], scale: float) -> tuple[int, int]:
    new = resampled_shape(shape, scale)
    if new[0] * new[1] > MAX_PIXELS:
        raise DataError(
            path,
            f"{shape[0]} × {shape[1]} pixels become {new[0]} × {new[1]} at the design's pitch",
            expected=f"at most {MAX_PIXELS} pixels",
            remedy="check data.pitch, or cut the image",
        )
    return new


def _unwrapped(field: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Phase of a field over its valid pixels, the lowest being 0, by the reliability-sorted unwrapping of scikit-image.

    M. A. Herráez et al., Fast two-dimensional phase-unwrapping algorithm, Appl. Opt. 41, 7437 (2002),
    doi:10.1364/AO.41.007437.
    """
    from skimage.restoration import unwrap_phase

    wrapped = np.ma.array(np.angle(field), mask=~valid)
    phase = np.ma.getdata(unwrap_phase(wrapped, rng=0))  # type: ignore[no-untyped-call]  # scikit-image leaves it untyped
    return np.where(valid, phase - phase[valid].min(), 0.0)
