"""A microscope whose linear reader is fitted, so that its images depend on what its optics do."""

from __future__ import annotations

import pytest
import torch

from opticdesign.decoders import WithReader
from opticdesign.instrument.building import build_microscope, build_process
from tests.support.tolerance_instruments import Fitted, layered, layers_of, patches_of


@pytest.fixture(scope="session")
def fitted() -> Fitted:
    design = layered(layers=3)
    microscope = build_microscope(design)
    # masks that repeat, as the reader's weights do
    microscope.optics.set_phases_rad(microscope.optics.alike(layers_of(design)._optics.detached_phases()))
    process, decoder = build_process(design), microscope.decoder
    assert isinstance(decoder, WithReader)
    known = patches_of(design, 48, seed=5)
    with torch.no_grad():
        decoder.reader.fit(*decoder.reader.seen(microscope.read(known.fields, process), known.targets))
    return Fitted(design, microscope, patches_of(design, 3), known)
