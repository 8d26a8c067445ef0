from __future__ import annotations

import pytest

from opticdesign.design import load_design
from opticdesign.errors import UsageError
from opticdesign.instrument import family
from opticdesign.instrument.building import build_optics
from opticdesign.instrument.family import family_of
from tests.support.design_texts import D2NN5, TINY


def test_a_kind_that_no_package_has_a_family_of_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    design, known = load_design(D2NN5, TINY), {"fourier-filter": family_of(load_design(D2NN5, TINY).optics)}
    monkeypatch.setattr(family, "_families", lambda: known)
    with pytest.raises(UsageError, match=r"no family .* 'd2nn' is installed\n.*one of fourier-filter\n.*pip install"):
        build_optics(design)
