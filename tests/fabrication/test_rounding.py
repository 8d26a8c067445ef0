from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.fabrication.rounding import GumbelRounding, SoftRounding
from opticdesign.optics.elements import phase_transmission
from opticdesign.optics.elements.element import Quantiser

TURN = 2.0 * math.pi
FULL = 632.8e-9 / 0.457
EQUAL = [FabricationProcess(levels, 632.8e-9, 1.457) for levels in (2, 3, 8, 256)]
UNEQUAL = FabricationProcess(4, 632.8e-9, 1.457, 1.0, (0.0, 0.1 * FULL, 0.5 * FULL, 0.8 * FULL))
PROCESSES = [*EQUAL, UNEQUAL]


def gumbel(process: FabricationProcess, temperature: float, seed: int = 0) -> GumbelRounding:
    return GumbelRounding(process, temperature, torch.Generator().manual_seed(seed), lambda values: values)


def on_circle(first: Tensor, second: Tensor) -> Tensor:
    """Distance of two phases on the circle."""
    return (torch.remainder(first - second + math.pi, TURN) - math.pi).abs()


def weights_by_hand(process: FabricationProcess, phase: float, temperature: float) -> tuple[list[float], list[float]]:
    """Phases and weights of all levels of nine turns around a phase."""
    level = torch.arange(process.levels)
    phases = [float(value) + TURN * turn for turn in range(-4, 5) for value in process.phase_of_level(level).double()]
    place = process.place_of_phase(torch.tensor(phase, dtype=torch.float64)).item()
    numbers = range(-4 * process.levels, 5 * process.levels)
    weights = [math.exp(-((number - place) ** 2) / temperature) for number in numbers]
    return phases, [weight / sum(weights) for weight in weights]


@given(
    process=st.sampled_from(PROCESSES[:3] + PROCESSES[4:]), phase=st.floats(0.0, 6.28), temperature=st.floats(0.02, 1.0)
)
@settings(deadline=None, max_examples=60)
def test_soft_phase_is_the_weighted_mean_of_all_levels(
    process: FabricationProcess, phase: float, temperature: float
) -> None:
    phases, weights = weights_by_hand(process, phase, temperature)
    expected = sum(weight * value for weight, value in zip(weights, phases, strict=True))
    found = SoftRounding(process, temperature).phase(torch.tensor([phase], dtype=torch.float64)).item()
    assert found == pytest.approx(expected, abs=1e-4)  # of which the levels left out are the most


@pytest.mark.parametrize("process", PROCESSES)
def test_soft_phase_becomes_the_nearest_level_as_the_temperature_falls(process: FabricationProcess) -> None:
    phase = torch.linspace(-7.0, 14.0, 4001, dtype=torch.float64)
    place = process.place_of_phase(phase)
    clear = (place % 1.0 - 0.5).abs() > 0.05  # not half way between two levels
    hard = process.phase(phase)
    errors = [
        on_circle(SoftRounding(process, temperature).phase(phase), hard)[clear].max().item()
        for temperature in (1.0, 0.1, 0.01, 0.001)
    ]
    assert errors[0] > 0.3 * TURN / process.levels
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6


@pytest.mark.parametrize("process", EQUAL)
def test_soft_phase_of_equal_levels_is_the_phase_itself_at_temperature_one(process: FabricationProcess) -> None:
    phase = torch.linspace(-7.0, 14.0, 4001, dtype=torch.float64)
    away = on_circle(SoftRounding(process, 1.0).phase(phase), phase)
    assert away.max().item() < 4e-4 * TURN / process.levels


@pytest.mark.parametrize("temperature", [1.0, 0.3, 0.05])
@pytest.mark.parametrize("process", PROCESSES)
def test_soft_transmission_has_no_step_anywhere_and_none_at_the_turn(
    process: FabricationProcess, temperature: float
) -> None:
    """Just below 2π the mean of the last level and of level 0 a turn later, not of the last level and of zero."""
    phase = torch.linspace(-0.2, TURN + 0.2, 40_001, dtype=torch.float64)
    made = phase_transmission(SoftRounding(process, temperature).phase(phase))
    steepest = 2.0 / temperature * 0.25 * 2.0 + 3.0  # of the mean of two levels half way, and some
    assert (made[1:] - made[:-1]).abs().max().item() < steepest * (phase[1] - phase[0]).item()
    torch.testing.assert_close(made.abs(), torch.ones_like(phase))  # passive, lossless
    around = SoftRounding(process, temperature).phase(torch.tensor([-0.01, TURN - 0.01], dtype=torch.float64))
    assert on_circle(around[:1], around[1:]).item() < 1e-9
    last = process.phase_of_level(torch.tensor([process.levels - 1])).double().item()
    half = SoftRounding(process, temperature).phase(torch.tensor([0.5 * (last + TURN)], dtype=torch.float64))
    assert half.item() == pytest.approx(0.5 * (last + TURN), abs=(0.1 if process is UNEQUAL else 1e-4) * (TURN - last))


@pytest.mark.parametrize("temperature", [1.0, 0.3, 0.05])
@pytest.mark.parametrize("process", PROCESSES)
def test_soft_gradient_is_the_slope_by_finite_differences(process: FabricationProcess, temperature: float) -> None:
    phase = torch.linspace(0.013, 6.27, 301, dtype=torch.float64)
    place = process.place_of_phase(phase)
    phase = phase[((place % 1.0 - 0.5).abs() > 1e-2) & ((place % 1.0 - 0.5).abs() < 0.49)].requires_grad_()
    made = SoftRounding(process, temperature)
    (slope,) = torch.autograd.grad(made.phase(phase).sum(), phase)
    step = 1e-3 / process.levels
    with torch.no_grad():
        expected = (made.phase(phase + step) - made.phase(phase - step)) / (2.0 * step)
    # levels have float32 phases: their last digit over the step is what is left
    torch.testing.assert_close(slope, expected, rtol=2e-3, atol=2e-3)
    assert slope.max().item() > 0.5
    assert slope.min().item() >= 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [lambda: SoftRounding(UNEQUAL, 0.2), lambda: gumbel(UNEQUAL, 0.2), lambda: UNEQUAL])
def test_quantisers_keep_shape_and_type(make, dtype: torch.dtype) -> None:
    made: Quantiser = make()
    phase = torch.ones((2, 3, 4), dtype=dtype, requires_grad=True)
    result = made.phase(phase)
    assert (tuple(result.shape), result.dtype) == ((2, 3, 4), dtype)
    result.sum().backward()
    assert phase.grad is not None and phase.grad.shape == phase.shape and bool(phase.grad.isfinite().all())


@pytest.mark.parametrize("process", [EQUAL[0], EQUAL[2], UNEQUAL])
@pytest.mark.parametrize("temperature", [1.0, 0.2])
@pytest.mark.parametrize("phase", [0.4, 3.3, 6.2])
def test_levels_are_drawn_as_often_as_their_softmax_says(
    process: FabricationProcess, temperature: float, phase: float
) -> None:
    draws = 40_000
    made = gumbel(process, temperature).phase(torch.full((draws,), phase))
    levels = process.level_of_phase(made)
    assert torch.equal(process.phase_of_level(levels), made)  # nothing but levels
    counts = torch.bincount(levels, minlength=process.levels) / draws
    expected = torch.zeros(process.levels)
    _, weights = weights_by_hand(process, phase, temperature)
    for index, weight in enumerate(weights):
        expected[index % process.levels] += weight
    spread = torch.sqrt(expected * (1.0 - expected) / draws)
    assert bool(((counts - expected).abs() <= 4.5 * spread + 1e-5).all())


def test_gradient_of_a_draw_is_that_of_the_softmax_with_its_noise() -> None:
    process, temperature, shape = EQUAL[2], 0.5, (4, 5)
    phase = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * TURN
    uniform = torch.rand((7, *shape), generator=torch.Generator().manual_seed(0))
    noise = -torch.log(-torch.log(uniform)).double()
    nearest = torch.round(process.place_of_phase(phase))
    numbers = nearest + torch.arange(-3, 4).reshape(7, 1, 1)

    def relaxed(phase: Tensor) -> Tensor:
        logits = -((numbers - phase / process.step_phase_rad) ** 2) / temperature + noise
        return (torch.softmax(logits, 0) * numbers * process.step_phase_rad).sum(0)

    given_phase, by_hand = phase.clone().requires_grad_(), phase.clone().requires_grad_()
    made = gumbel(process, temperature).phase(given_phase)
    (found,) = torch.autograd.grad(made.sum(), given_phase)
    (expected,) = torch.autograd.grad(relaxed(by_hand).sum(), by_hand)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    logits = -((numbers - phase / process.step_phase_rad) ** 2) / temperature + noise
    drawn = numbers.gather(0, logits.argmax(0, keepdim=True))[0]
    assert torch.equal(made.float(), process.phase_of_level(drawn % 8))


def test_draws_depend_on_the_stream_alone_and_come_to_rest_as_the_temperature_falls() -> None:
    process, phase = EQUAL[2], torch.linspace(0.0, 6.28, 1000)
    first, again = gumbel(process, 0.5, 7).phase(phase), gumbel(process, 0.5, 7).phase(phase)
    assert torch.equal(first, again)
    assert not torch.equal(first, gumbel(process, 0.5, 8).phase(phase))
    stream = gumbel(process, 0.5, 7)
    assert not torch.equal(stream.phase(phase), stream.phase(phase))  # another layer
    place = process.place_of_phase(phase)
    clear = (place % 1.0 - 0.5).abs() > 0.1
    assert torch.equal(gumbel(process, 1e-3).phase(phase)[clear], process.phase(phase)[clear])


def test_draws_are_alike_where_the_noise_is() -> None:
    process = EQUAL[0]
    alike = GumbelRounding(process, 1.0, torch.Generator().manual_seed(0), lambda values: values[..., :4].repeat(1, 5))
    made = alike.phase(torch.full((20,), math.pi / 2.0))
    assert torch.equal(made, made[:4].repeat(5))
    assert len(made.unique()) == 2


def test_memory_does_not_grow_with_the_number_of_levels() -> None:
    phase = torch.rand((64, 64), generator=torch.Generator().manual_seed(0)) * TURN
    sizes = []
    for process in (EQUAL[2], EQUAL[3]):
        with torch.profiler.profile(profile_memory=True) as profile:
            gumbel(process, 0.5).phase(phase)
        sizes.append(
            sum(
                max(0, event.self_device_memory_usage + event.self_cpu_memory_usage) for event in profile.key_averages()
            )
        )
    assert sizes[1] < 1.05 * sizes[0]
