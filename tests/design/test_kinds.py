from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Literal

import pytest

from opticdesign.design import D2NNOptics, FilterOptics, OpticsSpec
from opticdesign.design.kinds import kinds_of
from opticdesign.errors import UsageError

OWN = (D2NNOptics, FilterOptics)


class Lenslets(D2NNOptics):
    kind: Literal["lenslets"]


class Ours(D2NNOptics):
    kind: Literal["d2nn"]


class Several(D2NNOptics):
    kind: Literal["several", "words"]


def kinds(monkeypatch: pytest.MonkeyPatch, name: str, model: str) -> tuple[type[OpticsSpec], ...]:
    entry = EntryPoint(name, f"{__name__}:{model}", "opticdesign.optics")
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: (entry,))
    return kinds_of("opticdesign.optics", "kind of optics", OpticsSpec, OWN)


def test_kinds_of_other_packages_stand_behind_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds(monkeypatch, "lenslets", "Lenslets") == (*OWN, Lenslets)


@pytest.mark.parametrize(
    ("name", "model"), [("lenses", "Lenslets"), ("d2nn", "Ours"), ("several", "Several"), ("lenslets", "Ours")]
)
def test_a_kind_of_another_word_or_of_ours_is_refused(name: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=rf"the kind of optics '{name}' .* has kind = (.|\n)*none of d2nn, fourier"):
        kinds(monkeypatch, name, model)


def test_a_kind_without_what_every_kind_has_is_refused_where_it_is_defined() -> None:
    with pytest.raises(TypeError, match="Bare has no field surroundings, margin, accuracy"):

        class Bare(OpticsSpec):
            kind: Literal["bare"]
