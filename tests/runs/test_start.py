from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from opticdesign.design import Design, load_design
from opticdesign.errors import UsageError
from opticdesign.instrument.building import build_microscope
from opticdesign.runs.start import take_over
from tests.support.design_texts import ROOT

LAYERS = ("optics.layers=2", "optics.neurons=64", "decoder.channels=8", "decoder.reader=true", "evaluation.overlap=8")
FILTER = ("optics.neurons=64", "optics.radius=32.0", "decoder.channels=8", "evaluation.overlap=8")


def layers(*settings: str) -> Design:
    return load_design(ROOT / "designs" / "d2nn5.toml", [*LAYERS, *settings])


def filters(*settings: str) -> Design:
    return load_design(ROOT / "designs" / "lff64.toml", [*FILTER, *settings])


def taken(source: Design, design: Design) -> list[str]:
    """What a design takes from a source with other masks and weights; checks that it has them then."""
    theirs, ours = build_microscope(source), build_microscope(design)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.125
    parts = take_over(ours, design, theirs, source, "source")
    for part in ("optics", "decoder"):
        kept, given = (getattr(microscope, part).state_dict() for microscope in (ours, theirs))
        same = kept.keys() == given.keys() and all(torch.equal(kept[key], given[key]) for key in kept)
        assert same == (part in parts)
    return parts


def test_same_optics_and_decoder_are_taken_over() -> None:
    assert taken(layers(), layers("training.seed=1")) == ["optics", "decoder"]
    assert taken(filters(), filters("training.seed=1")) == ["optics", "decoder"]


@pytest.mark.parametrize(
    "change", ["decoder.channels=16", "detector.binning=4", 'decoder={kind = "swinir", preset = "tiny", reader = true}']
)
def test_another_decoder_keeps_its_own_start(change: str) -> None:
    assert taken(layers(), layers(change)) == ["optics"]


def test_a_reader_of_larger_cells_keeps_its_own_start() -> None:
    assert taken(layers("optics.cell=16"), layers("optics.cell=32")) == ["optics"]


@pytest.mark.parametrize(
    ("source", "design"),
    [
        (layers, lambda: layers("optics.cell=16")),
        (lambda: layers("optics.cell=64"), layers),
        (lambda: filters("optics.rings=false"), lambda: filters("optics.rings=true")),
    ],
)
def test_masks_that_do_not_repeat_as_they_should_are_refused(
    source: Callable[[], Design], design: Callable[[], Design]
) -> None:
    with pytest.raises(UsageError, match=r"source: its masks do not repeat(.|\n)*optics.cell, or optics.rings"):
        taken(source(), design())


def test_masks_without_cells_are_a_start_for_none_and_cells_for_masks_without() -> None:
    free = layers()
    free = free.model_copy(update={"optics": free.optics.model_copy(update={"cell": None})})
    with pytest.raises(UsageError, match="do not repeat"):
        taken(free, layers())
    assert taken(layers(), free) == ["optics"]
    assert taken(filters("optics.rings=true"), filters("optics.rings=false")) == ["optics", "decoder"]


@pytest.mark.parametrize(
    ("source", "design"),
    [
        (layers, filters),
        (layers, lambda: layers("optics.layers=3")),
        (filters, lambda: filters("optics.padding=1.5")),
        (lambda: filters("optics.mode=phase"), lambda: filters("optics.mode=amplitude+phase")),
    ],
)
def test_optics_of_another_kind_or_size_are_refused(source: Callable[[], Design], design: Callable[[], Design]) -> None:
    with pytest.raises(UsageError, match=r"source: its optics are not of the kind and size(.|\n)*without one"):
        taken(source(), design())


@pytest.mark.parametrize("change", ['light.wavelength="550 nm"', 'optics.pitch="400 nm"'])
def test_masks_of_other_light_or_samples_are_refused(change: str) -> None:
    with pytest.raises(UsageError, match=r"source: its (light.wavelength|optics.pitch) is (.|\n)*same light"):
        taken(layers(change), layers())


def test_without_a_decoder_the_optics_alone_are_taken() -> None:
    stage = '{optics = {train = ["optics"], loss = "intensity-l1", steps = 1, optics_rate = 0.1}}'
    settings = ('decoder={kind = "none"}', "detector.binning=1", f"training.stages={stage}", "optics.layers=2")
    plain = load_design(ROOT / "designs" / "d2nn5.toml", settings)
    ours, theirs = build_microscope(plain), build_microscope(plain)
    assert take_over(ours, plain, theirs, plain, "source") == ["optics"]
