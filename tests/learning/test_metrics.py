from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from opticdesign.instrument.tiling import blend_window
from opticdesign.learning.metrics import mae_free_rad, mae_rad, psnr_db, rescale, ssim, ssim_map

METRICS = pytest.mark.parametrize("metric", [psnr_db, mae_rad, mae_free_rad, ssim])


def images(shape: tuple[int, ...] = (3, 40, 33), seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth targets with structure at several scales, and noisy, offset versions of them; double precision."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((shape[0], 1, 5, 5), dtype=torch.float64, generator=generator)
    target = torch.nn.functional.interpolate(coarse, shape[1:], mode="bicubic", align_corners=True)[:, 0]
    noise = torch.randn(shape, dtype=torch.float64, generator=generator)
    return 0.9 * target + 0.03 + 0.1 * noise, target


def test_psnr_by_hand() -> None:
    image, target = torch.tensor([[[0.0, 0.1], [0.0, 0.0]]]), torch.zeros((1, 2, 2))
    assert psnr_db(image, target).item() == pytest.approx(10.0 * math.log10(4.0 / 0.01), rel=1e-6)


def test_psnr_of_equal_images_is_finite() -> None:
    assert psnr_db(torch.ones((2, 4, 4)), torch.ones((2, 4, 4))).tolist() == pytest.approx([200.0, 200.0])


def test_mae_by_hand_is_in_radians() -> None:
    image, target = torch.tensor([[[0.5, 0.0], [0.25, 1.0]]]), torch.tensor([[[0.0, 0.0], [0.5, 1.0]]])
    assert mae_rad(image, target).item() == pytest.approx(2.0 * math.pi * 0.75 / 4.0)


def test_mae_free_of_offset_by_hand() -> None:
    error = torch.tensor([[[0.1, 0.3], [0.1, 0.3]]])
    assert mae_free_rad(error, torch.zeros_like(error)).item() == pytest.approx(2.0 * math.pi * 0.1)
    assert mae_free_rad(error + 5.0, torch.zeros_like(error)).item() == pytest.approx(2.0 * math.pi * 0.1, rel=1e-5)


def test_ssim_equals_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure as oracle

    image, target = images()
    _, expected_map = oracle(image[:, None], target[:, None], data_range=1.0, reduction="none", return_full_image=True)
    torch.testing.assert_close(ssim_map(image, target), expected_map[:, 0], rtol=0.0, atol=1e-10)
    torch.testing.assert_close(ssim(image, target), expected_map.mean((1, 2, 3)), rtol=0.0, atol=1e-10)


def test_ssim_map_equals_skimage_inside_the_border() -> None:
    from skimage.metrics import structural_similarity as oracle

    image, target = images()
    result = ssim_map(image, target)
    for index in range(len(image)):
        _, expected = oracle(
            image[index].numpy(),
            target[index].numpy(),
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        np.testing.assert_allclose(result[index, 5:-5, 5:-5], expected[5:-5, 5:-5], rtol=0.0, atol=1e-10)


def test_ssim_in_single_precision_stays_close_to_double_precision() -> None:
    image, target = images()
    torch.testing.assert_close(ssim(image.float(), target.float()).double(), ssim(image, target), rtol=0.0, atol=1e-4)


def test_ssim_border_is_continued_by_reflection() -> None:
    image, target = images((1, 20, 20))
    grown_image, grown_target = (torch.nn.functional.pad(x, (5, 5, 5, 5), mode="reflect") for x in (image, target))
    torch.testing.assert_close(ssim_map(grown_image, grown_target)[:, 5:-5, 5:-5], ssim_map(image, target))


def test_ssim_is_one_for_equal_images_symmetric_and_one_value_per_image() -> None:
    image, target = images()
    torch.testing.assert_close(ssim(target, target), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(ssim(image, target), ssim(target, image))
    assert tuple(ssim(image, target).shape) == (3,)
    torch.testing.assert_close(ssim(image[1:2], target[1:2])[0], ssim(image, target)[1])
    assert ssim(1.0 - target, target).max().item() < ssim(image, target).min().item()


def test_ssim_is_differentiable() -> None:
    image, target = images((1, 8, 9))
    assert torch.autograd.gradcheck(ssim, (image.requires_grad_(), target))


@METRICS
def test_equal_weights_change_nothing(metric) -> None:  # type: ignore[no-untyped-def]
    image, target = images()
    torch.testing.assert_close(metric(image, target, torch.full((40, 33), 0.3)), metric(image, target))


@METRICS
def test_weight_zero_hides_a_pixel(metric) -> None:  # type: ignore[no-untyped-def]
    image, target = images()
    broken = image.clone()
    broken[:, :, 20:] = 7.0
    valid = torch.zeros((3, 40, 33), dtype=torch.bool)
    valid[:, :, :14] = True  # farther than the window of SSIM from the broken part
    torch.testing.assert_close(metric(broken, target, valid), metric(image, target, valid))
    assert not torch.allclose(metric(broken, target), metric(image, target))


@pytest.mark.parametrize("metric", [psnr_db, mae_rad, mae_free_rad])
def test_weight_over_a_rectangle_equals_the_metric_of_the_rectangle(metric) -> None:  # type: ignore[no-untyped-def]
    image, target = images()
    weight = torch.zeros((40, 33))
    weight[3:20, 5:30] = 1.0
    torch.testing.assert_close(metric(image, target, weight), metric(image[:, 3:20, 5:30], target[:, 3:20, 5:30]))


def test_whole_number_weights_count_pixels_that_often() -> None:
    error = torch.tensor([[[0.0, 1.0]]])
    assert mae_rad(error, torch.zeros_like(error), torch.tensor([[3.0, 1.0]])).item() == pytest.approx(math.pi / 2)


def test_rescale_stretches_each_image_by_itself() -> None:
    stretched = rescale(torch.tensor([[[1.0, 3.0], [2.0, 1.0]], [[-4.0, 4.0], [0.0, 2.0]]]))
    assert stretched.tolist() == [[[0.0, 1.0], [0.5, 0.0]], [[0.0, 1.0], [0.5, 0.75]]]
    assert rescale(torch.full((1, 2, 2), 5.0)).tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


@pytest.mark.parametrize(("size", "overlap"), [(8, 0), (8, 3), (8, 4), (64, 16)])
def test_blend_windows_of_neighbours_add_up_to_one(size: int, overlap: int) -> None:
    window, step = blend_window(size, overlap), size - overlap
    total = torch.zeros(3 * step + size, dtype=torch.float64)
    for tile in range(4):
        total[tile * step : tile * step + size] += window
    torch.testing.assert_close(total[overlap : len(total) - overlap], torch.ones(len(total) - 2 * overlap).double())
    assert window.min().item() > 0.0
    torch.testing.assert_close(window, window.flip(0))
