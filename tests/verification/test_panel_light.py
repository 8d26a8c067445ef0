"""The light behind a panel: orders of gratings in closed form, and the element that designs are simulated with."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from opticdesign.handover.panel import PanelFrames, Place
from opticdesign.optics.elements import SpatialLightModulator, linear_lut
from opticdesign.optics.field import Grid
from opticdesign.verification.panel import masks_on_panel


def frames_of(greys, carrier=None, **changes):
    flat = PanelFrames(
        greys=np.asarray(greys, np.uint16)[None],
        lut_rad=linear_lut().numpy(),
        correction_rad=np.zeros(np.shape(greys)),
        carrier=carrier,
        superpixel=1,
        encoded=False,
        places=(Place(0, 0, 0),),
        flip="none",
        turns=0,
        fill_factor=1.0,
        gap=0.0,
        crosstalk=0.0,
        lut_error=0.0,
        panel="test",
    )
    return replace(flat, **changes)


def grating(steps, size=64):
    """A blazed grating of so many pixels a period."""
    return np.tile(np.arange(size) % steps * (256 // steps), (size, 1))


def only(frames, wanted):
    (result,) = masks_on_panel(frames, np.asarray(wanted)[None])
    return result


@pytest.mark.parametrize("steps", [2, 4, 8, 16])
@pytest.mark.parametrize("fill_factor", [1.0, 0.93, 0.6])
def test_first_order_of_a_grating_of_steps(steps, fill_factor):
    """Steps of a width w of a pixel send (w sinc(w/N))² · w² into the first order: sinc²(1/N) where nothing is dark.

    Goodman, Introduction to Fourier Optics, section on diffractive elements.
    """
    result = only(frames_of(grating(steps), float(steps), fill_factor=fill_factor), np.ones((64, 64)))
    width = math.sqrt(fill_factor)
    exact = (width * np.sinc(width / steps) * width) ** 2
    assert result.efficiency == pytest.approx(exact, rel=1e-5)
    assert result.field_error < 1e-3


def test_the_error_of_the_table_costs_what_a_wrong_depth_costs():
    error, steps = 0.1, 16
    result = only(frames_of(grating(steps), float(steps), lut_error=error), np.ones((64, 64)))
    depth = abs(np.exp(2j * np.pi * error * np.arange(steps) / steps).mean()) ** 2
    assert result.efficiency == pytest.approx(depth * np.sinc(1 / steps) ** 2, rel=2e-3)
    undiffracted = abs(np.exp(2j * np.pi * (1 + error) * np.arange(steps) / steps).mean()) ** 2
    assert result.zero_order == pytest.approx(undiffracted, rel=1e-3)


def test_gaps_that_reflect_stand_in_the_zero_order_and_the_pinhole_stops_them():
    dark, bright = (
        only(frames_of(grating(8), 8.0, fill_factor=0.81, gap=gap), np.ones((64, 64))) for gap in (0.0, 1.0)
    )
    assert dark.zero_order < 1e-6
    assert bright.zero_order == pytest.approx((1 - 0.81) ** 2, rel=1e-3)
    assert bright.efficiency == pytest.approx(dark.efficiency, rel=1e-3)


def test_without_a_carrier_dark_gaps_cost_the_square_of_the_fill_factor():
    greys = np.random.default_rng(0).integers(0, 256, (32, 48))
    result = only(frames_of(greys, fill_factor=0.9), np.exp(2j * np.pi * greys / 256))
    assert result.efficiency == pytest.approx(0.81, rel=1e-5)
    assert result.field_error < 1e-3


@pytest.mark.parametrize(("flip", "turns"), [("rows", 1), ("columns", 2), ("none", 3)])
def test_the_mask_is_seen_flipped_and_turned_with_what_makes_the_panel_flat_taken_off(flip, turns):
    draw = np.random.default_rng(1)
    wanted = draw.integers(0, 256, (12, 20))
    shown = np.rot90(wanted, -turns)
    shown = {"rows": shown[::-1], "columns": shown[:, ::-1], "none": shown}[flip]
    correction = draw.integers(0, 256, shown.shape)
    frames = frames_of(
        (shown + correction) % 256, flip=flip, turns=turns, correction_rad=correction * (2 * np.pi / 256)
    )
    result = only(frames, np.exp(2j * np.pi * wanted / 256))
    assert result.efficiency == pytest.approx(1.0, rel=1e-5) and result.field_error < 2e-3


@pytest.mark.parametrize(("crosstalk", "off"), [(0.0, 1e-5), (0.4, 0.05)])
def test_the_light_of_pixels_is_that_of_the_element(crosstalk, off):
    greys = np.random.default_rng(2).integers(0, 256, (24, 30))
    frames = frames_of(greys, fill_factor=0.95, gap=0.3, crosstalk=crosstalk)
    lut = linear_lut()
    element = SpatialLightModulator(
        Grid(greys.shape, (8e-6, 8e-6)),
        lut[torch.from_numpy(greys)],
        samples=9,
        fill_factor=0.95,
        gap=0.3,
        crosstalk=crosstalk,
        lut_rad=lut,
    )
    light = element.transmission().detach().numpy().reshape(24, 9, 30, 9).mean((1, 3))
    (result,) = masks_on_panel(frames, light[None])
    assert result.field_error < max(off, 1e-3)
    assert result.efficiency == pytest.approx(1.0, abs=off)


def test_crosstalk_lowers_the_efficiency():
    clear, smeared = (
        only(frames_of(grating(4), 4.0, crosstalk=crosstalk), np.ones((64, 64))) for crosstalk in (0.0, 0.5)
    )
    assert smeared.efficiency < 0.9 * clear.efficiency


def test_amplitudes_count_by_what_the_mask_itself_would_send():
    """A mask that absorbs, shown by phase alone: what passes is the projection on the wanted field."""
    wanted = np.linspace(0.2, 1.0, 64)[:, None] * np.ones((64, 64))
    result = only(frames_of(np.zeros((64, 64))), wanted)
    mean, square = wanted.mean(), (wanted**2).mean()
    assert result.efficiency == pytest.approx((mean / square) ** 2, rel=1e-5)
    assert result.field_error == pytest.approx(math.sqrt(1 - mean**2 / square), rel=1e-3)


@pytest.mark.parametrize("carrier", [None, 4.0])
def test_a_checkerboard_sends_the_encoded_amplitude_along_the_axis(carrier):
    """Two phases ± arccos A a superpixel: all of A e^{iφ}, where the pinhole or the axis leaves its own orders out."""
    side = 16
    wanted = np.linspace(0.1, 1.0, 8)[:, None] * np.exp(2j * np.pi * np.arange(8) / 64)
    phase = np.angle(wanted).repeat(side, 0).repeat(side, 1)
    turn = np.arccos(np.abs(wanted)).repeat(side, 0).repeat(side, 1)
    phase += np.where(np.indices(phase.shape).sum(0) % 2 == 1, -turn, turn)
    phase += 0.0 if carrier is None else 2 * np.pi * np.arange(8 * side) / carrier
    greys = np.rint(np.mod(phase, 2 * np.pi) / (2 * np.pi) * 256) % 256
    result = only(frames_of(greys, carrier, superpixel=side, encoded=True), wanted)
    steps = 1.0 if carrier is None else np.sinc(1.0 / carrier) ** 2
    assert result.efficiency == pytest.approx(steps, rel=0.03)
    assert result.field_error < (0.01 if carrier is None else 0.12)
