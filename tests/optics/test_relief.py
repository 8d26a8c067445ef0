from __future__ import annotations

import math

import pytest
import torch

from opticdesign.errors import UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.optics.materials import material
from opticdesign.optics.relief import Relief

SILICA = Relief(material("fused silica"), material("air"), 632.8e-9)


def test_relief_and_process_agree_at_the_design_wavelength() -> None:
    process = FabricationProcess(8, 632.8e-9, material("fused silica").index(632.8e-9), material("air").index(632.8e-9))
    phase = torch.linspace(0.0, 6.2, 9, dtype=torch.float64)
    torch.testing.assert_close(SILICA.height_of_phase(phase), process.height_of_phase(phase))
    assert 1.0 / SILICA.turns_per_m() == pytest.approx(process.full_height_m, rel=1e-12)


def test_phase_and_height_are_inverse_and_keep_whole_turns() -> None:
    phase = torch.linspace(-20.0, 20.0, 9, dtype=torch.float64)
    torch.testing.assert_close(SILICA.phase_of_height(SILICA.height_of_phase(phase)), phase)


def test_blue_light_is_delayed_more_by_wavelength_and_by_index() -> None:
    height = torch.tensor(1e-6, dtype=torch.float64)
    n, n0 = material("fused silica").index(450e-9), material("air").index(450e-9)
    expected = 2.0 * math.pi * (n - n0) * 1e-6 / 450e-9
    assert SILICA.phase_of_height(height, 450e-9).item() == pytest.approx(expected, rel=1e-12)
    assert SILICA.dispersion(632.8e-9) == 1.0
    assert SILICA.dispersion(450e-9) > 632.8 / 450.0  # normal dispersion adds to the shorter wavelength


def test_relief_that_delays_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="relief of water in fused silica delays nothing"):
        Relief(material("water"), material("fused silica"), 632.8e-9)
