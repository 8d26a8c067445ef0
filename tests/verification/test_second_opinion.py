"""The independent model against analytic light, against itself on finer samples, and beside the model that trains."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.special import fresnel

from opticdesign.design import Design, load_design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_microscope
from opticdesign.verification import layers as layers_module
from opticdesign.verification import second_opinion as module
from opticdesign.verification.second_opinion import MaskInFile, mask_size_m, masks_of_design, second_opinion
from tests.support.design_texts import D2NN5, ROOT, write

WAVE_M = 632.8e-9
RNG = np.random.default_rng


def layers(**optics: Any) -> Design:
    """One layer of 32 neurons of 1 µm, in vacuum, and what is changed of its optics, unchecked."""
    design = load_design(D2NN5, ("optics.layers=1", "optics.neurons=64", "evaluation.overlap=16"))
    usual = {"neurons": (32, 32), "pitch": 1e-6, "input_gap": 40e-6, "layer_gap": 40e-6, "detector_gap": 40e-6}
    changed = design.optics.model_copy(update=usual | {"cell": None} | optics)
    return design.model_copy(update={"optics": changed})


def lenses(**optics: Any) -> Design:
    design = load_design(ROOT / "designs" / "lff64.toml", ("optics.neurons=64", "evaluation.overlap=16"))
    usual = {"neurons": (12, 12), "pitch": 1e-6, "radius": None, "focal": 5e-3}
    return design.model_copy(update={"optics": design.optics.model_copy(update=usual | optics)})


def flat(design: Design) -> MaskInFile:
    return MaskInFile(np.zeros(design.optics.neurons), mask_size_m(design))


def random_masks(design: Design, count: int = 1, seed: int = 0) -> list[MaskInFile]:
    return masks_of_design(design, RNG(seed).uniform(0.0, 2.0 * np.pi, (count, *design.optics.neurons)))


def places(count: int, pitch_m: float) -> np.ndarray:
    return (np.arange(count) - (count - 1) / 2.0) * pitch_m


def difference(received: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(received - expected) / np.linalg.norm(expected))


def test_nothing_is_shared_with_what_trains() -> None:
    found, own = set[str](), "opticdesign.verification."
    left = [own + name for name in ("layers", "filter")]  # beside what chooses one of them
    while left:
        path = Path(module.__file__).with_name(left.pop().rpartition(".")[2] + ".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            left += [name for name in names if name.startswith(own) and name not in found]
            found |= set(names)
    assert {own + name for name in ("relief", "window", "mask_in_file")} < found
    ours = {name for name in found if name.startswith("opticdesign") and not name.startswith(own)}
    assert ours <= {"opticdesign.design", "opticdesign.errors", "opticdesign.optics.materials"}
    assert "torch" not in found


@pytest.mark.parametrize("neurons", [(48, 48), (40, 51)])
def test_a_gaussian_beam_spreads_as_it_should(neurons: tuple[int, int]) -> None:
    design = layers(neurons=neurons, input_gap=60e-6, detector_gap=90e-6)
    waist = 6e-6
    y, x = places(neurons[0], 1e-6)[:, None], places(neurons[1], 1e-6)
    square = y**2 + x**2
    found = second_opinion(design, [flat(design)], np.exp(-square / waist**2)[None]).intensity[0]
    width = waist * np.hypot(1.0, 150e-6 * WAVE_M / (np.pi * waist**2))
    up, across = (
        np.exp(-2.0 * places(16 * count, 1e-6 / 16) ** 2 / width**2).reshape(count, 16).mean(1) for count in neurons
    )
    assert difference(found, (waist / width) ** 2 * up[:, None] * across) < 2e-3  # the rest is not paraxial
    assert found.sum() == pytest.approx(np.exp(-2.0 * square / waist**2).sum(), rel=1e-4)  # power


def test_a_square_aperture_casts_fresnels_shadow() -> None:
    """A clear mask is a square hole in an opaque screen; the object is a plane wave, wider than it."""
    design = layers(neurons=(32, 32), input_gap=2e-6, detector_gap=150e-6)
    found = second_opinion(design, [flat(design)], np.ones((1, 96, 96))).intensity[0]
    fine = places(32 * 8, 1e-6 / 8)
    ends = np.sqrt(2.0 / (WAVE_M * 150e-6)) * np.array((16e-6 - fine, -16e-6 - fine))
    (s, c) = fresnel(ends)
    line = ((c[0] - c[1]) ** 2 + (s[0] - s[1]) ** 2) / 2.0
    line = line.reshape(32, 8).mean(axis=1)
    assert difference(found, line[:, None] * line) ** 2 < 1e-3


def test_a_grating_images_itself_at_talbots_distance() -> None:
    period, count = 16, 160
    talbot = 2.0 * (period * 1e-6) ** 2 / WAVE_M
    design = layers(neurons=(16, count), input_gap=1e-6, detector_gap=talbot)
    lines = np.tile(0.5 + 0.5 * np.cos(2.0 * np.pi * np.arange(count) / period), (16, 1))
    mask = MaskInFile(np.zeros((16, count)), mask_size_m(design), amplitude=lines)
    wave = np.ones((1, 16, 3 * count))
    middle = slice(count // 2 - period, count // 2 + period)
    here = second_opinion(layers(neurons=(16, count), input_gap=1e-6, detector_gap=1e-6), [mask], wave)
    there = second_opinion(design, [mask], wave)
    profile, image = (one.intensity[0, :, middle].mean(axis=0) for one in (here, there))
    assert np.corrcoef(profile, image)[0, 1] > 0.98  # the grating has ends
    half = layers(neurons=(16, count), input_gap=1e-6, detector_gap=talbot / 2.0)  # shifted by half a period there
    shifted = second_opinion(half, [mask], wave).intensity[0, :, middle].mean(axis=0)
    assert np.corrcoef(np.roll(profile, period // 2), shifted)[0, 1] > 0.98


@pytest.mark.parametrize(
    "optics",
    [
        {"pitch": WAVE_M / 2.0, "input_gap": 3e-6, "layer_gap": 3e-6, "detector_gap": 5e-6},
        {"image_samples": 2, "fill_factor": 0.7, "gaps": "clear"},
        {"neurons": (21, 34), "fill_factor": 0.7},
    ],
)
def test_finer_samples_change_nothing(optics: dict[str, Any]) -> None:
    design = layers(**optics, layers=2)
    shape = design.optics.shape
    masks = random_masks(design, 2)
    field = np.exp(2j * np.pi * RNG(1).random((1, shape[0] + 8, shape[1] + 6)))
    usual = second_opinion(design, masks, field)
    finer = second_opinion(design, masks, field, samples=2 * usual.samples)
    assert finer.samples == 2 * usual.samples
    assert difference(usual.intensity, finer.intensity) < 5e-3


@pytest.mark.parametrize("gap_m", [5e-6, 100e-6, 1e-3])
def test_spectrum_and_kernel_agree(gap_m: float, monkeypatch: pytest.MonkeyPatch) -> None:
    design = layers(input_gap=gap_m, detector_gap=gap_m)
    around = np.hanning(34)[1:-1]
    phase = 4.0 * ndimage.gaussian_filter(RNG(2).normal(size=(1, 32, 32)), (0, 2, 2)) * 2.0
    field = np.exp(1j * phase) * around[:, None] * around
    masks = random_masks(design)
    found = []
    for widest in (0.0, 20.0):  # never and always wide enough for the spectrum
        monkeypatch.setattr(layers_module, "_WIDEST", widest)
        found.append(second_opinion(design, masks, field).intensity)
    assert difference(found[0], found[1]) < 1e-2


def test_a_mask_lies_where_its_coordinates_say() -> None:
    """Moved by one neuron it is the mask whose neurons are moved; a tenth of a neuron makes a tenth of that, nearly."""
    design = layers(input_gap=5e-6, detector_gap=20e-6)
    field = np.exp(-(places(48, 1e-6)[:, None] ** 2 + places(48, 1e-6) ** 2) / (7e-6) ** 2)[None]  # dark at the rim
    phase = np.zeros((32, 32))
    phase[8:24, 8:24] = RNG(3).uniform(0.0, 2.0 * np.pi, (16, 16))
    wide = np.pad(phase, 4)  # clear, beyond the camera's sight of the mask's edge
    size_m = 40e-6, 40e-6
    moved = second_opinion(design, [MaskInFile(wide, size_m, (1e-6, -2e-6))], field).intensity
    rolled = second_opinion(design, [MaskInFile(np.roll(wide, (1, -2), (0, 1)), size_m)], field).intensity
    here = second_opinion(design, [MaskInFile(wide, size_m)], field).intensity
    assert difference(moved, rolled) < 0.01
    assert difference(moved, here) > 0.2
    small = second_opinion(design, [MaskInFile(wide, size_m, (1e-8, 0.0))], field).intensity
    smaller = second_opinion(design, [MaskInFile(wide, size_m, (0.5e-8, 0.0))], field).intensity
    assert difference(small, here) == pytest.approx(2.0 * difference(smaller, here), rel=0.05)


def test_mirrored_and_scaled_masks_make_other_light() -> None:
    design = layers()
    field = np.exp(1j * RNG(5).random((1, 40, 40)))
    (mask,) = random_masks(design)
    right = second_opinion(design, [mask], field).intensity
    mirrored = mask._replace(phase_rad=mask.phase_rad[:, ::-1])
    larger = mask._replace(size_m=(1.02 * mask.size_m[0], 1.02 * mask.size_m[1]))
    for wrong in (mirrored, larger):
        assert difference(second_opinion(design, [wrong], field).intensity, right) > 0.05
    flipped = second_opinion(design, [mirrored], field[:, :, ::-1]).intensity[:, :, ::-1]
    np.testing.assert_allclose(flipped, right, atol=1e-9 * right.max())


def test_rectangular_pixels_are_as_many_square_ones() -> None:
    design = layers()
    field = np.exp(1j * RNG(6).random((1, 36, 36)))
    phase = RNG(7).uniform(0.0, 2.0 * np.pi, (16, 32))
    tall = second_opinion(design, [MaskInFile(phase, (32e-6, 32e-6))], field).intensity
    square = second_opinion(design, [MaskInFile(phase.repeat(2, 0), (32e-6, 32e-6))], field).intensity
    np.testing.assert_allclose(tall, square, atol=1e-9 * square.max())


def test_gaps_between_clear_neurons_are_clear_or_dark() -> None:
    whole, clear, dark = (
        second_opinion(design, [flat(design)], np.ones((1, 32, 32))).intensity
        for design in (layers(), layers(fill_factor=0.25, gaps="clear"), layers(fill_factor=0.25))
    )
    np.testing.assert_allclose(clear, whole, atol=1e-9)
    assert dark.mean() == pytest.approx(whole.mean() / 16.0, rel=0.2)  # the light that goes straight on


def test_no_mask_too_many_and_no_more_than_memory_holds() -> None:
    design = layers()
    field = np.ones((1, 32, 32))
    with pytest.raises(UsageError, match=r"2 masks(.|\n)*the 1 that light passes"):
        second_opinion(design, random_masks(design, 2), field)
    with pytest.raises(UsageError, match="second opinion"):
        second_opinion(design, random_masks(design), field, memory_bytes=10**5)
    scarce = second_opinion(design, random_masks(design), field, memory_bytes=8 * 10**6)
    assert scarce.samples < second_opinion(design, random_masks(design), field).samples
    assert "fewer samples than the steepest light needs" in scarce.how


def image_line(points: np.ndarray, line: np.ndarray, fill: float) -> np.ndarray:
    """One dimension of a 4-f image with a separable filter, by sums over 400 places in each point: (samples, 40)."""
    count, pitch = len(points), 1e-6
    fine = (np.arange(400) + 0.5) / 400.0 - 0.5
    frequency = ((np.arange(count) - count // 2)[:, None] + fine * np.sqrt(fill)) / (count * pitch)
    weight = np.sqrt(fill) / (count * pitch) / 400.0 * (np.abs(frequency) <= 0.5 / pitch)
    spectrum = np.exp(-2j * np.pi * frequency.ravel()[:, None] * places(len(line), pitch)) @ line * pitch
    behind = spectrum * (points[:, None] * weight).ravel()
    at = places(12, pitch)[:, None] + ((np.arange(40) + 0.5) / 40.0 - 0.5) * pitch
    return (np.exp(2j * np.pi * at.ravel()[:, None] * frequency.ravel()) @ behind).reshape(12, 40)


@pytest.mark.parametrize(("padding", "fill"), [(1.0, 1.0), (1.5, 1.0), (1.0, 0.6)])
def test_a_filters_squares_are_integrated(padding: float, fill: float) -> None:
    """A separable filter and object make a separable image. The pupil's circle holds all points here."""
    count = round(12 * padding)
    design = lenses(padding=padding, fill_factor=fill, radius=2.0 * count)
    turns = RNG(8).uniform(0.0, 2.0 * np.pi, (2, count))
    objects = np.exp(1j * RNG(9).uniform(0.0, 2.0, (2, 24)))
    objects -= objects.mean(axis=1, keepdims=True)  # so that it is dark beyond
    mask = MaskInFile(turns[0][:, None] + turns[1], mask_size_m(design))
    found = second_opinion(design, [mask], (objects[0][:, None] * objects[1])[None]).intensity[0]
    y, x = (
        (np.abs(image_line(np.exp(1j * t), o, fill)) ** 2).mean(axis=1) for t, o in zip(turns, objects, strict=True)
    )
    assert difference(found, y[:, None] * x) < 2e-3


def test_an_endless_beam_through_a_uniform_object_meets_the_point_on_the_axis() -> None:
    design, turns = lenses(), RNG(8).uniform(0.0, 2.0 * np.pi, (12, 12))
    size = mask_size_m(design)
    moved = [MaskInFile(turns, size, (by * size[0] / 12, 0.0)) for by in (0.0, 0.4, -1.0)]
    field = np.full((1, 24, 24), 0.6 + 0.8j)
    for mask in moved:
        np.testing.assert_allclose(second_opinion(design, [mask], field).intensity, 1.0, rtol=1e-9)
    narrow = lenses(fill_factor=0.36)
    for by, seen in ((0.0, 1.0), (0.29, 1.0), (0.31, 0.0)):
        mask = MaskInFile(turns, size, (0.0, by * size[1] / 12))
        np.testing.assert_allclose(second_opinion(narrow, [mask], field).intensity, seen, atol=1e-9)


def test_a_clear_filter_images_the_object() -> None:
    design = lenses(neurons=(16, 24), radius=100.0)
    field = np.exp(-(places(32, 1e-6)[:, None] ** 2 + places(48, 1e-6) ** 2) / (4e-6) ** 2)[None]
    mask = MaskInFile(np.zeros((16, 24)), mask_size_m(design))
    found = second_opinion(design, [mask], field).intensity[0]
    expected = field[0, 8:24, 12:36] ** 2
    assert difference(found, expected) < 0.02  # of a sample's mean for its middle
    repeated = lenses(neurons=(16, 24), radius=100.0, surroundings="repeat")
    again = second_opinion(repeated, [mask], field[:, 8:24, 12:36])
    assert again.intensity.mean() == pytest.approx(expected.mean(), rel=1e-6)


def test_a_relief_of_wide_low_steps_is_a_thin_mask() -> None:
    design = layers(pitch=8e-6, neurons=(8, 8), input_gap=40e-6, detector_gap=60e-6, image_samples=8)
    thick = layers(pitch=8e-6, neurons=(8, 8), input_gap=40e-6, detector_gap=60e-6, image_samples=8, model="bpm")
    masks = masks_of_design(design, RNG(11).integers(0, 3, (1, 8, 8)) * np.pi / 4.0)
    field = np.ones((1, 96, 96))
    thin, marched = (second_opinion(each, masks, field).intensity for each in (design, thick))
    coarse = [one.reshape(8, 8, 8, 8).mean((1, 3)) for one in (thin, marched)]
    assert difference(coarse[1], coarse[0]) < 0.05


@pytest.mark.parametrize(
    "settings",
    [
        ("optics.layers=2",),
        ("optics.layers=2", "optics.surroundings=field-stop", "optics.fill_factor=0.8"),
        ("optics.layers=1", "optics.pitch=1.2 um", "optics.input_gap=20 um", "optics.detector_gap=20 um"),
    ],
)
def test_the_trained_model_of_layers_reads_the_same(settings: tuple[str, ...]) -> None:
    design = load_design(D2NN5, ("optics.neurons=64", "evaluation.overlap=16", *settings))
    assert reading_difference(design) < design.optics.accuracy


@pytest.mark.parametrize(
    "settings", [(), ("optics.fill_factor=0.8", "optics.gaps=clear"), ("optics.neurons=[64, 128]",)]
)
def test_the_trained_model_of_a_filter_reads_the_same(settings: tuple[str, ...], tmp_path: Path) -> None:
    usual = ("optics.neurons=64", "optics.rings=false", "evaluation.overlap=16")
    text = (ROOT / "designs" / "lff64.toml").read_text("utf-8").replace("radius = 128.0", "")
    design = load_design(write(tmp_path, text), (*usual, *settings))
    assert reading_difference(design) < design.optics.accuracy


def reading_difference(design: Design) -> float:
    """Of the camera's noiseless reading behind random masks, for an object of random phases."""
    optics, noise = build_microscope(design).optics, torch.Generator().manual_seed(0)
    optics.set_phases_rad(torch.rand(optics.detached_phases().shape, generator=noise) * (2.0 * np.pi))
    field = torch.exp(2j * np.pi * torch.rand((1, *optics.object_grid.shape), generator=noise))
    with torch.no_grad():
        trained = optics.intensity(field).double().numpy()
    amplitudes = optics.amplitudes()
    masks = masks_of_design(
        design, optics.detached_phases().numpy(), None if amplitudes is None else amplitudes.double().numpy()
    )
    ours = second_opinion(design, masks, field.numpy()).intensity
    side = design.detector.binning
    readings = [
        one.reshape(one.shape[0] // side, side, one.shape[1] // side, side).mean((1, 3))
        for one in (trained[0], ours[0])
    ]
    return difference(readings[0], readings[1])
