from __future__ import annotations

from pathlib import Path

import torch

from opticdesign.design import load_design
from opticdesign.instrument.building import build_microscope
from opticdesign.perturbed.sample import Sample
from opticdesign.tolerance.retuning import Retuning
from tests.support.design_texts import BASE, write
from tests.support.tolerance_instruments import patches_of


def test_without_a_decoder_the_image_is_scaled_anew(tmp_path: Path) -> None:
    camera = 'kind = "unet"\nchannels = 8'
    start, end = BASE.index("[training.stages.both]"), BASE.index("[evaluation]")
    text = (BASE[:start] + BASE[end:]).replace(camera, 'kind = "none"').replace("binning = 8", "binning = 1")
    design = load_design(write(tmp_path, text))
    microscope = build_microscope(design).eval()
    patches = patches_of(design, 2)
    sample, target = Sample(patches.fields, patches.phase_rad), patches.targets + 0.5
    decode = Retuning(design, [(sample, target)]).decoder(microscope, lambda each: (2.0 * target)[None])
    noisy = microscope.detector(2.0 * target, torch.Generator().manual_seed(0))
    torch.testing.assert_close(decode(noisy).mean(), target.mean(), rtol=1e-3, atol=0)
