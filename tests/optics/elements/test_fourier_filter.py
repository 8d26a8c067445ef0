from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from opticdesign.errors import UsageError
from opticdesign.optics.elements import FourierFilter
from opticdesign.optics.field import Grid
from opticdesign.optics.scaled import scaled_fresnel

WAVELENGTH, FOCAL = 632.8e-9, 0.1
GRIDS = [Grid.square(64, 8e-6), Grid.square(63, 8e-6), Grid((48, 75), (9e-6, 6e-6))]


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))


def distance(result: Tensor, expected: Tensor) -> float:
    return (torch.linalg.vector_norm(result - expected) / torch.linalg.vector_norm(expected)).item()


def gaussian(grid: Grid, width_m: float, y0: float = 0.0, x0: float = 0.0) -> Tensor:
    y, x = grid.coordinates_m()
    return torch.exp(-((y - y0) ** 2 + (x - x0) ** 2) / width_m**2).to(torch.complex128)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("padding", [1.0, 1.5])
def test_clear_system_inverts_the_image_and_two_of_them_are_the_identity(grid: Grid, padding: float) -> None:
    system, field = FourierFilter(grid, WAVELENGTH, FOCAL, mode="none", padding=padding).double(), noise(2, *grid.shape)
    error = distance(system(field), field.flip((-2, -1)))
    assert error < 1e-10
    error = distance(system(system(field)), field)
    assert error < 1e-10


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_gaussian_filter_in_pupil_coordinates_widens_a_gaussian_by_theory(grid: Grid) -> None:
    """A pupil e^{−x²/s²} is a convolution with a Gaussian of width λf/(πs) in the object."""
    width, spot = 30e-6, 20e-6
    pupil = WAVELENGTH * FOCAL / (math.pi * spot)
    system = FourierFilter(grid, WAVELENGTH, FOCAL, mode="amplitude", padding=2.0).double()
    y, x = system.coordinates_m()
    with torch.no_grad():
        system.logit.copy_(torch.logit(torch.exp(-(y**2 + x**2) / pupil**2) / 2.0))
    wide = math.hypot(width, spot)
    expected = 0.5 * (width / wide) ** 2 * gaussian(grid, wide, -10e-6, 16e-6)
    error = distance(system(gaussian(grid, width, 10e-6, -16e-6)), expected)
    assert error < 1e-10


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_prism_in_the_pupil_moves_the_inverted_image(grid: Grid) -> None:
    """A known filter: e^{−2πi(ν_y a + ν_x b)} moves the object by (a, b), and the image by (−a, −b)."""
    system = FourierFilter(grid, WAVELENGTH, FOCAL, mode="phase").double()
    y, x = system.coordinates_m()
    rows, columns = 3 * grid.pitch_m[0], -5 * grid.pitch_m[1]
    with torch.no_grad():
        system.phase_rad.copy_(-2.0 * math.pi / (WAVELENGTH * FOCAL) * (y * rows + x * columns))
    field = noise(*grid.shape)
    error = distance(system(field), field.roll((3, -5), (0, 1)).flip((0, 1)))
    assert error < 1e-10


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_pupil_coordinates_are_where_a_tilted_wave_is_focused(grid: Grid) -> None:
    """The paraxial integral, which knows nothing of the filter, brings each frequency to x = λfν."""
    system = FourierFilter(grid, WAVELENGTH, FOCAL, mode="none")
    y, x = grid.coordinates_m()
    py, px = (axis.flatten() for axis in system.coordinates_m())
    row, column = len(py) // 2 + 4, len(px) // 2 - 7
    tilt = 2.0 * math.pi / (WAVELENGTH * FOCAL) * (y * py[row] + x * px[column])
    lens = -math.pi / (WAVELENGTH * FOCAL) * (y**2 + x**2)
    spot = Grid((129, 129), (WAVELENGTH * FOCAL / grid.extent_m[0] / 4, WAVELENGTH * FOCAL / grid.extent_m[1] / 4))
    focus = scaled_fresnel(torch.exp(1j * (tilt + lens)), grid, spot, WAVELENGTH, FOCAL)
    brightest = divmod(int(focus.abs().argmax()), 129)
    fy, fx = spot.coordinates_m()
    assert fy[brightest[0], 0].item() == pytest.approx(py[row].item(), rel=1e-9)
    assert fx[0, brightest[1]].item() == pytest.approx(px[column].item(), rel=1e-9)


def test_pinhole_in_the_pupil_passes_one_frequency_only() -> None:
    grid = Grid((16, 20), (1e-6, 1e-6))
    system = FourierFilter(grid, WAVELENGTH, FOCAL, mode="amplitude").double()
    y, x = grid.coordinates_m()
    waves = [torch.exp(2j * math.pi * (k * y / 16e-6 + m * x / 20e-6)) for k, m in ((2, -3), (1, 4), (0, 0))]
    with torch.no_grad():
        system.logit.fill_(-800.0)
        system.logit[8 + 2, 10 - 3] = 800.0
    error = distance(system(2.0 * waves[0] + waves[1] - 3.0 * waves[2]), 2.0 * waves[0].flip((0, 1)))
    assert error < 1e-10


@pytest.mark.parametrize("size", [32, 33, 64])
def test_half_the_samples_are_an_aperture_of_one_at_a_pitch_of_half_a_wavelength(size: int) -> None:
    grid = Grid.square(size, WAVELENGTH / 2)
    by_radius = FourierFilter(grid, WAVELENGTH, FOCAL, mode="none", radius=size / 2)
    by_aperture = FourierFilter(grid, WAVELENGTH, FOCAL, mode="none", numerical_aperture=1.0)
    assert torch.equal(by_radius.filter(), by_aperture.filter())
    y, x = by_radius.coordinates_m()
    expected = torch.sqrt(y**2 + x**2) <= FOCAL * (1.0 + 1e-9)
    assert torch.equal(by_radius.filter() > 0.5, expected)
    assert by_radius.filter().sum().item() == pytest.approx(math.pi * size**2 / 4, rel=0.02)


def test_circular_pupil_has_its_radius_and_lets_nothing_else_through() -> None:
    grid = Grid.square(64, 2e-6)
    system = FourierFilter(grid, WAVELENGTH, FOCAL, mode="none", radius=10.0).double()
    spectrum = torch.fft.fftshift(torch.fft.fft2(system(noise(64, 64)))).abs()
    k = torch.arange(64) - 32
    inside = k[:, None] ** 2 + k**2 <= 100
    # the image is inverted, which is the same for a pupil of that symmetry
    assert torch.all(spectrum[~inside] < 1e-9)
    assert torch.all(spectrum[inside] > 1e-9)


def test_what_is_learned_follows_the_mode() -> None:
    grid = Grid.square(8, 1e-6)
    names = {"amplitude+phase": {"logit", "phase_rad"}, "phase": {"phase_rad"}, "amplitude": {"logit"}, "none": set()}
    for mode, expected in names.items():
        system = FourierFilter(grid, WAVELENGTH, FOCAL, mode=mode)  # type: ignore[arg-type]
        assert {name for name, _ in system.named_parameters()} == expected


def test_start_of_a_filter_is_the_given_one() -> None:
    grid = Grid((6, 8), (1e-6, 1e-6))
    amplitude, phase = torch.linspace(0.1, 0.9, 48).reshape(6, 8), torch.linspace(-3, 3, 48).reshape(6, 8)
    system = FourierFilter(grid, WAVELENGTH, FOCAL, amplitude=amplitude, phase_rad=phase)
    torch.testing.assert_close(system.filter(), torch.polar(amplitude, phase))


@pytest.mark.parametrize(
    ("shape", "options"), [((8, 9), {"radius": 3.0}), ((8, 8), {"radius": 3.0, "numerical_aperture": 0.1})]
)
def test_radius_in_points_needs_a_square_window(shape: tuple[int, int], options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="give numerical_aperture alone"):
        FourierFilter(Grid(shape, (1e-6, 1e-6)), WAVELENGTH, FOCAL, **options)
