from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from opticdesign.errors import DivergenceError
from opticdesign.studies.autoencoders.networks import (
    PAIRS,
    Autoencoder,
    ComplexReLU,
    Intensity,
    Pair,
    encoder_input,
    principal_components,
    reconstruct_digits,
    target_of,
    train_autoencoder,
)
from opticdesign.studies.autoencoders.schema import AutoencoderStudy, load_autoencoder_study
from tests.support.design_texts import ROOT

EVERY_PAIR = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
LL, LN = PAIRS[:2]


def study(**training: Any) -> AutoencoderStudy:
    changes = [f"training.{key}={value}" for key, value in {"steps": 5, "batch": 8, **training}.items()]
    path = ROOT / "designs" / "studies" / "autoencoders.toml"
    return load_autoencoder_study(path, ["hidden=16", "phase_range=2 rad", *changes])


def noise(count: int = 30, seed: int = 0) -> Tensor:
    """Images 0 … 1 without structure, (n, 12, 11)."""
    return torch.rand((count, 12, 11), generator=torch.Generator().manual_seed(seed))


def bumps(count: int = 500) -> Tensor:
    """A spot of light at a random place on a circle, (n, 12, 12): one number tells it all, but not a linear one."""
    angle = torch.rand(count, generator=torch.Generator().manual_seed(1)) * 2.0 * math.pi
    y, x = torch.meshgrid(torch.arange(12.0) - 5.5, torch.arange(12.0) - 5.5, indexing="ij")
    distance = (x - 3.5 * angle.cos()[:, None, None]) ** 2 + (y - 3.5 * angle.sin()[:, None, None]) ** 2
    return torch.exp(-distance / 2.0)


def error(model: Autoencoder, pair: Pair, digits: Tensor) -> float:
    return float((reconstruct_digits(model, pair, digits, 2.0) - target_of(pair, digits, 2.0)).square().mean())


def fresh(pair: Pair, pixels: int = 132, latent: int = 5) -> Autoencoder:
    return Autoencoder(pair, torch.linspace(0.0, 1.0, pixels), latent, 16, torch.Generator().manual_seed(0))


def test_pairs_are_all_eight_by_the_names_of_the_paper() -> None:
    names = [pair.name for pair in PAIRS]
    assert names == [f"{c}{e}E + {d}D" for c in ("", "C") for e in ("L", "NL") for d in ("L", "NL")]


def test_linear_encoder_and_decoder_learn_the_principal_components() -> None:
    digits = bumps()
    best = float((principal_components(digits, digits, 4) - digits).square().mean())
    spread = float((digits - digits.mean(0)).square().mean())
    reached = error(train_autoencoder(LL, 4, 0, study(steps=600, batch=64), digits), LL, digits)
    assert best * (1.0 - 1e-5) <= reached <= 1.02 * best
    assert best < 0.5 * spread  # the components do explain something


def test_nonlinear_decoder_reads_more_from_a_linear_code() -> None:
    digits = bumps()
    best_linear = float((principal_components(digits, digits, 2) - digits).square().mean())
    assert error(train_autoencoder(LN, 2, 0, study(steps=600, batch=64), digits), LN, digits) < 0.6 * best_linear


@pytest.mark.parametrize("pair", PAIRS[4:], ids=lambda pair: pair.name)
def test_phases_are_read_from_intensities(pair: Pair) -> None:
    digits = bumps()
    target = target_of(pair, digits, 2.0)
    spread = float((target - target.mean(0)).square().mean())
    model = train_autoencoder(pair, 8, 0, study(steps=400, batch=64), digits)
    assert error(model, pair, digits) < 0.25 * spread


def test_principal_components_equal_those_of_the_singular_value_decomposition() -> None:
    train, seen = noise(40), noise(7, seed=1)
    flat = train.flatten(1).double().numpy()
    _, _, vectors = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    given = seen.flatten(1).double().numpy() - flat.mean(0)
    expected = given @ vectors[:6].T @ vectors[:6] + flat.mean(0)
    np.testing.assert_allclose(principal_components(train, seen, 6).flatten(1), expected, atol=1e-6)


def test_principal_components_as_many_as_pixels_change_nothing() -> None:
    torch.testing.assert_close(principal_components(noise(), noise(), 500), noise())


def test_phase_of_a_digit_is_its_grey_value_times_the_range() -> None:
    digits = torch.tensor([[0.0, 0.5, 1.0]])
    field = encoder_input(PAIRS[4], digits, 2.0)
    torch.testing.assert_close(field.abs(), torch.ones(1, 3))
    torch.testing.assert_close(field.angle(), torch.tensor([[0.0, 1.0, 2.0]]))
    torch.testing.assert_close(target_of(PAIRS[4], digits, 2.0), field.angle() / (2.0 * math.pi))


def test_images_are_seen_and_wanted_as_they_are() -> None:
    assert torch.equal(encoder_input(LL, noise(), 2.0), noise())
    assert torch.equal(target_of(LL, noise(), 2.0), noise())


@EVERY_PAIR
def test_linear_parts_are_linear_and_the_others_are_not(pair: Pair) -> None:
    model = fresh(pair).eval()
    with torch.no_grad():
        model.decoder[-1].weight.normal_(generator=torch.Generator().manual_seed(1))
    optics = model.encoder[:-1] if pair.domain == "phase" else model.encoder
    assert _is_affine(optics, encoder_input(pair, noise().flatten(1), 2.0)) == (pair.encoder == "linear")
    assert _is_affine(model.decoder, torch.randn((30, 5), generator=torch.Generator().manual_seed(2))) == (
        pair.decoder == "linear"
    )
    if pair.encoder == "linear":
        assert not bool(optics(torch.zeros((1, 132), dtype=next(optics.parameters()).dtype)).any())  # dark stays dark


def _is_affine(function: Any, values: Tensor) -> bool:
    first, second = values.chunk(2)
    with torch.no_grad():
        middle = function(0.3 * first + 0.7 * second)
        return torch.allclose(middle, 0.3 * function(first) + 0.7 * function(second), atol=1e-5)


def test_camera_behind_linear_optics_does_not_see_a_constant_phase() -> None:
    """A nonlinear encoder does: it is not invariant, which optics that is linear always is."""
    turned = torch.polar(torch.tensor(1.0), torch.tensor(0.7))
    for pair in (PAIRS[5], PAIRS[7]):
        model, field = fresh(pair).eval(), encoder_input(pair, noise().flatten(1), 2.0)
        with torch.no_grad():
            same = torch.allclose(model.encoder(turned * field), model.encoder(field), atol=1e-5)
        assert same == (pair.encoder == "linear")


def test_intensity_is_standardised_in_training_and_an_affine_reading_later() -> None:
    camera = Intensity(3)
    amplitudes = torch.randn((500, 3), generator=torch.Generator().manual_seed(0), dtype=torch.complex64) * 4.0
    for _ in range(100):
        reading = camera(amplitudes)
    torch.testing.assert_close(reading.mean(0), torch.zeros(3), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(reading.std(0), torch.ones(3), atol=1e-2, rtol=0.0)
    camera.eval()
    low, middle, high = (camera(torch.full((1, 3), value**0.5, dtype=torch.complex64)) for value in (1.0, 2.0, 3.0))
    torch.testing.assert_close(middle, 0.5 * (low + high))
    torch.testing.assert_close(camera(amplitudes), reading, atol=1e-2, rtol=1e-2)


def test_complex_relu_cuts_real_and_imaginary_part() -> None:
    values = torch.tensor([1.0 + 2.0j, -1.0 + 2.0j, 1.0 - 2.0j, -1.0 - 2.0j])
    assert ComplexReLU()(values).tolist() == [1.0 + 2.0j, 2.0j, 1.0 + 0.0j, 0.0j]


@EVERY_PAIR
def test_untrained_reconstruction_is_the_mean_image(pair: Pair) -> None:
    images = fresh(pair).eval()(encoder_input(pair, noise().flatten(1), 2.0))
    torch.testing.assert_close(images, torch.linspace(0.0, 1.0, 132).expand(30, -1))


@EVERY_PAIR
def test_training_is_a_function_of_its_arguments(pair: Pair) -> None:
    torch.manual_seed(1)
    first = train_autoencoder(pair, 3, 0, study(), noise()).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = train_autoencoder(pair, 3, 0, study(), noise()).state_dict()
    assert torch.equal(torch.get_rng_state(), state)  # no draw from the global generator
    other = train_autoencoder(pair, 3, 1, study(), noise()).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["decoder.0.weight"], other["decoder.0.weight"])


@EVERY_PAIR
def test_every_weight_is_trained(pair: Pair) -> None:
    before, after = (
        dict(train_autoencoder(pair, 3, 0, study(steps=steps), noise()).named_parameters()) for steps in (1, 4)
    )
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_reconstruction_of_many_images_is_that_of_each() -> None:
    model = train_autoencoder(PAIRS[7], 3, 0, study(), noise())
    whole = reconstruct_digits(model, PAIRS[7], noise(1003), 2.0)
    assert whole.shape == (1003, 12, 11)
    torch.testing.assert_close(whole[1001:1002], reconstruct_digits(model, PAIRS[7], noise(1003)[1001:1002], 2.0))


@pytest.mark.parametrize("size", [1e30, 1e8])
def test_divergence_says_what_to_lower(size: float) -> None:
    with pytest.raises(DivergenceError, match=r"diverged: its error is (inf|nan|.*e\+\d\d)") as caught:
        train_autoencoder(LL, 3, 0, study(), noise() * size)
    assert caught.value.remedy == "lower training.rate"
