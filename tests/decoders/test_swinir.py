from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from opticdesign.decoders import SWINIR_PRESETS, SwinIR
from opticdesign.errors import UsageError

WINDOW = SWINIR_PRESETS["tiny"].window


def reading(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.5


def tiny(scale: int = 2, seed: int = 0) -> SwinIR:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SwinIR(scale, "tiny")


def strong() -> SwinIR:
    """A network far from the nearly uniform attention of the start, in float64."""
    network = tiny().double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "attention." in name:
                parameter.mul_(20)
    return network


def counted(network: SwinIR) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("preset", "scale", "count"), [("paper", 8, 12_043_517), ("paper", 16, 12_191_229), ("light", 8, 937_204)]
)
def test_swinir_has_the_published_number_of_parameters(preset: str, scale: int, count: int) -> None:
    with torch.device("meta"):
        assert counted(SwinIR(scale, preset)) == count


@pytest.mark.parametrize("preset", SWINIR_PRESETS)
def test_swinir_stores_its_parameters_and_nothing_else(preset: str) -> None:
    with torch.device("meta"):
        network = SwinIR(2, preset)
    assert set(network.state_dict()) == {name for name, _ in network.named_parameters()}


@pytest.mark.parametrize("scale", [2, 4, 8, 16, 32])
def test_swinir_upsamples_by_its_scale(scale: int) -> None:
    image = tiny(scale)(reading(2, 8, 16))
    assert tuple(image.shape) == (2, 8 * scale, 16 * scale)
    assert torch.isfinite(image).all()


@settings(deadline=None, max_examples=15)
@given(rows=st.integers(1, 20), columns=st.integers(1, 20))
def test_swinir_takes_readings_of_any_size(rows: int, columns: int) -> None:
    image = tiny()(reading(1, rows, columns))
    assert tuple(image.shape) == (1, 2 * rows, 2 * columns)
    assert torch.isfinite(image).all()


def test_swinir_with_features_doubles_the_image_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SWINIR_PRESETS, "tiny", replace(SWINIR_PRESETS["tiny"], features=8))
    assert tuple(tiny(8)(reading(2, 5, 9)).shape) == (2, 40, 72)
    assert counted(tiny(8)) - counted(tiny(4)) == 8 * 32 * 9 + 32  # one more convolution, 8 to 32 features


def test_swinir_mirrors_a_reading_up_to_whole_windows() -> None:
    network, image = tiny(), reading(1, 5, 13)
    whole = torch.cat([image, image[:, [3, 2, 1]]], dim=1)
    whole = torch.cat([whole, whole[:, :, [11, 10, 9]]], dim=2)
    torch.testing.assert_close(network(image), network(whole)[:, :10, :26])


def test_swinir_repeats_the_rim_of_a_reading_too_small_to_mirror() -> None:
    network, image = tiny(), reading(1, 3, 8)
    whole = torch.cat([image, image[:, [2] * 5]], dim=1)
    torch.testing.assert_close(network(image), network(whole)[:, :6])


def by_hand(attention: torch.nn.Module, image: Tensor, shift: tuple[int, int]) -> Tensor:
    """Attention of one map (y, x, features): each window's pixels gathered, no map ever rolled."""
    rows, columns, dim = image.shape
    parts = attention.get_submodule("query_key_value")(image)
    biases = attention.get_parameter("bias")
    width = dim // len(biases)
    windows: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y in range(rows):
        for x in range(columns):
            windows.setdefault(((y - shift[0]) // WINDOW, (x - shift[1]) // WINDOW), []).append((y, x))
    mixed = torch.empty_like(image)
    for pixels in windows.values():
        y, x = torch.tensor(pixels).T
        place = (y[:, None] - y + WINDOW - 1) * (2 * WINDOW - 1) + (x[:, None] - x + WINDOW - 1)
        for head, bias in enumerate(biases):
            own = slice(head * width, (head + 1) * width)
            query, key, value = (part[y, x, own] for part in parts.split(dim, dim=-1))
            mixed[y, x, own] = torch.softmax(query @ key.T / math.sqrt(width) + bias[place], dim=-1) @ value
    result: Tensor = attention.get_submodule("project")(mixed)
    return result


@pytest.mark.parametrize(
    ("block", "shape", "shift"),
    [
        (0, (16, 24), (0, 0)),
        (1, (16, 24), (4, 4)),
        (1, (8, 16), (0, 4)),
        (1, (16, 8), (4, 0)),
        (1, (8, 8), (0, 0)),
    ],
)
@torch.no_grad()
def test_swinir_attends_inside_its_windows_only(block: int, shape: tuple[int, int], shift: tuple[int, int]) -> None:
    network = strong()
    attention = network.get_submodule(f"groups.1.blocks.{block}.attention")
    seen: list[tuple[Tensor, Tensor]] = []
    attention.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    network(reading(2, *shape).double())
    ((images, output),) = seen
    expected = torch.stack([by_hand(attention, image, shift) for image in images])
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_swinir_moves_its_image_with_the_reading_by_whole_windows() -> None:
    network, image = strong(), reading(1, 96, 96).double()
    moved = network(image.roll((WINDOW, WINDOW), (1, 2)))
    expected = network(image).roll((2 * WINDOW, 2 * WINDOW), (1, 2))
    middle = slice(2 * 44, 2 * 60)  # 33 camera pixels are within reach of a pixel: the rim is not
    torch.testing.assert_close(moved[:, middle, middle], expected[:, middle, middle], rtol=1e-9, atol=1e-9)
    assert moved[:, middle, middle].std() > 1e-2


@torch.no_grad()
def test_swinir_parts_add_to_what_they_read() -> None:
    network, image = tiny(), reading(2, 16, 16)
    for name, parameter in network.named_parameters():
        if "attention.project" in name or "perceptron.3" in name:
            parameter.zero_()  # each block now adds nothing
    shallow = network.first(image[:, None] - 1.0)
    deep = network.first_norm(shallow.permute(0, 2, 3, 1))
    for group in network.groups:
        deep = deep + group.get_submodule("last")(deep.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    deep = network.last(network.last_norm(deep).permute(0, 3, 1, 2))
    torch.testing.assert_close(network(image), network.head(shallow + deep)[:, 0])


def test_swinir_of_an_undisturbed_beam_is_made_by_biases_alone() -> None:
    network = tiny()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(".bias") and "attention.bias" not in name:
                parameter.zero_()
    assert torch.count_nonzero(network(torch.ones(1, 16, 16))).item() == 0
    assert torch.count_nonzero(network(reading(1, 16, 16))).item() > 0


def test_swinir_images_do_not_depend_on_their_neighbours_in_the_batch() -> None:
    network, batch = tiny(4), reading(3, 16, 16)
    torch.testing.assert_close(network(batch)[1], network(batch[1:2])[0], rtol=1e-4, atol=1e-5)


def test_swinir_keeps_the_axes_apart() -> None:
    network, image = tiny(), reading(1, 8, 24)
    touched = image.clone()
    touched[:, 7, 23] += 5.0
    change = (network(touched) - network(image)).detach().abs()[0]
    row, column = divmod(int(change.argmax()), change.shape[1])
    assert row >= 10
    assert column >= 40


@pytest.mark.parametrize("training", [True, False])
def test_swinir_acts_the_same_in_training_and_evaluation(training: bool) -> None:
    network, batch = tiny(4), reading(2, 8, 8)
    assert torch.equal(network.train(training)(batch), network.train(not training)(batch))


def test_swinir_gradient_reaches_every_parameter_and_the_reading() -> None:
    network, image = tiny(4), reading(1, 16, 16).requires_grad_()
    network(image).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert torch.count_nonzero(parameter.grad).item() > 0, name
    assert image.grad is not None
    assert torch.count_nonzero(image.grad).item() == image.numel()


def test_swinir_weights_follow_from_the_seed() -> None:
    weights = [torch.nn.utils.parameters_to_vector(tiny(seed=seed).parameters()) for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_swinir_linear_layers_start_small() -> None:
    network = tiny()
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1), name
            assert torch.count_nonzero(module.bias).item() == 0, name
    bias = network.get_parameter("groups.0.blocks.0.attention.bias")
    assert bias.std().item() == pytest.approx(0.02, rel=0.1)


def test_swinir_learns_one_image_by_heart() -> None:
    network, image = tiny(), reading(1, 8, 8)
    target = torch.rand((1, 16, 16), generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        loss = (network(image) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    assert losses[-1] < target.var().item() / 10


@pytest.mark.parametrize("scale", [0, 1, 3, 64])
def test_swinir_refuses_other_scales(scale: int) -> None:
    with pytest.raises(UsageError, match=rf"cannot upsample by {scale}\n.*expected: one of 2, 4, 8, 16, 32\n.*remedy"):
        SwinIR(scale, "tiny")


def test_swinir_refuses_a_preset_it_does_not_have() -> None:
    with pytest.raises(UsageError, match=r'no preset "huge"\n.*expected: one of paper, light, tiny\n.*remedy'):
        SwinIR(8, "huge")
