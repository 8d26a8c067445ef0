from __future__ import annotations

import pytest
import torch

from opticdesign.design import Design, Stage, Tolerance
from opticdesign.fabrication.rounding import SoftRounding
from opticdesign.instrument.building import build_microscope, build_optics, build_process
from opticdesign.learning.training import Trainer
from opticdesign.perturbed.vaccination import Vaccine
from opticdesign.randomness import numpy_stream
from tests.support.tolerance_instruments import BPM, bright, filtered, layered, sample_of

TINY = {
    "etch_depth": {"sigma": 1e-9},
    "gap": {"sigma": "1e-15 m"},
    "layer_shift": {"sigma": "1e-15 m"},
    "rotation": {"sigma": "1e-12 rad"},
    "wavelength": {"sigma": 1e-9},
}
THICK = (*BPM, "optics.neurons=32", "optics.cell=8", "detector.binning=2")


def gradients(design: Design, vaccinated: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Intensity, and gradient of a weighted sum of it with the phases."""
    optics, process, sample = build_optics(design), build_process(design), sample_of(design)
    if vaccinated:
        light = Vaccine(design, process).intensity(optics, process, sample.fields, sample.phase_rad, 4)
    else:
        light = optics.intensity(sample.fields, process)
    weights = torch.rand(light.shape, generator=torch.Generator().manual_seed(0))
    (light * weights).sum().backward()
    found = [parameter.grad for parameter in optics.parameters() if parameter.grad is not None]
    return light.detach(), torch.cat([each.flatten() for each in found])


DESIGNS = {
    "layers": layered(layers=2, **TINY),
    "tilted": layered(layers=2, **TINY, tilt={"sigma": "1e-9 rad"}),
    "thick": layered(*THICK, layers=2, **TINY),
    "filter": filtered(**TINY),
}


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_errors_of_next_to_nothing_give_the_light_and_gradient_of_the_design(design: Design) -> None:
    (light, gradient), (expected, slope) = gradients(design, True), gradients(design, False)
    torch.testing.assert_close(light, expected, rtol=1e-3, atol=1e-3)
    assert float((gradient - slope).norm() / slope.norm()) < 2e-3


def test_each_batch_has_a_draw_of_its_own_and_always_the_same() -> None:
    design = layered(layers=2, gap={"sigma": "0.3 um"}, height_noise={"sigma": "6 nm"})
    optics, process, sample = build_optics(design), build_process(design), sample_of(design)

    def light(batch: int) -> torch.Tensor:
        with torch.no_grad():
            return Vaccine(design, process).intensity(optics, process, sample.fields, sample.phase_rad, batch)

    assert torch.equal(light(1), light(1))
    assert not torch.allclose(light(1), light(2), rtol=1e-3)


def test_each_patch_has_a_draw_of_its_own_where_that_is_asked_for() -> None:
    """Patches that are alike look different, each as a microscope built at some defocus of the range sees it."""
    design = bright("optics.margin=12 um", gap={"range": "2 um"})
    optics, process, sample = build_optics(design), build_process(design), sample_of(design)
    fields, phase_rad = sample.fields[:1].expand(3, -1, -1), sample.phase_rad[:1].expand(3, -1, -1)
    with torch.no_grad():
        light = Vaccine(design, process).intensity(optics, process, fields, phase_rad, 5, each=True)
        again = Vaccine(design, process).intensity(optics, process, fields, phase_rad, 5, each=True)
        usual = optics.intensity(fields[:1], process)
    assert torch.equal(light, again)
    assert light.shape == (3, *optics.grid.shape)
    from_each_other = [float((light[first] - light[second]).abs().max()) for first, second in ((0, 1), (0, 2), (1, 2))]
    assert min(from_each_other) > 1e-3 * float(usual.max())
    u = numpy_stream(design.training.seed, "vaccination", 5).uniform(1e-12, 1.0 - 1e-12, (3, 1))
    for seen, place in zip(light, u[:, 0], strict=True):
        moved = design.optics.model_copy(update={"defocus": design.optics.defocus + 2e-6 * (2.0 * place - 1.0)})
        with torch.no_grad():
            right = build_optics(design.model_copy(update={"optics": moved})).intensity(fields[:1], process)[0]
        torch.testing.assert_close(seen, right, rtol=1e-4, atol=1e-4)


def test_errors_befall_the_levels_of_what_stands_for_the_process() -> None:
    design = layered(layers=2, etch_depth={"sigma": 0.02})
    optics, process, sample = build_optics(design), build_process(design), sample_of(design)
    vaccine = Vaccine(design, process)
    soft = SoftRounding(process, 0.01)
    light = vaccine.intensity(optics, soft, sample.fields, sample.phase_rad, 1)
    hard = vaccine.intensity(optics, process, sample.fields, sample.phase_rad, 1)
    torch.testing.assert_close(light, hard, rtol=1e-4, atol=1e-4)
    light.sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in optics.parameters() if each.grad is not None)


def test_the_first_layers_alone_can_be_vaccinated() -> None:
    design = layered(layers=3).model_copy(update={"tolerance": Tolerance()})
    optics, process, sample = build_optics(design), build_process(design), sample_of(design)
    light = Vaccine(design, process).intensity(optics, process, sample.fields, sample.phase_rad, 1, crossed=1)
    light.sum().backward()
    grads = [element.phase_rad.grad for element in optics.elements]  # type: ignore[union-attr]
    assert grads[0] is not None and grads[0].any()
    assert all(grad is None or not grad.any() for grad in grads[1:])


def staged(vaccinated: bool) -> Design:
    """A stage of each kind of loss that sees light, and a fit of the reader."""
    optics = {"train": ["optics"], "steps": 2, "optics_rate": 0.01, "quantised": True, "vaccinated": vaccinated}
    stages = {
        "light": Stage.model_validate({**optics, "loss": "intensity-l1"}),
        "optics": Stage.model_validate({**optics, "loss": "linear-probe"}),
        "reader": Stage.model_validate(
            {"train": ["decoder"], "loss": "ridge", "steps": 2, "quantised": True, "vaccinated": vaccinated}
        ),
        "joint": Stage.model_validate(
            {**optics, "train": ["optics", "decoder"], "loss": "l1", "decoder_rate": 0.001, "steps": 3}
        ),
    }
    design = layered(layers=2, gap={"sigma": "0.2 um"}, height_noise={"sigma": "6 nm"}, tilt={"sigma": "1 mrad"})
    training = design.training.model_copy(update={"stages": stages, "batch": 2})
    return design.model_copy(update={"training": training})


def trainer(design: Design) -> Trainer:
    def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        sample = sample_of(design, 2, seed=step)
        return sample.fields, sample.phase_rad

    return Trainer(design, build_microscope(design), draw, torch.device("cpu"))


def test_vaccinated_stages_train_on_other_instruments_than_the_design() -> None:
    losses = [[report.loss for report in trainer(staged(vaccinated)).steps()] for vaccinated in (False, True)]
    same = [first == second for first, second in zip(*losses, strict=True)]
    assert sum(same) == 1  # a reader that has not seen anything reads nothing
    assert losses[1] == [report.loss for report in trainer(staged(True)).steps()]


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_vaccinated_training_continues_bit_for_bit(stop: int) -> None:
    whole = trainer(staged(True))
    for _ in whole.steps():
        pass
    begun, resumed = trainer(staged(True)), trainer(staged(True))
    for report in begun.steps():
        if report.total == stop:
            break
    resumed.restore(begun.state(), begun.position)
    for _ in resumed.steps():
        pass
    expected, found = whole.state(), resumed.state()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
