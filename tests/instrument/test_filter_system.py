from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opticdesign.design import Design, Stage, load_design
from opticdesign.errors import DesignError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.families.fourier_filter import filter_window
from opticdesign.instrument.building import build_microscope, build_optics, build_process, camera_period
from opticdesign.instrument.filter_system import FilterSystem
from opticdesign.learning.training import Trainer, TrainingPosition, load_weights
from opticdesign.optics.elements import FourierFilter, ring_means, ring_of_point, zernike_phase
from opticdesign.optics.field import Grid, phasor
from opticdesign.storage import load_checkpoint, save_checkpoint

ROOT = Path(__file__).parents[2]
MODES = ("amplitude+phase", "phase", "amplitude", "none")
OPTICS = """\
[optics]
kind = "fourier-filter"
neurons = [32, 32]
pitch = "316.4 nm"
focal = "10 mm"
surroundings = "repeat"
samples = 1
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged design with a filter in the place of its layers, and one stage that trains both parts."""
    text = (ROOT / "designs" / "d2nn5.toml").read_text("utf-8")
    text = text[: text.index("[optics]")] + OPTICS + text[text.index("[fabrication]") :]
    text = text[: text.index("[training.stages.optics]")] + text[text.index("[training.stages.joint]") :]
    path = tmp_path_factory.mktemp("designs") / "filter.toml"
    path.write_text(text.replace("binning = 8", "binning = 4").replace("overlap = 64", "overlap = 8"), "utf-8")
    return path


def with_filter(base: Path, *settings: str) -> Design:
    return load_design(base, ["decoder.channels=8", "training.batch=2", "training.stages.joint.steps=6", *settings])


def filter_of(design: Design) -> FilterSystem:
    optics = build_optics(design)
    assert isinstance(optics, FilterSystem)
    return optics


def draw_batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    coarse = torch.rand((2, 1, 5, 5), generator=generator)
    phase = 3.0 * torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic", align_corners=True)[:, 0]
    return torch.polar(torch.ones((2, 32, 32)), phase), phase


def trainer(design: Design) -> Trainer:
    return Trainer(design, build_microscope(design), draw_batch, torch.device("cpu"))


def spread_in_rings(values: Tensor, window: Grid) -> float:
    return (values - ring_means(values, ring_of_point(window))).abs().max().item()


@pytest.mark.parametrize(("side", "padding"), [(32, 1.0), (33, 1.0), (32, 1.5)])
def test_rings_are_a_point_wide_and_round_the_axis(base: Path, side: int, padding: float) -> None:
    window = (
        filter_window(with_filter(base, f"optics.padding={padding}").optics) if side == 32 else Grid.square(side, 1e-6)
    )
    n = window.shape[0]
    ring = ring_of_point(window)
    k = torch.arange(n) - n // 2
    assert torch.equal(ring, torch.round(torch.sqrt((k[:, None] ** 2 + k**2).double())).long())
    assert ring[n // 2, n // 2] == 0


def test_rings_of_a_window_that_is_not_square_are_circles_in_the_pupil() -> None:
    system = FourierFilter(Grid((32, 64), (1e-6, 1e-6)), 632.8e-9, 0.1, mode="none")
    y, x = system.coordinates_m()
    ring = ring_of_point(system.window)
    wide = max(system.pitch_m)
    torch.testing.assert_close(ring.double(), torch.sqrt(y**2 + x**2) / wide, rtol=0.0, atol=0.5 + 1e-9)


def test_means_of_rings_are_those_of_their_points() -> None:
    window = Grid.square(9, 1e-6)
    values = torch.rand((9, 9), generator=torch.Generator().manual_seed(0))
    ring = ring_of_point(window)
    result = ring_means(values, ring)
    for number in range(int(ring.max()) + 1):
        torch.testing.assert_close(result[ring == number], values[ring == number].mean().expand((ring == number).sum()))


@pytest.mark.parametrize("start", ["clear", "random", "rippled", "zernike"])
@pytest.mark.parametrize("rings", [False, True])
def test_filter_starts_as_its_design_says(base: Path, start: str, rings: bool) -> None:
    settings = (f"optics.start={start}", f"optics.rings={str(rings).lower()}")
    design = with_filter(base, *settings, "optics.padding=1.5")
    optics = filter_of(design)
    (phase,) = optics.detached_phases()
    assert phase.shape == optics.element.window.shape == (48, 48)
    if start == "clear":
        assert torch.count_nonzero(phase) == 0
    elif start == "zernike":
        assert torch.equal(phase, zernike_phase((48, 48)))
    else:
        spread = 2.0 * math.pi / math.sqrt(12.0) if start == "random" else 0.1
        assert phase.std().item() == pytest.approx(spread, rel=0.4 if rings else 0.1)
        assert not torch.equal(
            phase, filter_of(with_filter(base, *settings, "optics.padding=1.5", "training.seed=1")).detached_phases()[0]
        )
    assert (spread_in_rings(phase, optics.element.window) < 1e-5) == (rings or start in ("clear", "zernike"))
    assert torch.equal(phase, filter_of(design).detached_phases()[0])


@pytest.mark.parametrize("mode", MODES[:3])
@pytest.mark.parametrize("rings", [False, True])
def test_training_keeps_rings_alike_and_only_where_asked(base: Path, mode: str, rings: bool) -> None:
    settings = (
        f"optics.mode={mode}",
        "optics.start=random",
        f"optics.rings={str(rings).lower()}",
        "optics.padding=1.5",
    )
    training = trainer(with_filter(base, *settings, "training.stages.joint.optics_rate=0.3"))
    optics = training.microscope.optics
    assert isinstance(optics, FilterSystem)
    before = {name: value.detach().clone() for name, value in optics.element.named_parameters()}
    list(training.steps())
    assert set(before) == {{"amplitude": "logit", "phase": "phase_rad"}[part] for part in mode.split("+")}
    for name, value in optics.element.named_parameters():
        assert (value - before[name]).abs().max() > 0.1
        assert (spread_in_rings(value.detach(), optics.element.window) < 1e-4) == rings


@pytest.mark.parametrize("rounding", ["soft", "gumbel"])
def test_rings_stay_alike_while_levels_are_soft_or_drawn(base: Path, rounding: str) -> None:
    design = with_filter(base, "optics.mode=phase", "optics.start=random", "optics.rings=true", "fabrication.levels=4")
    options = {"train": ["optics"], "loss": "intensity-l1", "steps": 8, "optics_rate": 0.3, "quantised": True}
    stage = Stage.model_validate(options | {"rounding": rounding, "temperature": [1.0, 0.1], "variation": 0.01})
    training = trainer(with_stage(design, stage))
    optics = training.microscope.optics
    assert isinstance(optics, FilterSystem)
    before = optics.detached_phases().clone()
    list(training.steps())
    assert (optics.detached_phases() - before).abs().max() > 0.1
    assert spread_in_rings(optics.detached_phases()[0], optics.element.window) < 1e-4
    noise = optics.alike(torch.rand((7, 32, 32), generator=torch.Generator().manual_seed(0)))
    assert max(spread_in_rings(plane, optics.element.window) for plane in noise) < 1e-5
    assert len(torch.unique(noise[0])) == len(torch.unique(ring_of_point(optics.element.window)))


def with_stage(design: Design, stage: Stage) -> Design:
    return design.model_copy(update={"training": design.training.model_copy(update={"stages": {"optics": stage}})})


def test_learning_a_filter_makes_its_image_like_the_phase(base: Path) -> None:
    """Without a filter the image of a phase object is bright everywhere."""
    design = with_filter(base, "optics.mode=phase", "optics.start=rippled", "training.stages.joint.steps=60")
    stage = Stage(train=("optics",), loss="intensity-l1", steps=60, optics_rate=0.1)
    training = design.training.model_copy(update={"stages": {"optics": stage}})
    reports = list(trainer(design.model_copy(update={"training": training})).steps())
    assert sum(report.loss for report in reports[-10:]) < 0.7 * sum(report.loss for report in reports[:10])


@pytest.mark.parametrize("mode", MODES[:2])
def test_quantised_filter_has_the_phases_its_process_makes_and_its_own_amplitude(base: Path, mode: str) -> None:
    design = with_filter(base, f"optics.mode={mode}", "optics.start=random", "fabrication.levels=4")
    optics, process = filter_of(design), build_process(design)
    made = process.phase_of_level(process.level_of_phase(optics.detached_phases()))
    with torch.no_grad():
        fields, _ = draw_batch(0)
        seen = optics(fields, process)
        transmission = optics.element.filter(process)
        amplitude = optics.element.filter().abs()
        torch.testing.assert_close(transmission, torch.polar(amplitude, made[0]), atol=1e-6, rtol=1e-5)
        assert not torch.allclose(seen, optics(fields), atol=1e-2)
        optics.set_phases_rad(made)
        torch.testing.assert_close(optics(fields), seen, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_phases_are_replaced_whatever_is_learned(base: Path, mode: str) -> None:
    design = with_filter(base, "optics.start=zernike")
    optics = design.optics.model_copy(update={"mode": mode})
    system = filter_of(design.model_copy(update={"optics": optics}))
    phases = torch.rand((1, 32, 32), generator=torch.Generator().manual_seed(1))
    before = system.intensity(draw_batch(0)[0])
    system.set_phases_rad(phases)
    assert torch.equal(system.detached_phases(), phases)
    assert not torch.allclose(system.intensity(draw_batch(0)[0]), before)
    phases += 1.0
    assert not torch.equal(system.detached_phases(), phases)


def test_zernike_filter_makes_phase_visible_and_a_clear_one_does_not(base: Path) -> None:
    """In the image of a weak phase object behind Zernike's plate the intensity is 1 + 2φ."""
    phase = 0.05 * torch.sin(2.0 * math.pi * 3.0 * torch.arange(32) / 32)[None, :].expand(32, 32)
    field = torch.polar(torch.ones((32, 32)), phase)[None]
    clear, plate = (
        filter_of(with_filter(base, f"optics.start={start}", "optics.mode=phase")) for start in ("clear", "zernike")
    )
    with torch.no_grad():
        torch.testing.assert_close(clear.intensity(field)[0], torch.ones(32, 32), atol=1e-4, rtol=0.0)
        torch.testing.assert_close(plate.intensity(field)[0], 1.0 + 2.0 * phase, atol=5e-3, rtol=0.0)


def test_image_is_upright(base: Path) -> None:
    optics = filter_of(with_filter(base, "optics.start=clear", "optics.mode=phase"))
    field = torch.zeros((1, 32, 32), dtype=torch.complex64)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    field[0] = torch.exp(-((y - 9) ** 2 + (x - 20) ** 2) / 18.0)
    with torch.no_grad():
        assert divmod(int(optics.intensity(field)[0].argmax()), 32) == (9, 20)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [1.0, 1.5])
def test_checkpoint_of_a_filter_reads_back_bit_for_bit(base: Path, tmp_path: Path, mode: str, padding: float) -> None:
    learned = 'train = ["decoder"]' if mode == "none" else 'train = ["optics", "decoder"], optics_rate = 0.1'
    stage = f'{{loss = "l1", steps = 4, decoder_rate = 0.01, {learned}}}'
    settings = (f"optics.mode={mode}", f"optics.padding={padding}", f"training.stages={{joint = {stage}}}")
    design = load_design(base, ["decoder.channels=8", "training.batch=2", *settings])
    first = trainer(design)
    steps = first.steps()
    next(steps), next(steps)
    tensors, position, _ = load_checkpoint(save_checkpoint(tmp_path, first.state(), vars(first.position)))
    list(steps)
    second = trainer(design)
    second.restore(tensors, TrainingPosition(**position))
    list(second.steps())
    ours, theirs = first.state(), second.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    loaded = build_microscope(design)
    load_weights(loaded, theirs)
    fields, _ = draw_batch(9)
    with torch.no_grad():
        assert torch.equal(loaded(fields), first.microscope.eval()(fields))


@pytest.mark.parametrize("mode", MODES[:3])
@pytest.mark.parametrize("padding", [1.0, 1.4])
def test_gradient_of_the_filtered_field_is_that_of_finite_differences(mode: str, padding: float) -> None:
    grid = Grid((4, 5), (316.4e-9, 316.4e-9))
    generator = torch.Generator().manual_seed(0)
    shape = FourierFilter(grid, 632.8e-9, 0.01, padding=padding).window.shape
    element = FourierFilter(
        grid,
        632.8e-9,
        0.01,
        mode=mode,  # type: ignore[arg-type]
        numerical_aperture=0.8,
        padding=padding,
        amplitude=0.2 + 0.6 * torch.rand(shape, generator=generator),
        phase_rad=3.0 * torch.rand(shape, generator=generator),
    ).double()
    field = torch.randn((2, 4, 5), dtype=torch.complex128, generator=generator).requires_grad_()
    named = [f"element.{name}" for name, _ in element.named_parameters()]

    def filtered(field: Tensor, *values: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(_Filtered(element), dict(zip(named, values, strict=True)), (field,))
        return torch.view_as_real(result)

    values = [parameter.detach().clone().requires_grad_() for parameter in element.parameters()]
    assert torch.autograd.gradcheck(filtered, (field, *values))


class _Filtered(torch.nn.Module):
    """`FourierFilter.filtered` as the forward of a module, whose parameters can be given."""

    def __init__(self, element: FourierFilter) -> None:
        super().__init__()
        self.element = element

    def forward(self, field: Tensor) -> Tensor:
        return self.element.filtered(field)


def test_gradient_of_a_quantised_filter_passes_the_rounding(base: Path) -> None:
    design = with_filter(base, "optics.mode=phase", "optics.start=random")
    optics = filter_of(design)
    optics.intensity(draw_batch(0)[0], build_process(design))[..., :8].sum().backward()
    gradient = optics.element.phase_rad.grad
    assert gradient is not None
    # in the corners outside the pupil nothing passes
    assert torch.equal(gradient != 0.0, optics.element.filter().abs() > 0.0)


def test_power_scales_the_image_of_a_microscope_without_decoder(base: Path) -> None:
    stage = '{optics = {train = ["optics"], loss = "intensity-l1", steps = 1, optics_rate = 0.1}}'
    settings = ('decoder={kind = "none"}', "detector.binning=1", f"training.stages={stage}")
    microscope = build_microscope(load_design(base, settings))
    fields, _ = draw_batch(0)
    with torch.no_grad():
        microscope.brightness.powers.fill_(0.5)
        torch.testing.assert_close(microscope(fields), 0.25 * microscope.optics.intensity(fields))


def test_filter_of_a_medium_has_its_wavelength(base: Path) -> None:
    air, water = (
        filter_of(with_filter(base, f"fabrication.medium={medium}")).element for medium in ("vacuum", "water")
    )
    assert water.wavelength_m == pytest.approx(air.wavelength_m / 1.3317, rel=1e-3)
    # half the band is a smaller aperture there, and the same points of the filter
    assert torch.equal(water.filter().abs() > 0, air.filter().abs() > 0)


def test_process_of_a_filter_is_that_of_the_design(base: Path) -> None:
    design = with_filter(base, "fabrication.levels=16")
    assert isinstance(build_process(design), FabricationProcess)
    assert filter_of(design).mask_pitch_m == pytest.approx((632.8e-9 * 10e-3 / (32 * 316.4e-9),) * 2)


@pytest.mark.parametrize(
    ("settings", "period"),
    [
        (("optics.cell=32", "detector.binning=8"), 4),
        (("optics.cell=32", "detector.binning=16"), 2),
        (("optics.cell=16", "detector.binning=16"), 1),
        (("optics.cell=16", "optics.image_samples=2", "optics.neurons=64", "detector.binning=8"), 4),
    ],
)
def test_camera_period_is_that_of_the_cells_in_pixels(settings: tuple[str, ...], period: int) -> None:
    assert camera_period(load_design(ROOT / "designs" / "d2nn5.toml", settings)) == period


def test_camera_period_of_masks_that_do_not_repeat_and_of_filters_is_one(base: Path) -> None:
    design = load_design(ROOT / "designs" / "d2nn5.toml")
    free = design.model_copy(update={"optics": design.optics.model_copy(update={"cell": None})})
    assert camera_period(free) == camera_period(with_filter(base)) == 1


def test_a_filter_that_learns_nothing_trains_no_optics(base: Path) -> None:
    with pytest.raises(DesignError, match="of this filter nothing is learned"):
        with_filter(base, "optics.mode=none")


def brute_image(filter_rad: Tensor, field: Tensor, ny: int, nx: int, beam: Tensor | float = 0.0) -> Tensor:
    """Light on samples of the image behind squares in a pupil, |A|² (ny, nx), by sums over waves and no transform.

    Args:
        filter_rad: phases of the squares (py, px), zero frequency in the middle.
        field: the object, dark beyond, (y, x); waves are sampled sixteen times across each square.
        ny: rows of the image, in the middle of the object.
        nx: columns.
        beam: beyond the object there is this.
    """
    lines = []
    for points, count, size in zip(filter_rad.shape, field.shape, (ny, nx), strict=True):
        fine = 16 * points
        wave = ((torch.arange(fine, dtype=torch.float64) + 0.5) / 16 - 0.5 - points // 2) / points  # cycles a sample
        inner, outer = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2.0 for n in (count, size))
        lines.append(
            (phasor(-2.0 * math.pi * wave[:, None] * inner), phasor(2.0 * math.pi * outer[:, None] * wave) / fine)
        )
    (to_y, from_y), (to_x, from_x) = lines
    squares = phasor(filter_rad.double().repeat_interleave(16, 0).repeat_interleave(16, 1))
    known = field.to(torch.complex128) - beam
    image = from_y @ (squares * (to_y @ known @ to_x.mT)) @ from_x.mT
    middle = filter_rad.shape[0] // 2, filter_rad.shape[1] // 2
    return (image + beam * phasor(filter_rad[middle].double())).abs() ** 2


@pytest.mark.parametrize("shape", [(16, 16), (15, 24)])
@pytest.mark.parametrize("margin", [0, 5])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("endless", [False, True])
def test_image_behind_squares_in_a_pupil_neither_repeats_nor_wraps(
    shape: tuple[int, int], margin: int, samples: int, endless: bool
) -> None:
    grid, generator = Grid(shape, (1e-6, 2e-6)), torch.Generator().manual_seed(3)
    phase = 6.28 * torch.rand(shape, generator=generator)
    element = FourierFilter(grid, 632.8e-9, 0.1, mode="phase", phase_rad=phase)
    whole = grid.with_shape((shape[0] + 2 * margin, shape[1] + 2 * margin))
    field = phasor(torch.rand((1, *whole.shape), generator=generator))
    with torch.no_grad():
        light = FilterSystem(element, whole, endless=endless, samples=samples)(field)[0].abs() ** 2
    middle = slice(samples // 2, None, samples)  # an odd number has samples in the middle of those of the image
    expected = brute_image(phase, field[0], *shape, field.mean() if endless else 0.0).to(light)
    error = torch.linalg.vector_norm(light[middle, middle] - expected) / torch.linalg.vector_norm(expected)
    assert error < (1e-2 if samples == 1 else 3e-2)


def test_a_4f_system_without_a_filter_gives_the_object_back_whatever_surrounds_it() -> None:
    grid = Grid((24, 31), (1e-6, 1e-6))
    element = FourierFilter(grid, 632.8e-9, 0.1, mode="none", phase_rad=torch.zeros(24, 31))
    y, x = grid.coordinates_m()
    field = torch.exp(-(y**2 + x**2) / (6e-6) ** 2).to(torch.complex64)[None]
    padded = torch.nn.functional.pad(field, (6, 6, 6, 6))
    for lit, given in ((None, field), (grid, field), (grid.with_shape((36, 43)), padded)):
        for endless in (False, lit is not None):
            image = FilterSystem(element, lit, endless=endless).intensity(given)
            torch.testing.assert_close(image, field.abs() ** 2, rtol=0.0, atol=2e-2)


@pytest.mark.parametrize("margin", [0, 7, 16])
def test_an_empty_object_in_an_endless_beam_is_an_even_background_behind_every_filter(margin: int) -> None:
    grid, generator = Grid((24, 31), (1e-6, 1e-6)), torch.Generator().manual_seed(0)
    for phase in (zernike_phase((24, 31)), 6.28 * torch.rand((24, 31), generator=generator)):
        element = FourierFilter(grid, 632.8e-9, 0.1, mode="none", phase_rad=phase)
        lit = grid.with_shape((24 + 2 * margin, 31 + 2 * margin))
        empty = torch.full((1, *lit.shape), 0.6 + 0.8j)
        output = FilterSystem(element, lit, endless=True, samples=2)(empty)
        torch.testing.assert_close(output, (0.6 + 0.8j) * phasor(phase[12, 15]).expand_as(output))


def test_zernike_filter_of_squares_shows_phase_with_its_neighbours(base: Path) -> None:
    """Of coarse structure, about as wide as the field of view, its squares shift the phase with the background's."""
    optics = filter_of(
        with_filter(base, "optics.start=zernike", "optics.mode=phase", 'optics.surroundings="neighbours"')
    )
    wave = torch.sin(2.0 * math.pi * 3.0 * torch.arange(64) / 32)
    field = torch.polar(torch.ones((64, 64)), (0.05 * wave).expand(64, 64))[None]
    with torch.no_grad():
        seen = optics.intensity(field)[0]
    torch.testing.assert_close(seen, 1.0 + 0.1 * wave[16:-16].expand(32, 32), atol=2e-2, rtol=0.0)
