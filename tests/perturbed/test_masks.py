from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from opticdesign.design import Design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_process
from opticdesign.optics.elements import RIM, Square, phase_transmission
from opticdesign.optics.field import Grid
from opticdesign.optics.materials import material
from opticdesign.perturbed.masks import PerturbedMasks, blur_weights
from tests.support.tolerance_instruments import errors, layered

DESIGN = layered(layers=2)
PROCESS = build_process(DESIGN)
PITCH = 316.4e-9
LEVELS = torch.randint(8, (2, 64, 64), generator=torch.Generator().manual_seed(4))


def masks(design: Design = DESIGN, levels: Tensor = LEVELS, samples: int = 1) -> PerturbedMasks:
    shape = (levels.shape[-2] * samples, levels.shape[-1] * samples)
    return PerturbedMasks(design, build_process(design), levels, Grid(shape, (PITCH / samples, PITCH / samples)))


def phases(values: dict[str, float], **more: int) -> Tensor:
    return masks().phases(errors(DESIGN, values, **more))[0].double()


def test_without_errors_phases_are_those_of_the_process_bit_for_bit() -> None:
    assert torch.equal(masks().phases(errors(DESIGN, {}))[0], PROCESS.phase_of_level(LEVELS))
    assert torch.equal(masks().phases(errors(DESIGN, {"gap 1": 1e-6}), 1)[0], PROCESS.phase_of_level(LEVELS[1:]))


def test_neurons_of_several_samples_are_repeated() -> None:
    found = masks(samples=3).nominal_phases
    assert torch.equal(found[:, 1::3, 2::3], PROCESS.phase_of_level(LEVELS))
    assert found.shape == (2, 192, 192)


@pytest.mark.parametrize("square", [Square(), Square(0.8), Square(0.8, clear_gaps=True), Square(0.5)])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_samples_that_are_alike_make_the_squares_of_their_neurons(square: Square, samples: int) -> None:
    made = masks(samples=samples)
    made.square = square
    found = made.transmissions(made.phases(errors(DESIGN, {"index": 1e-3})))[0]
    change = 1.0 + 1e-3 / (PROCESS.index - PROCESS.medium_index)
    expected = square.mask(phase_transmission(PROCESS.phase_of_level(LEVELS) * change), samples)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made.transmissions(made.nominal_phases[None])[0], made.nominal_transmissions)


def test_samples_that_differ_are_small_squares_of_their_own() -> None:
    made = masks(samples=4)
    made.square = Square()
    phases = made.phases(errors(DESIGN, {"overlay shift 1 bit 2 x": 6e-8, "blur": 5e-8}))
    found, flat = made.transmissions(phases)[0], made.transmissions(made.nominal_phases[None])[0]
    # the same squares drawn by nine samples each, without what lies beyond the band of one, at their middles
    beyond = phase_transmission(phases[0]) - phase_transmission(made.nominal_phases)
    fine = beyond[:1, 32:97, 32:97].repeat_interleave(9, -1).repeat_interleave(9, -2)
    spectrum = torch.fft.fft2(fine)
    low = torch.fft.fftfreq(585).abs() * 9 < 0.5
    expected = torch.fft.ifft2(spectrum * low[:, None] * low)[..., 4::9, 4::9]
    inner = (slice(0, 1), *[slice(40 + 4 * RIM, 88 + 4 * RIM)] * 2)
    error = ((found - flat)[inner] - expected[:, 8:56, 8:56]).norm() / expected[:, 8:56, 8:56].norm()
    assert float(error) < 0.02


def test_what_happens_in_dark_gaps_is_not_seen() -> None:
    made = masks(samples=4)
    made.square = Square(0.25)  # the two middle ones of four samples
    phases = made.nominal_phases[None].clone()
    phases[..., 0::4, :] += 1.0
    phases[..., 3::4] -= 2.0
    torch.testing.assert_close(made.transmissions(phases)[0], made.nominal_transmissions, rtol=1e-5, atol=1e-5)


def test_phases_go_with_etch_depth_index_and_wavelength() -> None:
    nominal = PROCESS.phase_of_level(LEVELS).double()
    contrast = PROCESS.index - PROCESS.medium_index
    etched = phases({f"etch depth bit {bit}": 0.02 for bit in (1, 2, 3)})
    torch.testing.assert_close(etched, 1.02 * nominal, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(phases({"index": 1e-3}), nominal * (contrast + 1e-3) / contrast, rtol=1e-5, atol=1e-6)
    wavelength = 1.02 * DESIGN.light.wavelength
    dispersed = material("fused silica").index(wavelength) - 1.0
    torch.testing.assert_close(
        phases({"wavelength": 0.02}), nominal * dispersed / contrast / 1.02, rtol=1e-5, atol=1e-6
    )


def test_a_wavelength_without_an_index_is_refused() -> None:
    with pytest.raises(UsageError, match="fused silica has no index"):
        phases({"wavelength": 9.0})


def test_a_panel_shows_phases_with_errors_of_its_own() -> None:
    nominal = PROCESS.phase_of_level(LEVELS).double()
    found = phases({"lut 1": 0.05, "flicker 2": 0.3})
    torch.testing.assert_close(found[0], 1.05 * nominal[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], nominal[1] * (1.0 + 0.3 / (2.0 * math.pi)), rtol=1e-5, atol=1e-6)


def test_height_noise_has_the_asked_strength_and_depends_on_the_draw() -> None:
    nominal = phases({})
    patterned = layered(layers=2, height_noise={"sigma": "6 nm", "correlation": "300 nm"})
    found = [masks(patterned).phases(errors(patterned, {}, index))[0].double() for index in (1, 1, 2)]
    change = (found[0] - nominal) / (2.0 * math.pi) * PROCESS.full_height_m
    assert change.std().item() == pytest.approx(6e-9, rel=0.05)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_flatness_is_a_phase_of_the_asked_strength() -> None:
    panel = layered(layers=2, flatness={"sigma": "0.2 rad", "correlation": "0.5 um"})
    found = masks(panel).phases(errors(panel, {}, 1))[0].double()
    assert (found - phases({})).std().item() == pytest.approx(0.2, rel=0.07)


def test_a_blur_keeps_the_mean_height_and_lowers_the_contrast() -> None:
    made = masks()
    nominal, blurred = (made.heights(errors(DESIGN, {"blur": width}))[0].double() for width in (0.0, 1e-7))
    inner = (..., slice(8, -8), slice(8, -8))
    assert blurred[inner].mean().item() == pytest.approx(nominal[inner].mean().item(), rel=0.01)
    assert 0.5 * nominal.std() < blurred.std() < 0.9 * nominal.std()


def test_a_blur_of_an_edge_is_that_of_the_relief_averaged_over_samples() -> None:
    levels = torch.zeros((1, 16, 16), dtype=torch.int64)
    levels[..., 8:] = 7
    width = 150e-9
    found = masks(levels=levels).heights(errors(DESIGN, {"blur": width}))[0, 0, 8].double() / PROCESS.highest_m
    sigma = width / 2.354820045
    fine = (np.arange(16 * 400) + 0.5) / 400 * PITCH
    profile = 0.5 * (1.0 + torch.erf(torch.tensor((fine - 8 * PITCH) / (sigma * math.sqrt(2.0)))))
    torch.testing.assert_close(found, profile.reshape(16, 400).mean(1), rtol=0, atol=2e-5)


def test_blur_weights_are_one_sample_without_a_blur_and_end_alike_in_company() -> None:
    sigma = torch.tensor([0.0, 0.1e-6, 0.9e-6], dtype=torch.float64)
    weights = blur_weights(sigma, 0.3e-6, 100)
    middle = weights.shape[1] // 2
    torch.testing.assert_close(weights.sum(1), torch.ones(3, dtype=torch.float64))
    assert weights[0, middle].item() == pytest.approx(1.0)
    alone = blur_weights(sigma[1:2], 0.3e-6, 100)
    reach = alone.shape[1] // 2
    torch.testing.assert_close(weights[1, middle - reach : middle + reach + 1], alone[0])
    assert not weights[1, : middle - reach].any()


def test_a_blur_wider_than_a_mask_sees_its_edges_beyond_it_and_costs_no_more() -> None:
    line = torch.rand(12, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    sigma = torch.tensor([40e-6, 1e-3], dtype=torch.float64)
    whole = blur_weights(sigma[:1], 0.3e-6, 10**6)[0]
    reach = len(whole) // 2
    padded = torch.cat([line[:1].expand(reach), line, line[-1:].expand(reach)])
    expected = torch.stack([(padded[at : at + len(whole)] * whole).sum() for at in range(12)])
    cut = blur_weights(sigma, 0.3e-6, 11)
    assert cut.shape == (2, 23)
    padded = torch.cat([line[:1].expand(11), line, line[-1:].expand(11)])
    found = torch.stack([(padded[at : at + 23] * cut[0]).sum() for at in range(12)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)  # beyond 4 standard deviations
    levels = torch.randint(8, (1, 12, 12), generator=torch.Generator().manual_seed(6))
    heights = masks(levels=levels).heights(errors(DESIGN, {"blur": 1.0}))[0, 0]
    corners = masks(levels=levels).heights(errors(DESIGN, {}))[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(heights, corners.mean().expand(12, 12), rtol=1e-3, atol=1e-12)


def test_crosstalk_smears_phases_as_a_blur_smears_heights() -> None:
    blurred, smeared = phases({"blur": 1e-7}), phases({"crosstalk": 1e-7})
    torch.testing.assert_close(blurred, smeared, rtol=1e-4, atol=1e-5)


def test_changed_tells_which_masks_differ() -> None:
    assert masks().changed(errors(DESIGN, {"overlay shift 2 bit 3 x": 1e-8})).tolist() == [[False, True]]
    assert masks().changed(errors(DESIGN, {"lut 1": 0.1})).tolist() == [[True, False]]
    assert masks().changed(errors(DESIGN, {"index": 0.1})).tolist() == [[True, True]]
    assert masks().changed(errors(DESIGN, {"gap 1": 1e-6, "layer shift 1 x": 1e-6})).tolist() == [[False, False]]


def test_each_draw_of_several_is_as_it_is_alone() -> None:
    draws = [{"blur": 1e-7, "overlay shift 1 bit 2 y": 3e-8, "cd bias bit 1": 1e-8}, {"blur": 3e-8, "index": 1e-3}]
    groups = [errors(DESIGN, values, index) for index, values in enumerate(draws)]
    together = type(groups[0])(
        {
            name: torch.cat([dev[name] for dev in groups])
            for name in set(DESIGN.tolerance.errors) - set(groups[0].patterns)
        },
        groups[0].patterns,
        [0, 1],
        0,
    )
    found = masks().phases(together)
    for row, dev in zip(found, groups, strict=True):
        torch.testing.assert_close(row, masks().phases(dev)[0], rtol=1e-5, atol=2e-6)
