from __future__ import annotations

import math

import pytest
import torch

from opticdesign.perturbed.patterns import NO_PATTERN, correlated, edge_share, white_noise

PITCH = (0.3e-6, 0.2e-6)


def test_noise_depends_on_seed_purpose_and_number_only() -> None:
    fields = white_noise(3, "height", [7, NO_PATTERN, 9], (2, 8, 8))
    assert torch.equal(fields[0], white_noise(3, "height", [7], (2, 8, 8))[0])
    assert torch.equal(fields[2], white_noise(3, "height", [1, 9], (2, 8, 8))[1])
    assert not fields[1].any()
    for other in (white_noise(4, "height", [7], (2, 8, 8)), white_noise(3, "edges", [7], (2, 8, 8))):
        assert not torch.equal(fields[0], other[0])


@pytest.mark.parametrize("correlation", [0.0, 0.6e-6, 2e-6])
def test_a_field_has_unit_variance_and_the_asked_correlation(correlation: float) -> None:
    field = correlated(white_noise(0, "field", range(40), (128, 192)), PITCH, correlation).double()
    assert field.mean().item() == pytest.approx(0.0, abs=0.05)
    assert field.var().item() == pytest.approx(1.0, rel=0.05)
    for lag in (1, 3, 6):
        along = (field * field.roll(lag, -1)).mean().item(), (field * field.roll(lag, -2)).mean().item()
        for found, pitch in zip(along, (PITCH[1], PITCH[0]), strict=True):
            expected = math.exp(-((lag * pitch / correlation) ** 2)) if correlation else 0.0
            assert found == pytest.approx(expected, abs=0.04)


def test_a_correlation_shorter_than_a_quarter_sample_is_none() -> None:
    noise = white_noise(0, "field", [0], (8, 8))
    assert correlated(noise, PITCH, 0.05e-6) is noise


@pytest.mark.parametrize("ratio", [0.05, 0.3, 2.0, 30.0])
def test_edge_share_is_that_of_the_mean_of_a_rough_edge(ratio: float) -> None:
    count = 2000
    s = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    mean_correlation = torch.exp(-(s[:, None] - s).abs() / ratio).mean()
    assert edge_share(1e-6, ratio * 1e-6) == pytest.approx(math.sqrt(mean_correlation.item()), rel=1e-3)


def test_an_edge_without_correlation_is_rough_by_sample() -> None:
    assert edge_share(1e-6, 0.0) == 1.0
