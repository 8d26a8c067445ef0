from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.materials import material

WAVELENGTH = 632.8e-9
SILICA = material("fused silica").index(WAVELENGTH)
LEVELS = st.integers(2, 256)


def process(levels: int, medium_index: float = 1.0) -> FabricationProcess:
    return FabricationProcess(levels, WAVELENGTH, SILICA, medium_index)


def test_height_is_scaled_by_physics_to_1385_nm_for_two_pi_of_fused_silica() -> None:
    assert process(8).full_height_m * 1e9 == pytest.approx(1384.6, abs=0.1)
    assert process(8).step_height_m * 1e9 == pytest.approx(173.1, abs=0.05)
    assert process(16).step_height_m * 1e9 == pytest.approx(86.5, abs=0.05)
    # whatever the data's largest phase is
    low = torch.tensor([0.0, 0.3], dtype=torch.float64)
    assert process(8).height_of_phase(low)[1].item() == pytest.approx(0.3 / (2 * math.pi) * 1384.6e-9, rel=1e-4)


def test_height_grows_in_a_denser_medium() -> None:
    water = process(8, 1.333).full_height_m
    assert water == pytest.approx(WAVELENGTH / (SILICA - 1.333), rel=1e-12)


@given(levels=LEVELS, medium=st.floats(1.0, 1.4))
@settings(deadline=None, max_examples=30)
def test_height_of_each_level_has_the_optical_path_of_its_phase(levels: int, medium: float) -> None:
    made, level = process(levels, medium), torch.arange(levels)
    path = (SILICA - medium) * made.height_of_level(level)
    phase = made.phase_of_level(level).to(torch.float64)
    torch.testing.assert_close(2.0 * math.pi * path / WAVELENGTH, phase, rtol=1e-6, atol=1e-7)
    assert torch.all(phase.diff() > 0.0)  # thicker = more phase


@pytest.mark.parametrize("levels", [2, 4, 8, 16, 255, 256])
@pytest.mark.parametrize("low", [0.0, -math.pi, 1.0, 100.0, -37.5])
def test_rounding_gives_exactly_l_levels_where_the_naive_one_gives_17(levels: int, low: float) -> None:
    phase = torch.linspace(low, low + 2.0 * math.pi, 20_001, dtype=torch.float64)
    made = process(levels)
    level = made.level_of_phase(phase)
    assert torch.unique(level).tolist() == list(range(levels))
    assert len(torch.unique(made.phase_of_level(level))) == levels
    counts = torch.bincount(level[:-1]).to(torch.float64) / 20_000
    torch.testing.assert_close(counts, torch.full((levels,), 1.0 / levels, dtype=torch.float64), rtol=0.0, atol=2e-4)


@given(levels=LEVELS, turns=st.integers(-5, 5), dtype=st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None, max_examples=40)
def test_zero_and_whole_turns_are_one_level(levels: int, turns: int, dtype: torch.dtype) -> None:
    phase = torch.tensor([0.0, 2.0 * math.pi * turns], dtype=dtype)
    assert process(levels).level_of_phase(phase).tolist() == [0, 0]
    assert process(levels).phase_of_level(process(levels).level_of_phase(phase)).tolist() == [0.0, 0.0]


@given(levels=LEVELS, phase=st.floats(-40.0, 40.0))
@settings(deadline=None, max_examples=100)
def test_level_is_the_nearest_one_on_the_circle(levels: int, phase: float) -> None:
    made = process(levels)
    level = made.level_of_phase(torch.tensor(phase, dtype=torch.float64)).item()
    assert 0 <= level < levels
    away = math.remainder(phase - level * made.step_phase_rad, 2.0 * math.pi)
    assert abs(away) <= made.step_phase_rad / 2 + 1e-9


@pytest.mark.parametrize("levels", range(2, 257))
def test_level_survives_the_way_to_its_phase_and_back(levels: int) -> None:
    made, level = process(levels), torch.arange(levels)
    phase = made.phase_of_level(level)
    assert torch.equal(made.level_of_phase(phase), level)
    assert torch.equal(made.phase(phase), phase)
    assert phase.dtype == torch.float32
    assert phase.max().item() < 2.0 * math.pi


def test_phase_made_passes_gradients_straight_through() -> None:
    phase = torch.tensor([[0.1, 3.0, -9.0], [6.3, 0.39, 12.0]], requires_grad=True)
    weight = torch.arange(6.0).reshape(2, 3)
    result = process(8).phase(phase)
    assert torch.equal(result, process(8).phase_of_level(process(8).level_of_phase(phase.detach())))
    (result * weight).sum().backward()
    assert phase.grad is not None
    assert torch.equal(phase.grad, weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_phase_made_keeps_shape_and_type(dtype: torch.dtype) -> None:
    result = process(4).phase(torch.ones((2, 3, 4), dtype=dtype))
    assert (tuple(result.shape), result.dtype) == ((2, 3, 4), dtype)


@given(phase=st.floats(-40.0, 40.0))
@settings(deadline=None, max_examples=50)
def test_height_before_quantisation_is_within_one_turn_and_right_modulo_it(phase: float) -> None:
    made = process(8)
    height = made.height_of_phase(torch.tensor(phase, dtype=torch.float64)).item()
    assert 0.0 <= height <= made.full_height_m
    again = 2.0 * math.pi * (SILICA - 1.0) * height / WAVELENGTH
    assert math.remainder(again - phase, 2.0 * math.pi) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("levels", [-1, 0, 1, 257])
def test_process_refuses_a_number_of_levels_out_of_range(levels: int) -> None:
    with pytest.raises(UsageError, match=f"{levels} height levels"):
        process(levels)


@pytest.mark.parametrize("medium", [1.45701793, 1.5])
def test_process_refuses_a_mask_that_delays_nothing(medium: float) -> None:
    with pytest.raises(UsageError, match="delays nothing"):
        process(8, medium)


# a table of heights

FULL = process(2).full_height_m


def table(*shares: float) -> FabricationProcess:
    """A process whose heights are these shares of the height of 2π."""
    return FabricationProcess(len(shares), WAVELENGTH, SILICA, 1.0, tuple(share * FULL for share in shares))


SHARES = st.lists(st.integers(1, 999), min_size=1, max_size=40, unique=True).map(
    lambda parts: [0.0, *(part / 1000 for part in sorted(parts))]
)


@given(shares=SHARES, phase=st.floats(-40.0, 40.0))
@settings(deadline=None, max_examples=100)
def test_level_of_a_table_is_the_nearest_one_on_the_circle(shares: list[float], phase: float) -> None:
    made = table(*shares)
    level = made.level_of_phase(torch.tensor(phase, dtype=torch.float64)).item()
    away = [abs(math.remainder(phase - 2.0 * math.pi * share, 2.0 * math.pi)) for share in shares]
    assert away[level] <= min(away) + 1e-9


@given(shares=SHARES)
@settings(deadline=None, max_examples=50)
def test_level_of_a_table_survives_the_way_to_its_phase_and_back(shares: list[float]) -> None:
    made = table(*shares)
    level = torch.arange(made.levels)
    phase = made.phase_of_level(level.to(torch.uint8))
    assert torch.equal(made.level_of_phase(phase), level)
    assert torch.equal(made.phase(phase), phase)
    assert (phase.dtype, made.height_of_level(level).dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(made.height_of_level(level) / FULL, torch.tensor(shares, dtype=torch.float64))
    torch.testing.assert_close(
        phase.double() / (2.0 * math.pi), torch.tensor(shares, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_level_of_a_table_by_hand() -> None:
    made = table(0.0, 0.1, 0.5)  # borders at 0.05, 0.3 and 0.75 of a turn
    turns = torch.tensor([0.0, 0.049, 0.051, 0.299, 0.301, 0.749, 0.751, 0.999, 1.0, -0.249, -0.251, 7.06])
    assert made.level_of_phase(turns * 2.0 * math.pi).tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 0, 0, 2, 1]
    assert made.place_of_phase(torch.tensor([0.05, 0.3, 0.75]) * 2.0 * math.pi).tolist() == pytest.approx(
        [0.5, 1.5, 2.5]
    )
    assert made.highest_m == pytest.approx(0.5 * FULL)
    assert process(8).highest_m == pytest.approx(7 / 8 * FULL)


@pytest.mark.parametrize("levels", [2, 3, 8, 37, 256])
def test_a_table_of_equal_heights_is_the_process_without_one_bit_for_bit(levels: int) -> None:
    plain = process(levels)
    spelt = FabricationProcess(
        levels, WAVELENGTH, SILICA, 1.0, tuple(plain.height_of_level(torch.arange(levels)).tolist())
    )
    assert spelt == plain
    phase = torch.linspace(-10.0, 10.0, 5001)
    assert torch.equal(spelt.phase(phase), plain.phase(phase))
    assert (spelt.step_height_m, spelt.step_phase_rad) == (plain.step_height_m, plain.step_phase_rad)


@pytest.mark.parametrize("levels", [2, 3, 8, 37, 256])
def test_a_table_that_is_hardly_unequal_rounds_as_equal_levels_do(levels: int) -> None:
    plain = process(levels)
    heights = plain.height_of_level(torch.arange(levels))
    heights[1:] += 2e-6 * FULL
    spelt = FabricationProcess(levels, WAVELENGTH, SILICA, 1.0, tuple(heights.tolist()))
    assert spelt.heights_m is not None
    phase = torch.linspace(-10.0, 10.0, 5001, dtype=torch.float64)
    near = (plain.place_of_phase(phase) % 1.0 - 0.5).abs() < 1e-5 * levels  # half way between levels either is right
    assert near.double().mean() < 0.02
    assert torch.equal(spelt.level_of_phase(phase)[~near], plain.level_of_phase(phase)[~near])
    torch.testing.assert_close(spelt.phase(phase)[~near], plain.phase(phase)[~near], atol=2e-5, rtol=0.0)


def test_heights_of_a_table_have_no_one_step() -> None:
    for name in ("step_height_m", "step_phase_rad"):
        with pytest.raises(UsageError, match="no one step"):
            getattr(table(0.0, 0.4), name)


@pytest.mark.parametrize(
    "heights_m",
    [
        (),
        (0.0,),
        (0.0, 1e-7, 2e-7),
        (1e-9, 2e-7),
        (0.0, 0.0),
        (0.0, -1e-7),
        (0.0, FULL),
        (0.0, FULL * (1.0 - 1e-8)),
        (0.0, math.nan),
        (0.0, math.inf),
    ],
)
def test_process_refuses_heights_that_are_no_levels(heights_m: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"no 2 levels(.|\n)*2 heights that rise from 0"):
        FabricationProcess(2, WAVELENGTH, SILICA, 1.0, heights_m)
