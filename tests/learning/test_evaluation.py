from __future__ import annotations

import numpy as np
import pytest
import torch

from opticdesign.learning.evaluation import METRICS, Score, image_scores, interval, verdict


def test_scores_hold_every_metric_of_every_image() -> None:
    targets = torch.rand((3, 12, 12), generator=torch.Generator().manual_seed(0))
    scores = image_scores(targets + 0.1, targets)
    assert tuple(scores) == METRICS
    assert all(values.shape == (3,) for values in scores.values())
    torch.testing.assert_close(scores["psnr_db"], torch.full((3,), 20.0), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(scores["mae_free_rad"], torch.zeros(3), atol=1e-5, rtol=0.0)


def test_scores_count_only_what_has_weight() -> None:
    target = torch.rand((1, 12, 12), generator=torch.Generator().manual_seed(0))
    image, weight = target.clone(), torch.ones_like(target)
    image[:, 0], weight[:, 0] = 5.0, 0.0
    assert float(image_scores(image, target, weight)["mae_rad"]) == 0.0
    assert float(image_scores(image, target)["mae_rad"]) > 1.0


def test_interval_covers_the_mean_at_its_rate() -> None:
    rng = np.random.default_rng(0)
    scores = [interval(rng.normal(5.0, 2.0, 60).tolist(), seed) for seed in range(200)]
    hits = sum(score.low <= 5.0 <= score.high for score in scores)
    assert 180 <= hits <= 199


def test_interval_holds_its_mean() -> None:
    score = interval([0.2, 0.4, 0.9], seed=0)
    assert score.mean == pytest.approx(0.5)
    assert 0.2 <= score.low < score.mean < score.high <= 0.9


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        (Score(3.0, 2.9, 3.1), Score(2.0, 1.9, 2.1), "beats"),
        (Score(3.0, 2.0, 4.0), Score(2.0, 1.0, 2.0), "overlaps with"),
        (Score(2.0, 1.9, 2.1), Score(3.0, 2.2, 3.8), "is below"),
    ],
)
def test_only_disjoint_intervals_tell_which_is_better(ours: Score, theirs: Score, word: str) -> None:
    other = {"beats": "is below", "is below": "beats"}.get(word, word)
    assert verdict(ours, theirs, "ssim") == verdict(theirs, ours, "mae_rad") == word
    assert verdict(theirs, ours, "psnr_db") == verdict(ours, theirs, "mae_free_rad") == other
