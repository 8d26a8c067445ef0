from __future__ import annotations

import pytest
import torch
from torch import Tensor

from opticdesign.optics.cascade import _CachedSender, _Sender, _spread, cascade
from opticdesign.optics.field import Grid
from opticdesign.optics.propagation import AngularSpectrum, RayleighSommerfeld

WAVELENGTH = 632.8e-9


def scene(shape: tuple[int, int], layers: int, batch: int) -> tuple[Tensor, Tensor, list[torch.nn.Module]]:
    generator = torch.Generator().manual_seed(4)
    grid = Grid(shape, (316.4e-9, 316.4e-9))
    hops = [RayleighSommerfeld(grid, WAVELENGTH, 3.4e-6, padding=2.0, dtype=torch.complex128) for _ in range(layers)]
    hops.append(AngularSpectrum(grid, WAVELENGTH, 5.9e-6, padding=1.5, dtype=torch.complex128))
    field = torch.randn((batch, *shape), generator=generator, dtype=torch.complex128)
    masks = torch.randn((layers, *shape), generator=generator, dtype=torch.complex128)
    return field, masks, hops


def one_by_one(field: Tensor, masks: Tensor, hops: list[torch.nn.Module]) -> Tensor:
    for mask, hop in zip(masks, hops, strict=False):
        field = hop(field) * mask
    return hops[-1](field)


@pytest.mark.parametrize("shape", [(24, 24), (17, 30)])
def test_cascade_and_its_gradients_equal_the_elements_one_by_one(shape: tuple[int, int]) -> None:
    field, masks, hops = scene(shape, 3, 2)
    results = []
    for forward in (lambda f, m: one_by_one(f, m, hops), lambda f, m: cascade(f, m, [hop.transfer for hop in hops])):
        f, m = field.clone().requires_grad_(), masks.clone().requires_grad_()
        output = forward(f, m)
        (output.abs() ** 3).sum().backward()
        results.append((output.detach(), f.grad, m.grad))
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-11)


def test_gradcheck_of_field_and_masks() -> None:
    field, masks, hops = scene((6, 5), 2, 2)
    transfers = [hop.transfer for hop in hops]
    inputs = (field.requires_grad_(), masks.requires_grad_())
    assert torch.autograd.gradcheck(lambda f, m: cascade(f, m, transfers), inputs)


def test_gradcheck_of_phases_and_transmissions_side_by_side() -> None:
    field, masks, hops = scene((6, 5), 3, 2)
    transfers = [hop.transfer for hop in hops]
    phases = [torch.angle(mask).requires_grad_() for mask in masks[:2]]
    inputs = (field.requires_grad_(), *phases, masks[2].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda f, *m: cascade(f, m, transfers), inputs)


@pytest.mark.parametrize("shape", [(24, 24), (17, 30)])
@pytest.mark.parametrize("together", [False, True])
def test_phases_give_what_their_transmissions_give(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], together: bool
) -> None:
    monkeypatch.setattr("opticdesign.optics.cascade._alone", lambda device: not together)
    field, masks, hops = scene(shape, 3, 3)
    results = []
    for made in (lambda phase: phase, lambda phase: torch.polar(torch.ones_like(phase), phase)):
        f, phases = field.clone().requires_grad_(), torch.angle(masks).requires_grad_()
        output = cascade(f, [made(phase) for phase in phases], [hop.transfer for hop in hops])
        (output.abs() ** 3).sum().backward()
        results.append((output.detach(), f.grad, phases.grad))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("learns", [[0], [1], [2], [0, 2], [1, 2]])
@pytest.mark.parametrize("of_phase", [False, True])
def test_only_masks_that_learn_get_a_gradient_and_cost_memory(learns: list[int], of_phase: bool) -> None:
    field, masks, hops = scene((16, 16), 3, 2)
    values = [torch.angle(mask) if of_phase else mask.clone() for mask in masks]
    every = [value.clone().requires_grad_() for value in values]
    some = [value.requires_grad_(layer in learns) for layer, value in enumerate(values)]
    for given in (every, some):
        cascade(field, given, [hop.transfer for hop in hops]).abs().sum().backward()
    for layer in range(3):
        assert (some[layer].grad is not None) == (layer in learns)
        if layer in learns:
            torch.testing.assert_close(some[layer].grad, every[layer].grad, rtol=1e-12, atol=1e-12)
    kept = cascade(field, some, [hop.transfer for hop in hops]).grad_fn.kept
    assert sorted(kept) == learns


def test_a_batch_does_not_change_the_masks_or_the_field_it_is_given() -> None:
    field, masks, _ = scene((16, 16), 2, 2)
    grid = Grid((16, 16), (316.4e-9, 316.4e-9))
    hops = [AngularSpectrum(grid, WAVELENGTH, 3.4e-6, padding=1.0, dtype=torch.complex128)] * 3
    before = field.clone(), masks.clone()
    output = cascade(field, masks.requires_grad_(), [hop.transfer for hop in hops])
    torch.autograd.grad(output, masks, field)
    assert torch.equal(field, before[0]) and torch.equal(masks, before[1])


def test_a_real_field_is_light_too_and_no_field_gives_none() -> None:
    field, masks, hops = scene((12, 9), 2, 2)
    phases, transfers = torch.angle(masks).requires_grad_(), [hop.transfer for hop in hops]
    torch.testing.assert_close(cascade(field.real, phases, transfers), cascade(field.real + 0j, phases, transfers))
    nothing = cascade(field[:0], phases, transfers)
    assert nothing.shape == (0, 12, 9)
    nothing.abs().sum().backward()
    assert phases.grad is None or not phases.grad.any()


def test_masks_alone_get_gradients_when_the_field_needs_none() -> None:
    field, masks, hops = scene((16, 16), 2, 1)
    masks.requires_grad_()
    cascade(field, masks, [hop.transfer for hop in hops]).abs().sum().backward()
    assert masks.grad is not None and bool(masks.grad.abs().min() > 0)
    assert field.grad is None


@pytest.mark.parametrize("kind", [_Sender, _CachedSender])
@pytest.mark.parametrize("mapped", [1, 2**25])
@pytest.mark.parametrize("padding", [1.0, 1.5])
@pytest.mark.parametrize("cache", [1, 2**20])
def test_every_kind_of_window_gives_the_elements_one_by_one(
    monkeypatch: pytest.MonkeyPatch, kind: type[_Sender], mapped: int, padding: float, cache: int
) -> None:
    grid = Grid((24, 50), (316.4e-9, 316.4e-9))
    monkeypatch.setattr("opticdesign.optics.cascade._CACHE", cache)  # of a small one, windows are wider than a block
    monkeypatch.setattr("opticdesign.optics.cascade._MAPPED", mapped)  # rows in blocks, or all at once
    field, masks, _ = scene(grid.shape, 2, 3)
    hops = [AngularSpectrum(grid, WAVELENGTH, 3.4e-6, padding=padding, dtype=torch.complex128)] * 3
    monkeypatch.setattr("opticdesign.optics.cascade._suitable", lambda *of: kind)
    masks.requires_grad_()
    ours, plain = cascade(field, masks, [hop.transfer for hop in hops]), one_by_one(field, masks, hops)
    torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-11)
    gradients = [torch.autograd.grad((output.abs() ** 3).sum(), masks)[0] for output in (ours, plain)]
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("together", [2, 8])
def test_samples_sent_together_give_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """The way of other devices, on the CPU."""
    field, masks, hops = scene((12, 9), 2, 3)
    results = []
    for device in ("cpu", "other"):
        if device == "other":
            monkeypatch.setattr("opticdesign.optics.cascade._TOGETHER", together)
            monkeypatch.setattr("opticdesign.optics.cascade._alone", lambda device: False)
        f, m = field.clone().requires_grad_(), masks.clone().requires_grad_()
        output = cascade(f, m, [hop.transfer for hop in hops])
        (output.abs() ** 3).sum().backward()
        results.append((output.detach(), f.grad, m.grad))
    for single, joint in zip(*results, strict=True):
        torch.testing.assert_close(joint, single, rtol=1e-11, atol=1e-11)


def test_backward_again_gives_the_same_gradients() -> None:
    field, masks, hops = scene((12, 9), 2, 2)
    masks.requires_grad_()
    loss = cascade(field, masks, [hop.transfer for hop in hops]).abs().sum()
    first, second = (torch.autograd.grad(loss, masks, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("size", [1, 7, 8, 9, 256, 300, 448, 512])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_columns_are_spread_over_the_places_of_the_cache(size: int, dtype: torch.dtype) -> None:
    spread = _spread(3, size, torch.empty(0, dtype=dtype))
    assert spread.shape == (3, size)
    lines, rest = divmod(spread.stride(0) * spread.element_size(), 64)
    assert lines % 2 == 1 and rest == 0 and spread.stride(0) < size + 16
