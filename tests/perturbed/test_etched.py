from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.field import Grid
from opticdesign.perturbed.deviations import Deviations
from opticdesign.perturbed.etched import EtchedRelief, moved
from opticdesign.perturbed.patterns import NO_PATTERN, edge_share
from opticdesign.perturbed.space import Pattern

PITCH = 300e-9
PROCESS = FabricationProcess(8, 632.8e-9, 1.457)
FULL = PROCESS.full_height_m


def relief(levels: Tensor, process: FabricationProcess = PROCESS, steps: int = 3) -> EtchedRelief:
    return EtchedRelief(process, levels, steps, Grid((levels.shape[-2], levels.shape[-1]), (PITCH, PITCH)))


def random_levels(size: int = 12, layers: int = 2) -> Tensor:
    return torch.randint(8, (layers, size, size), generator=torch.Generator().manual_seed(4))


def draw(index: int = NO_PATTERN, sigma: float = 0.0, correlation: float = 0.0, **groups: object) -> Deviations:
    arrays = {name: torch.tensor(np.array(values), dtype=torch.float64)[None] for name, values in groups.items()}
    patterns = {"edge_roughness": Pattern("edge_roughness", "m", sigma, correlation)} if sigma else {}
    return Deviations(arrays, patterns, [index], 0)


def heights(levels: Tensor, dev: Deviations, first: int = 0) -> Tensor:
    return relief(levels).heights(dev, first)[0].double()


def test_without_errors_heights_are_those_of_the_process() -> None:
    levels = random_levels()
    torch.testing.assert_close(heights(levels, draw()), PROCESS.height_of_level(levels), rtol=1e-6, atol=1e-15)
    torch.testing.assert_close(heights(levels, draw(), 1), PROCESS.height_of_level(levels[1:]), rtol=1e-6, atol=1e-15)


def test_an_etch_error_scales_each_step_by_its_own() -> None:
    levels = torch.arange(8).reshape(1, 2, 4)
    found = heights(levels, draw(etch_depth=[0.01, -0.02, 0.03]))
    bits = torch.stack([(levels >> 2) & 1, (levels >> 1) & 1, levels & 1])
    depths = torch.tensor([0.5 * 1.01, 0.25 * 0.98, 0.125 * 1.03], dtype=torch.float64) * FULL
    torch.testing.assert_close(found, (bits * depths[:, None, None, None]).sum(0), rtol=1e-6, atol=1e-15)


def test_levels_that_are_no_bits_scale_as_a_whole() -> None:
    table = FabricationProcess(3, 632.8e-9, 1.457, heights_m=(0.0, 3e-7, 8e-7))
    levels = torch.tensor([[[0, 1], [2, 1]]])
    found = relief(levels, table, 1).heights(draw(etch_depth=[0.02]), 0)[0].double()
    expected = 1.02 * torch.tensor([[[0.0, 3e-7], [8e-7, 3e-7]]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-15)


def test_two_levels_are_one_step() -> None:
    process = FabricationProcess(2, 632.8e-9, 1.457)
    found = relief(torch.tensor([[[0, 1]]]), process, 1).heights(draw(etch_depth=[-0.1]), 0)[0].double()
    assert found.flatten().tolist() == pytest.approx([0.0, 0.9 * process.full_height_m / 2], rel=1e-6)


def test_overlay_of_one_bit_moves_its_share_into_the_next_sample() -> None:
    levels = torch.zeros((1, 5, 5), dtype=torch.int64)
    levels[0, 2, 2] = 7
    shift = np.zeros((1, 3, 2))
    shift[0, 1] = [0.25 * PITCH, -0.5 * PITCH]  # the second mask, down and to the left
    found = heights(levels, draw(overlay_shift=shift)) / FULL
    expected = torch.zeros((1, 5, 5), dtype=torch.float64)
    expected[0, 2, 2] = 0.5 + 0.125  # the other two masks
    for row, down in ((2, 0.75), (3, 0.25)):
        for column, left in ((2, 0.5), (1, 0.5)):
            expected[0, row, column] += 0.25 * down * left
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_the_first_mask_lies_where_it_should() -> None:
    levels = random_levels()
    shift = np.zeros((2, 3, 2))
    shift[:, 0] = 0.4 * PITCH
    torch.testing.assert_close(heights(levels, draw(overlay_shift=shift)), heights(levels, draw()))


def test_moving_by_whole_samples_moves_the_pattern() -> None:
    pattern = torch.rand((2, 9, 8), generator=torch.Generator().manual_seed(0))
    grid = Grid((9, 8), (PITCH, PITCH))
    shift = torch.tensor([[2.0, -1.0], [0.0, 3.0]], dtype=torch.float64) * PITCH
    none = torch.zeros(2, dtype=torch.float64)
    found = moved(pattern, grid, shift, none, none)
    torch.testing.assert_close(found[0, 2:, :-1], pattern[0, :-2, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1, :, 3:], pattern[1, :, :-3], atol=1e-5, rtol=0)


def test_a_turn_takes_x_towards_y_and_a_scale_goes_outwards() -> None:
    grid = Grid((41, 41), (PITCH, PITCH))
    pattern = torch.zeros((1, 41, 41))
    pattern[0, 20, 36] = 1.0  # 16 samples along +x
    rows, columns = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")

    def centre(turn: float, scale: float) -> tuple[float, float]:
        turns, scales = (torch.tensor([value], dtype=torch.float64) for value in (turn, scale))
        found = moved(pattern, grid, torch.zeros((1, 2), dtype=torch.float64), turns, scales)[0]
        return float((found * rows).sum() / found.sum()) - 20.0, float((found * columns).sum() / found.sum()) - 20.0

    assert centre(0.02, 0.0) == pytest.approx((0.32, 16.0), abs=0.02)
    assert centre(0.0, 0.02) == pytest.approx((0.0, 16.32), abs=0.02)


@pytest.mark.parametrize("bias", [40e-9, -40e-9])
def test_a_wider_feature_takes_of_its_neighbours_and_a_narrower_one_gives(bias: float) -> None:
    levels = torch.zeros((1, 5, 5), dtype=torch.int64)
    levels[0, 2, 2] = 4  # the deepest step alone
    found = heights(levels, draw(cd_bias=[bias, 0.0, 0.0]))[0] / (FULL / 2)
    way = abs(bias) / 2 / PITCH
    if bias > 0:
        assert found[2, 2] == pytest.approx(1.0)
        assert [found[2, 1], found[2, 3], found[1, 2], found[3, 2]] == pytest.approx([way] * 4, rel=1e-5)
        assert found[1, 1] == 0.0  # corners are of second order
    else:
        assert found[2, 2] == pytest.approx(1.0 - 4 * way, rel=1e-5)
        assert found[2, 1] == 0.0


def test_a_bias_leaves_shares_between_none_and_all() -> None:
    found = heights(random_levels(), draw(cd_bias=[2e-7, -2e-7, 2e-7]))
    assert found.min() >= 0.0
    assert found.max() <= FULL * 7 / 8 * (1 + 1e-6)


def test_a_bias_of_its_steps_depends_on_none_of_the_others() -> None:
    levels = random_levels()
    alone = [heights(levels, draw(cd_bias=np.eye(3)[step] * 1e-8)) for step in range(3)]
    nominal = heights(levels, draw())
    both = heights(levels, draw(cd_bias=[1e-8] * 3))
    torch.testing.assert_close(sum(each - nominal for each in alone), both - nominal, rtol=1e-3, atol=1e-13)


def test_rough_edges_change_heights_by_their_way_times_the_step() -> None:
    levels = torch.zeros((1, 200, 200), dtype=torch.int64)
    levels[..., 100:] = 6  # two masks with an edge between columns 99 and 100
    sigma, correlation = 5e-9, 20e-9
    change = heights(levels, draw(3, sigma, correlation)) - heights(levels, draw())
    assert not change[0, :, :99].any()
    assert not change[0, :, 101:].any()
    step = FULL * np.hypot(0.5, 0.25)
    ways = (change[0, :, 99] - change[0, :, 100]) / step * PITCH
    # a sample gains or loses, never both
    assert not (change[0, :, 99] * change[0, :, 100]).any()
    assert (change[0, :, 99] >= 0.0).all()  # what is high comes in
    assert (change[0, :, 100] <= 0.0).all()
    assert ways.square().mean().sqrt().item() == pytest.approx(sigma * edge_share(PITCH, correlation), rel=0.15)


def test_rough_edges_are_those_of_the_draw() -> None:
    levels = random_levels()
    first, again, other = (heights(levels, draw(index, 5e-9)) for index in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.testing.assert_close(heights(levels, draw(3, 5e-9), 1), first[1:])
