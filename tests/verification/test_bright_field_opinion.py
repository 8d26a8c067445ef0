from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from opticdesign.design import Design, load_design
from opticdesign.instrument.building import build_optics
from opticdesign.optics.detectors import mean_bins
from opticdesign.verification.second_opinion import masks_of_design, second_opinion
from tests.support.design_texts import ROOT

SMALL = ("optics.neurons=32", "evaluation.overlap=8", "optics.focal=9 mm", "optics.mask_points=9")
LAMPS = ("optics.source=lamps", "optics.coherence=0.5", "optics.lamps=[[0.0, 0.5], [0.6, -0.8], [0.0, 0.0]]")


def design(*settings: str) -> Design:
    return load_design(ROOT / "designs" / "dlsrqpi.toml", [*SMALL, *settings])


def readings(design: Design, offset_m: tuple[float, float] = (0.0, 0.0)) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a smooth object and of one of random phases, by the model that trains and by the other one."""
    optics = build_optics(design)
    noise, shape = torch.Generator().manual_seed(0), optics.object_grid.shape
    coarse = torch.nn.functional.interpolate(torch.rand((1, 1, 6, 6), generator=noise), shape, mode="bicubic")[0, 0]
    phase = torch.stack((2.0 * coarse, 2.0 * math.pi * torch.rand(shape, generator=noise)))
    fields = torch.polar(torch.ones_like(phase), phase)
    masks = masks_of_design(design, optics.detached_phases().numpy())
    masks = [mask._replace(offset_m=offset_m) for mask in masks]
    theirs = torch.from_numpy(second_opinion(design, masks, fields.numpy()).intensity)
    with torch.no_grad():
        ours = optics.intensity(fields).double()
    binning = design.detector.binning
    return mean_bins(ours, binning), mean_bins(theirs, binning)


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> list[float]:
    return ((ours - theirs).square().sum((1, 2)) / theirs.square().sum((1, 2))).sqrt().tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("settings", "bar"),
    [
        (("optics.coherence=0",), 0.03),
        (LAMPS, 0.02),
        ((*LAMPS, 'optics.aberrations={"5"="1 rad", "8"="0.5 rad", "11"="0.7 rad"}'), 0.03),
        ((*LAMPS, "optics.start=random"), 0.02),
        ((*LAMPS, "optics.start=random", "optics.surroundings=repeat"), 0.01),
        ((*LAMPS, "optics.surroundings=field-stop"), 0.03),
        ((*LAMPS, "optics.pitch=510 nm", "detector.pixel=10.2 um", "optics.start=random"), 0.03),
    ],
)
def test_two_models_of_a_microscope_read_the_same(settings: tuple[str, ...], bar: float) -> None:
    smooth, random = apart(*readings(design(*settings)))
    assert smooth < bar / 2.0 and random < bar


def test_rings_of_either_model_stand_for_one_disc() -> None:
    smooth, random = apart(
        *readings(design("optics.coherence=0.3", "optics.defocus=2 um", "optics.rings=4", "optics.margin=2 um"))
    )
    assert smooth < 0.01 and random < 0.03


def test_a_mask_that_lies_beside_its_place_is_seen() -> None:
    pitch = 2.0 * 0.6 * 9e-3 / 9
    ours, theirs = readings(design(*LAMPS, "optics.start=random"), (pitch, 0.0))
    assert min(apart(ours, theirs)) > 0.1


def test_what_was_learned_of_source_and_defocus_goes_to_the_second_model() -> None:
    from opticdesign.instrument.family import as_learned

    learning = load_design(
        ROOT / "designs" / "dlsrqpi.toml",
        [*SMALL, "optics.coherence=0.4", "optics.rings=1", 'optics.learn=["defocus", "source"]',
         'training.stages.decoder.train=["optics", "decoder"]', "training.stages.decoder.optics_rate=0.1"],
    )  # fmt: skip
    optics = build_optics(learning)
    with torch.no_grad():
        optics.defocus += 0.2
        optics.power += torch.randn(optics.power.shape, generator=torch.Generator().manual_seed(1))
    phase = torch.rand((1, *optics.object_grid.shape), generator=torch.Generator().manual_seed(0))
    fields = torch.polar(torch.ones_like(phase), phase)
    with torch.no_grad():
        ours = optics.intensity(fields).double()
    seen = [
        torch.from_numpy(second_opinion(each, [], fields.numpy()).intensity)
        for each in (as_learned(learning, optics), learning)
    ]
    known, unknown = (apart(mean_bins(ours, 4), mean_bins(each, 4))[0] for each in seen)
    assert known < 0.01 < 0.02 < unknown
    spec = as_learned(learning, optics).optics
    assert spec.defocus == pytest.approx(4e-6 + 0.2 * 550e-9 / 0.36, rel=1e-3)
    assert sum(spec.powers) == pytest.approx(1.0)
    # a design of these numbers is the same instrument
    settings = spec.model_dump(mode="json", exclude_none=True) | {"learn": []}
    again = load_design(
        ROOT / "designs" / "dlsrqpi.toml",
        [*SMALL],
        optics={
            **settings,
            "surroundings": "neighbours",
            "margin": f"{optics.object_grid.shape[0] // 2 * 170 - 16 * 170} nm",
        },
    )
    with torch.no_grad():
        np.testing.assert_allclose(build_optics(again).intensity(fields).double(), ours, rtol=0, atol=2e-4)
