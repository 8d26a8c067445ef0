from __future__ import annotations

import re
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.data import PhaseField, Window
from opticdesign.errors import DataError, UsageError
from opticdesign.instrument.full_field import reconstruct_field
from opticdesign.instrument.reconstruction import BATCH
from opticdesign.instrument.tiling import Tiling, blend_window
from tests.support.ideal_microscope import IdealMicroscope

TILE = (16, 24)


def noise_field(shape: tuple[int, int], seed: int = 3) -> PhaseField:
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0.0, 3.0, shape).astype(np.float32)
    amplitude = rng.uniform(0.5, 1.0, shape).astype(np.float32)
    return PhaseField("noise", phase, amplitude, rng.random(shape) < 0.9)


@pytest.mark.parametrize("tiling", ["blend", "crop", "pad"])
@pytest.mark.parametrize(
    ("shape", "overlap"), [((16, 24), 5), ((17, 50), 5), ((64, 96), 0), ((33, 24), 15), ((45, 131), 9)]
)
def test_tiles_put_a_whole_field_together_exactly(shape: tuple[int, int], overlap: int, tiling: Tiling) -> None:
    field = noise_field(shape)
    result = reconstruct_field(IdealMicroscope(TILE), field, Window(TILE), None, overlap=overlap, seed=0, tiling=tiling)
    torch.testing.assert_close(result.image, result.target, atol=2e-7, rtol=0.0)
    torch.testing.assert_close(result.target, torch.from_numpy(field.phase_rad) / (2.0 * torch.pi))
    assert torch.equal(result.valid, torch.from_numpy(field.valid))


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(8, 60),
    columns=st.integers(12, 60),
    overlap=st.integers(0, 7),
    tiling=st.sampled_from(["blend", "crop", "pad"]),
)
def test_every_field_is_covered(rows: int, columns: int, overlap: int, tiling: Tiling) -> None:
    result = reconstruct_field(
        IdealMicroscope((8, 12)),
        noise_field((rows, columns)),
        Window((8, 12)),
        None,
        overlap=overlap,
        seed=0,
        tiling=tiling,
    )
    torch.testing.assert_close(result.image, result.target, atol=2e-7, rtol=0.0)


@pytest.mark.parametrize(("tiling", "tiles"), [("blend", 16), ("crop", 16), ("pad", 16)])
def test_field_of_789_is_rebuilt_from_tiles_of_256(tiling: Tiling, tiles: int) -> None:
    """The case of the microscopy paper, 3.08 tiles a side, at the designs' overlap."""
    microscope = IdealMicroscope((256, 256))
    result = reconstruct_field(
        microscope, noise_field((789, 789)), Window((256, 256)), None, overlap=64, seed=0, tiling=tiling
    )
    assert sum(len(batch) for batch in microscope.seen) == tiles
    assert result.image.shape == (789, 789)
    torch.testing.assert_close(result.image, result.target, atol=2e-7, rtol=0.0)


def test_one_tile_is_the_whole_field_once() -> None:
    microscope, field = IdealMicroscope(TILE), noise_field(TILE)
    for tiling in ("blend", "crop", "pad"):
        microscope.seen.clear()
        reconstruct_field(microscope, field, Window(TILE), None, overlap=7, seed=0, tiling=tiling)
        assert [len(batch) for batch in microscope.seen] == [1]
        expected = torch.polar(torch.from_numpy(field.amplitude), torch.from_numpy(field.phase_rad))
        torch.testing.assert_close(microscope.seen[0][0], expected)


def two_tiles(overlap: int, tiling: Tiling) -> torch.Tensor:
    """Two tiles side by side of which the first is a checkerboard of ±1 and the second 0; their means agree."""
    sign = 1.0 - 2.0 * ((torch.arange(16)[:, None] + torch.arange(24)) % 2)

    def checkerboard(reading: torch.Tensor, first: int) -> torch.Tensor:
        return torch.stack([sign, torch.zeros(TILE)])

    field = noise_field((16, 48 - overlap))
    return reconstruct_field(
        IdealMicroscope(TILE, checkerboard), field, Window(TILE), None, overlap=overlap, seed=0, tiling=tiling
    ).image.abs()


def test_blended_tiles_pass_from_one_to_the_next_by_the_window() -> None:
    image = two_tiles(10, "blend")
    window = blend_window(24, 10)[14:]
    torch.testing.assert_close(image[:, :14], torch.ones(16, 14))
    torch.testing.assert_close(image[:, 14:24], window.float().expand(16, 10), atol=1e-6, rtol=0.0)
    assert not image[:, 24:].any()


@pytest.mark.parametrize(("overlap", "seam"), [(10, 19), (0, 24), (8, 20)])
def test_cropped_tiles_meet_in_the_middle_of_what_they_share(overlap: int, seam: int) -> None:
    image = two_tiles(overlap, "crop")
    torch.testing.assert_close(image[:, :seam], torch.ones(16, seam), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(image[:, seam:], torch.zeros(16, 48 - overlap - seam), atol=1e-6, rtol=0.0)


def test_padded_tiles_see_the_field_continued_by_reflection() -> None:
    microscope, field = IdealMicroscope(TILE), noise_field((20, 30))
    reconstruct_field(microscope, field, Window(TILE), None, overlap=0, seed=0, tiling="pad")
    beyond = ((0, 12), (0, 18))
    amplitude, phase = (np.pad(part, beyond, mode="reflect") for part in (field.amplitude, field.phase_rad))
    tiles = torch.cat(microscope.seen).reshape(2, 2, *TILE).transpose(1, 2).reshape(32, 48)
    torch.testing.assert_close(tiles, torch.polar(torch.from_numpy(amplitude), torch.from_numpy(phase)))


@pytest.mark.parametrize("tiling", ["blend", "crop", "pad"])
@pytest.mark.parametrize("margin", [(3, 7), (5, 0), (90, 80)])
def test_tiles_see_their_neighbours_in_the_field_and_put_it_together_exactly(
    tiling: Tiling, margin: tuple[int, int]
) -> None:
    microscope, field, (my, mx) = IdealMicroscope(TILE), noise_field((37, 50)), margin
    result = reconstruct_field(microscope, field, Window(TILE, margin), None, overlap=5, seed=0, tiling=tiling)
    torch.testing.assert_close(result.image, result.target, atol=2e-7, rtol=0.0)
    rows, columns = ([0, 16, 32], [0, 24, 48]) if tiling == "pad" else ([0, 11, 21], [0, 19, 26])
    beyond = ((my, my + 11), (mx, mx + 22))  # a padded field has 48 × 72 samples
    amplitude, phase = (
        torch.from_numpy(np.pad(part, beyond, mode="reflect")) for part in (field.amplitude, field.phase_rad)
    )
    parts = [np.s_[row : row + 16 + 2 * my, column : column + 24 + 2 * mx] for row in rows for column in columns]
    expected = torch.stack([torch.polar(amplitude[part], phase[part]) for part in parts])
    torch.testing.assert_close(torch.cat(microscope.seen), expected)


def test_repeated_tiles_see_themselves() -> None:
    microscope, field = IdealMicroscope(TILE), noise_field((16, 30))
    reconstruct_field(microscope, field, Window(TILE, (9, 40), repeated=True), None, overlap=4, seed=0, tiling="pad")
    phase = np.pad(field.phase_rad, ((0, 0), (0, 18)), mode="reflect")
    for tile, part in zip(microscope.seen[0], (phase[:, :24], phase[:, 24:]), strict=True):
        expected = torch.from_numpy(np.pad(part, ((9, 9), (40, 40)), mode="wrap"))
        torch.testing.assert_close(tile.angle(), expected)


def test_field_smaller_than_a_tile_is_padded_only() -> None:
    field = noise_field((5, 40))
    result = reconstruct_field(IdealMicroscope(TILE), field, Window(TILE), None, overlap=4, seed=0, tiling="pad")
    torch.testing.assert_close(result.image, result.target, atol=2e-7, rtol=0.0)
    with pytest.raises(DataError, match=r"noise: 5 × 40 samples are less than a tile"):
        reconstruct_field(IdealMicroscope(TILE), field, Window(TILE), None, overlap=4, seed=0, tiling="crop")


def guesses(count: int) -> torch.Tensor:
    return torch.rand(200, generator=torch.Generator().manual_seed(1))[:count]


def guessing(reading: torch.Tensor, first: int) -> torch.Tensor:
    """A decoder that adds to each tile a constant of its own."""
    return reading + guesses(200)[first : first + len(reading), None, None]


@pytest.mark.parametrize("tiling", ["blend", "crop"])
@pytest.mark.parametrize("overlap", [4, 15])
def test_tiles_that_guess_different_offsets_are_made_to_agree(tiling: Tiling, overlap: int) -> None:
    """The whole field is off by one constant, the mean of the guesses."""
    microscope = IdealMicroscope(TILE, guessing)
    result = reconstruct_field(
        microscope, noise_field((45, 60)), Window(TILE), None, overlap=overlap, seed=0, tiling=tiling
    )
    given = guesses(sum(len(batch) for batch in microscope.seen))
    error = result.image - result.target
    assert given.std() > 0.2
    torch.testing.assert_close(error, torch.full_like(error, float(given.mean())), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("tiling", ["crop", "pad"])
def test_tiles_that_share_nothing_keep_their_offsets(tiling: Tiling) -> None:
    result = reconstruct_field(
        IdealMicroscope(TILE, guessing), noise_field((32, 48)), Window(TILE), None, overlap=0, seed=0, tiling=tiling
    )
    error = result.image - result.target
    expected = guesses(4).reshape(2, 2).repeat_interleave(16, 0).repeat_interleave(24, 1)
    torch.testing.assert_close(error, expected, atol=1e-6, rtol=0.0)


def test_groups_of_tiles_that_do_not_touch_are_made_to_agree_each_by_itself() -> None:
    """Without overlap only the last column of tiles, moved inward, shares samples with the one before it."""
    result = reconstruct_field(
        IdealMicroscope(TILE, guessing), noise_field((16, 60)), Window(TILE), None, overlap=0, seed=0, tiling="crop"
    )
    error, given = result.image - result.target, guesses(3)
    torch.testing.assert_close(error[:, :24], torch.full((16, 24), float(given[0])), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(error[:, 24:], torch.full((16, 36), float(given[1:].mean())), atol=1e-6, rtol=0.0)


def test_one_batch_of_tiles_is_in_memory_at_a_time() -> None:
    alive: list[int] = []
    made: list[weakref.ref[torch.Tensor]] = []

    def counting(reading: torch.Tensor, first: int) -> torch.Tensor:
        alive.append(sum(reference() is not None for reference in made))
        image = reading.clone()
        made.append(weakref.ref(image))
        return image

    microscope = IdealMicroscope((8, 8), counting)
    reconstruct_field(microscope, noise_field((64, 64)), Window((8, 8)), None, overlap=2, seed=0)
    assert len(made) == -(-121 // BATCH)
    assert max(alive) <= 1


def test_impossible_requests_are_refused() -> None:
    microscope, field = IdealMicroscope(TILE), noise_field((45, 60))
    with pytest.raises(UsageError, match=r"unknown tiling 'mosaic'\n  expected: blend, crop, pad"):
        reconstruct_field(microscope, field, Window(TILE), None, overlap=4, seed=0, tiling="mosaic")  # type: ignore[arg-type]
    for overlap in (-1, 16):
        with pytest.raises(UsageError, match=re.escape(f"tiles of 16 × 24 that share {overlap}\n  expected: 0 to 15")):
            reconstruct_field(microscope, field, Window(TILE), None, overlap=overlap, seed=0)
    assert not microscope.seen
