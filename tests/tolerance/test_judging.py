from __future__ import annotations

import numpy as np
import pytest
import torch

from opticdesign.errors import OpticDesignError, UsageError
from opticdesign.instrument.building import build_microscope, build_process
from opticdesign.instrument.diffractive_system import DiffractiveSystem
from opticdesign.instrument.reconstruction import reconstruct
from opticdesign.learning.evaluation import METRICS, image_scores
from opticdesign.perturbed.layers import PerturbedLayers
from opticdesign.perturbed.patterns import NO_PATTERN
from opticdesign.perturbed.space import Space, build_space
from opticdesign.tolerance.judging import OpticalBench, build_bench
from opticdesign.tolerance.sampling import unit_points
from tests.support.tolerance_brute import rebuilt
from tests.support.tolerance_instruments import Fitted, errors, filtered, groups_alone, patches_of, sample_of


def bench_of(fitted: Fitted, **more: object) -> OpticalBench:
    space = build_space(fitted.design)
    return build_bench(fitted.design, fitted.microscope, space, fitted.test, seed=3, **more)  # type: ignore[arg-type]


def points(space: Space, count: int = 4) -> np.ndarray:
    return space.values(unit_points("sobol", len(space.parameters), 1, 0, count, count))


def test_a_zero_draw_is_the_evaluated_result_bit_for_bit(fitted: Fitted) -> None:
    bench, space = bench_of(fitted), build_space(fitted.design)
    zero = space.nominal[None]
    _, images = reconstruct(
        fitted.microscope, fitted.test.fields, build_process(fitted.design), fitted.design.training.seed
    )
    found = bench.evaluate(zero, [NO_PATTERN])
    assert bench.metrics == METRICS == tuple(found)
    for metric, scores in image_scores(images, fitted.test.targets).items():
        assert found[metric].shape == (1, bench.images)
        np.testing.assert_array_equal(found[metric][0], scores.double().numpy())
    np.testing.assert_array_equal(bench.pictures(zero, [NO_PATTERN])[0], images.numpy())
    np.testing.assert_array_equal(bench.evaluate(space.adjusted(zero, {}), [NO_PATTERN])["ssim"], found["ssim"])


def test_a_filter_is_judged_as_layers_are() -> None:
    design = filtered()
    microscope, test = build_microscope(design), patches_of(design, 2)
    bench = build_bench(design, microscope, build_space(design), test, seed=0)
    _, images = reconstruct(microscope, test.fields, build_process(design), design.training.seed)
    zero = bench._space.nominal[None]
    np.testing.assert_array_equal(bench.pictures(zero, [NO_PATTERN])[0], images.numpy())
    assert np.isfinite(bench.evaluate(points(bench._space, 2), [0, 1])["psnr_db"]).all()


def test_a_draw_depends_on_its_values_and_number_only(fitted: Fitted) -> None:
    bench, values = bench_of(fitted), points(build_space(fitted.design))
    together = bench.evaluate(values, [0, 1, 2, 3])
    swapped = bench.evaluate(values[[3, 1]], [3, 1])
    for metric, table in together.items():
        np.testing.assert_array_equal(swapped[metric], table[[3, 1]])
    other = bench.evaluate(values[:1], [7])["psnr_db"]
    assert not np.array_equal(other[0], together["psnr_db"][0])
    assert len({row.tobytes() for row in together["psnr_db"]}) == 4


def test_more_images_than_a_batch_are_judged_batch_by_batch(fitted: Fitted) -> None:
    test, space = fitted.calibration.first(11), build_space(fitted.design)
    bench = build_bench(fitted.design, fitted.microscope, space, test, seed=3)
    _, images = reconstruct(fitted.microscope, test.fields, build_process(fitted.design), fitted.design.training.seed)
    np.testing.assert_array_equal(bench.pictures(space.nominal[None], [NO_PATTERN])[0], images.numpy())
    assert bench.evaluate(points(space, 1), [0])["ssim"].shape == (1, 11)


@pytest.mark.parametrize("groups", [("gap",), ("wavelength",), ("layer_shift",), ("gap", "wavelength", "layer_shift")])
def test_fast_operators_are_right_to_a_thousandth_of_the_spread(fitted: Fitted, groups: tuple[str, ...]) -> None:
    design, optics = fitted.design, fitted.microscope.optics
    assert isinstance(optics, DiffractiveSystem)
    space, sample = build_space(design), sample_of(design)
    values = groups_alone(space, points(space, 4), groups)
    layers = PerturbedLayers(design, optics, build_process(design), optics.detached_phases())

    def scores(field: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            reading = fitted.microscope.detector(optics.seen(field).float())  # the camera's noise is another matter
            return image_scores(fitted.microscope.decode(reading), fitted.test.targets[:2])["psnr_db"].numpy()

    fast, slow = [], []
    for row in values:
        named = dict(zip(space.names, row.tolist(), strict=True))
        with torch.no_grad():
            fast.append(scores(layers.field(sample, errors(design, named))[0]))
        slow.append(scores(rebuilt(layers, sample, errors(design, named))))
    spread = np.stack(slow).mean(1).std()
    assert spread > 0.005
    assert np.abs(np.stack(fast) - np.stack(slow)).max() < 1e-3 * spread


def test_larger_errors_cost_more(fitted: Fitted) -> None:
    bench, space = bench_of(fitted), build_space(fitted.design)
    values = np.concatenate([scale * points(space, 8) for scale in (0.0, 1.0, 4.0)])
    means = bench.evaluate(values, [NO_PATTERN] * 24)["psnr_db"].mean(1).reshape(3, 8).mean(1)
    assert means[0] > means[1] > means[2]


def test_a_decoder_tuned_again_wins_back_what_errors_cost(fitted: Fitted) -> None:
    bench, space = bench_of(fitted, calibration=fitted.calibration), build_space(fitted.design)
    values = 3.0 * points(space, 2)
    before, after = bench.evaluate(values, [0, 1])["psnr_db"], bench.retuned(values, [0, 1])["psnr_db"]
    assert (after.mean(1) > before.mean(1) + 0.3).all()
    again = bench.retuned(values[1:], [1])["psnr_db"]
    np.testing.assert_array_equal(again[0], after[1])
    # the microscope itself is as before
    np.testing.assert_array_equal(bench.evaluate(values, [0, 1])["psnr_db"], before)


def test_tuning_without_known_samples_is_refused(fitted: Fitted) -> None:
    bench = bench_of(fitted)
    with pytest.raises(UsageError, match="nothing to tune a decoder with"):
        bench.retuned(points(build_space(fitted.design), 1), [0])


def test_a_memory_that_is_none_is_refused(fitted: Fitted) -> None:
    with pytest.raises(UsageError, match="a memory of 0 GiB"):
        bench_of(fitted, memory_gib=0)


class Crowded:
    """Optics that hold so many draws at once."""

    def __init__(self, inner: object, most: int) -> None:
        self.inner, self.most, self.tried = inner, most, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def intensity(self, sample, dev, learned=None):  # type: ignore[no-untyped-def]
        self.tried.append(len(dev))
        if len(dev) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner.intensity(sample, dev, learned)  # type: ignore[attr-defined]


def test_too_many_draws_for_the_memory_are_halved(fitted: Fitted) -> None:
    bench, space = bench_of(fitted), build_space(fitted.design)
    values = points(space, 4)
    expected = bench.evaluate(values, [0, 1, 2, 3])
    bench._together = 4
    crowded = Crowded(bench._optics, 1)
    bench._optics = crowded  # type: ignore[assignment]
    found = bench.evaluate(values, [0, 1, 2, 3])
    for metric, table in expected.items():
        np.testing.assert_allclose(found[metric], table, rtol=1e-6)
    assert crowded.tried[0] > 1
    assert set(crowded.tried[-3:]) == {1}


def test_no_memory_for_one_draw_is_told(fitted: Fitted) -> None:
    bench = bench_of(fitted)
    bench._optics = Crowded(bench._optics, 0)  # type: ignore[assignment]
    with pytest.raises(OpticDesignError, match="not enough memory for one draw"):
        bench.evaluate(points(build_space(fitted.design), 1), [0])


def test_another_error_than_want_of_memory_is_passed_on(fitted: Fitted) -> None:
    bench = bench_of(fitted)

    def broken(sample: object, dev: object) -> None:
        raise RuntimeError("shapes do not match")

    bench._optics.intensity = broken  # type: ignore[method-assign,assignment]
    with pytest.raises(RuntimeError, match="shapes do not match"):
        bench.evaluate(points(build_space(fitted.design), 1), [0])
