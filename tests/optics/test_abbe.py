from __future__ import annotations

import math
import resource
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.abbe import added_intensities, pupil_function, squares_met, squares_response, zernike
from opticdesign.optics.illumination import condenser, lamps, mutual_coherence, ringed_condenser

WAVELENGTH = 550e-9


def jinc(v: float) -> float:
    """2J₁(v)/v."""
    argument = torch.tensor(v, dtype=torch.float64)
    return 1.0 if v == 0.0 else (2.0 * torch.special.bessel_j1(argument) / argument).item()


@pytest.mark.parametrize("inner", [0.0, 0.7])
def test_coherence_of_a_disc_and_an_annulus_follows_van_cittert_and_zernike(inner: float) -> None:
    source, radius = ringed_condenser(0.5, 0.6, 8, inner), 0.3
    for v in (0.0, 0.7, 1.8, 3.0, 3.8317, 5.0, 6.5):
        distance = v * WAVELENGTH / (2.0 * math.pi * radius)
        expected = (jinc(v) - inner**2 * jinc(inner * v)) / (1.0 - inner**2)
        for along_y, along_x in ((1.0, 0.0), (0.6, -0.8)):
            place = torch.tensor([along_y * distance, along_x * distance], dtype=torch.float64)
            found = mutual_coherence(source, place[0], place[1], WAVELENGTH)
            assert abs(found.item() - expected) < 1e-3


@pytest.mark.parametrize("inner", [0.0, 0.5, 0.9])
def test_rings_fill_their_disc_evenly_and_opposite_points_stand_for_each_other(inner: float) -> None:
    source = ringed_condenser(0.5, 0.6, 4, inner)
    r2 = source.sines.square().sum(1) / 0.3**2
    assert float(r2.max()) < 1.0 and float(r2.min()) > inner**2
    for power in range(1, 8):  # ∫r²ᵏ over the annulus
        expected = (1.0 - inner ** (2 * power + 2)) / ((power + 1) * (1.0 - inner**2))
        assert (source.weights * r2**power).sum().item() == pytest.approx(expected, rel=1e-12)
    across = torch.cdist(source.sines, -source.sines)
    assert float(across.min(1).values.max()) < 1e-7
    assert torch.equal(ringed_condenser(0.0, 0.6, 4).sines, torch.zeros((1, 2), dtype=torch.float64))
    with pytest.raises(UsageError, match="one ring or more"):
        ringed_condenser(0.5, 0.6, 0)


def test_lamps_are_points_in_units_of_the_condenser_and_dark_ones_are_none() -> None:
    source = lamps(torch.tensor([[0.0, 0.5], [1.0, 0.0], [0.2, 0.2]]), torch.tensor([3.0, 1.0, 0.0]), 0.4)
    torch.testing.assert_close(source.sines, torch.tensor([[0.0, 0.2], [0.4, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(source.weights, torch.tensor([0.75, 0.25], dtype=torch.float64))
    with pytest.raises(UsageError, match="one of them above"):
        lamps(torch.zeros((2, 2)), torch.zeros(2), 0.4)
    with pytest.raises(UsageError, match="sines of 1 or less"):
        lamps(torch.ones((1, 2)), torch.ones(1), 0.8)


def overlap(frequency: float, coherence: float, turns: float, part: Callable[[float], float]) -> float:
    """∫ part(turns·s·f) over where a disc of radius S and a unit disc at −f overlap, over the disc's area.

    The weak-object transfer function for a disc as source as an integral along f, of chords across it.
    """

    def chord(s: float) -> float:
        inside = min(coherence**2 - s**2, 1.0 - (s + frequency) ** 2)
        return 2.0 * math.sqrt(max(inside, 0.0)) * part(turns * (frequency**2 + 2.0 * s * frequency))

    edges = sorted({-coherence, min(coherence, 1.0 - frequency), coherence})
    crossing = (1.0 - frequency**2 - coherence**2) / (2.0 * frequency)
    breaks = [crossing] if edges[0] < crossing < edges[-1] else None
    total = quad(chord, -coherence, coherence, points=breaks, limit=400, epsabs=1e-10)[0]
    return float(total / (math.pi * coherence**2))


def weak_images(frequency: float, coherence: float, depth: float, aperture: float = 0.02) -> tuple[complex, complex]:
    """Transfer of a weak phase and of a weak absorption by the Abbe sum, of a frequency over NA/λ.

    A spectrum of three waves in a frequency window whose cells are a hundredth of the pupil, all points at once.
    """
    cutoff, source = aperture / WAVELENGTH, condenser(coherence, aperture, 4000)
    behind, straight, ahead = pupil_function(
        source.sines[:, :1] / WAVELENGTH,
        source.sines[:, 1:] / WAVELENGTH + torch.tensor([[-frequency, 0.0, frequency]], dtype=torch.float64) * cutoff,
        wavelength_m=WAVELENGTH,
        index=1.0,
        numerical_aperture=aperture,
        defocus_m=depth * WAVELENGTH / aperture**2,
        rim_per_m=0.01 * cutoff,
    ).unbind(-1)
    # of 1 + ε·factor·cos: the part of |A|² at +f that is linear in ε
    phase, absorption = (
        (source.weights * (factor * ahead * straight.conj() + (factor * behind * straight.conj()).conj())).sum().item()
        for factor in (1j, -1.0)
    )
    return phase, absorption


@pytest.mark.parametrize("frequency", [0.3, 0.8, 1.2, 1.45])
@pytest.mark.parametrize(("coherence", "depth"), [(0.5, 0.0), (0.5, 0.7), (0.2, 1.5)])
def test_weak_objects_are_transferred_as_the_overlap_of_source_and_pupil(
    frequency: float, coherence: float, depth: float
) -> None:
    """N. Streibl, Three-dimensional imaging by a microscope, J. Opt. Soc. Am. A 2, 121 (1985), in two dimensions."""
    phase, absorption = weak_images(frequency, coherence, depth)
    turns = -math.pi * depth  # −πλz·|f|² in units of NA/λ
    sine, cosine = (overlap(frequency, coherence, turns, part) for part in (math.sin, math.cos))
    assert abs(phase - -2.0 * sine) < 1e-3
    assert abs(absorption - -2.0 * cosine) < 1e-3
    if frequency <= 1.0 - coherence:  # all of the source in both pupils: a jinc
        faded = jinc(2.0 * math.pi * depth * frequency * coherence)
        assert abs(phase - 2.0 * math.sin(math.pi * depth * frequency**2) * faded) < 1e-3


def test_gradients_of_the_sum_are_those_of_finite_differences() -> None:
    noise = torch.Generator().manual_seed(0)
    spectrum = torch.randn((3, 4), dtype=torch.complex128, generator=noise)
    fy = torch.fft.fftfreq(3, 0.2e-6, dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(4, 0.2e-6, dtype=torch.float64)[None]
    source = condenser(0.4, 0.6, 3)

    def seen(spectrum: Tensor, weights: Tensor, defocus_um: Tensor, phase: Tensor) -> Tensor:
        def image(point: int) -> Tensor:
            tilt = source.sines[point] / WAVELENGTH
            passed = pupil_function(
                fy + tilt[0],
                fx + tilt[1],
                wavelength_m=WAVELENGTH,
                index=1.0,
                numerical_aperture=0.6,
                defocus_m=defocus_um * 1e-6,
                rim_per_m=0.5e6,
            )
            result: Tensor = torch.fft.ifft2(spectrum * passed * torch.exp(1j * phase))
            return result

        return added_intensities(weights, image)

    given = (
        spectrum.requires_grad_(),
        torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64, requires_grad=True),
        torch.tensor(1.3, dtype=torch.float64, requires_grad=True),
        torch.randn((3, 4), dtype=torch.float64, generator=noise).requires_grad_(),
    )
    assert torch.autograd.gradcheck(seen, given)


def test_memory_does_not_grow_with_the_points_of_the_source() -> None:
    """Peak of the tensors that autograd keeps while the sum is built and taken back."""
    field = torch.randn((256, 256), dtype=torch.complex64, generator=torch.Generator().manual_seed(0))

    def held(points: int) -> int:
        kept, most = 0, 0
        learned = field.clone().requires_grad_()

        def pack(tensor: Tensor) -> Tensor:
            nonlocal kept, most
            if tensor.numel() > 1:
                kept += tensor.numel() * tensor.element_size()
            most = max(most, kept)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            weights = torch.full((points,), 1.0 / points)
            total = added_intensities(weights, lambda point: torch.fft.ifft2(learned * (1.0 + point)))
        return most if total.requires_grad else -1

    assert held(40) == held(2) < field.numel() * 8


def test_peak_memory_of_training_is_flat_in_points() -> None:
    learned = torch.randn(
        (512, 512), dtype=torch.complex64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()

    def peak(points: int) -> int:
        weights = torch.full((points,), 1.0 / points)
        image = added_intensities(weights, lambda point: torch.fft.ifft2(learned * (1.0 + point)))
        image.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert peak(100) - peak(5) < 30 * 8 * 512**2  # all of them would be 200 images


def test_a_source_without_points_is_refused() -> None:
    with pytest.raises(UsageError, match="no points"):
        added_intensities(torch.zeros(0), lambda _: torch.zeros((1, 1)))


def test_zernike_polynomials_are_orthonormal_over_the_disc() -> None:
    # Gauss in r², even steps in the angle: exact for these powers
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(12))
    r2, weights = (nodes + 1.0) / 2.0, weights / 2.0
    angles = torch.arange(24, dtype=torch.float64) * (2.0 * math.pi / 24)
    rows = []
    for term in range(1, 23):
        values = [
            zernike(term, (r * torch.sin(a)).reshape(1, 1), (r * torch.cos(a)).reshape(1, 1)).item()
            for r in r2.sqrt()
            for a in angles
        ]
        rows.append(torch.tensor(values, dtype=torch.float64))
    table = torch.stack(rows)
    measure = (weights[:, None] * torch.full((24,), 1.0 / 24, dtype=torch.float64)).flatten()
    torch.testing.assert_close(table * measure @ table.T, torch.eye(22, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("term", "form"),
    [
        (2, lambda y, x: 2.0 * x),
        (3, lambda y, x: 2.0 * y),
        (4, lambda y, x: math.sqrt(3.0) * (2.0 * (x * x + y * y) - 1.0)),
        (5, lambda y, x: math.sqrt(6.0) * 2.0 * x * y),
        (6, lambda y, x: math.sqrt(6.0) * (x * x - y * y)),
        (8, lambda y, x: math.sqrt(8.0) * (3.0 * (x * x + y * y) - 2.0) * x),
        (11, lambda y, x: math.sqrt(5.0) * (6.0 * (x * x + y * y) ** 2 - 6.0 * (x * x + y * y) + 1.0)),
    ],
)
def test_zernike_polynomials_are_those_of_nolls_table(term: int, form: Callable[[float, float], float]) -> None:
    y, x = torch.tensor([[0.3], [-0.7]], dtype=torch.float64), torch.tensor([[0.5, -0.1]], dtype=torch.float64)
    expected = torch.tensor([[form(a, b) for b in x[0].tolist()] for a in y[:, 0].tolist()], dtype=torch.float64)
    torch.testing.assert_close(zernike(term, y, x), expected)


def test_waves_meet_the_square_that_they_cross_and_nothing_beyond() -> None:
    values = torch.tensor([[1.0, 2.0, 5.0], [3.0, 4.0, 6.0], [7.0, 8.0, 9.0]], dtype=torch.complex128)
    y = torch.tensor([-1.6, -1.4, 0.0, 0.4], dtype=torch.float64)
    met = squares_met(values, y, torch.tensor([-0.6, 0.2, 1.6], dtype=torch.float64))
    assert met.real.tolist() == [[0.0, 0.0, 0.0], [1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [3.0, 4.0, 0.0]]


def test_the_response_of_squares_is_the_integral_over_each() -> None:
    values = torch.randn((3, 5), dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    y, x = (torch.tensor([value], dtype=torch.float64) for value in (0.7, -0.4))
    found = squares_response(values, y, x, 0.3).item()
    fine = 200  # samples across a square
    places = [(torch.arange(n * fine, dtype=torch.float64) + 0.5) * 0.3 / fine - n * 0.15 for n in (3, 5)]
    wide = values.repeat_interleave(fine, 0).repeat_interleave(fine, 1)
    turns = torch.exp(2j * math.pi * (places[0][:, None] * y + places[1] * x))
    expected = (wide * turns).sum().item() * (0.3 / fine) ** 2
    assert found == pytest.approx(expected, rel=1e-4)
