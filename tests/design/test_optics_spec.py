from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Literal

import pytest

from opticdesign.design import D2NNOptics, FilterOptics, OpticsSpec
from opticdesign.design.optics_spec import Accuracy, Margin, Surroundings
from opticdesign.errors import UsageError

GROUP = "opticdesign.optics"


class Lenslets(D2NNOptics):
    kind: Literal["lenslets"]


class Several(D2NNOptics):
    kind: Literal["several", "words"]


class Any(D2NNOptics):
    kind: str


class Unfinished(OpticsSpec):
    kind: Literal["unfinished"]
    surroundings: Surroundings
    margin: Margin
    accuracy: Accuracy


def kinds(monkeypatch: pytest.MonkeyPatch, *more: tuple[str, str]) -> set[type]:
    entries = [("d2nn", "D2NNOptics"), ("fourier-filter", "FilterOptics"), *more]
    points = [EntryPoint(name, f"{__name__}:{model}", GROUP) for name, model in entries]
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: points)
    return set(OpticsSpec.kinds())


def test_in_the_place_of_optics_stands_any_kind_and_in_that_of_one_kind_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds(monkeypatch, ("lenslets", "Lenslets")) == {D2NNOptics, FilterOptics, Lenslets}
    assert Lenslets.kinds() == (Lenslets,)


@pytest.mark.parametrize(
    ("name", "model", "why"),
    [
        ("lenses", "Lenslets", "its kind is 'lenslets'"),
        ("several", "Several", "its kind is 'several' or 'words'"),
        ("any", "Any", "its kind is any text"),
        ("odd", "pytest", "it is no OpticsSpec"),
        ("unfinished", "Unfinished", "it leaves out clear, mask_size, random, sample_pitch, shape"),
        ("d2nn", "Lenslets", "has the name 'd2nn', and so has"),
    ],
)
def test_a_kind_that_is_none_or_of_another_word_is_refused(
    name: str, model: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=f"the kind of optics (.|\n)*{why}"):
        kinds(monkeypatch, (name, model))


def test_a_kind_without_what_every_kind_has_is_refused_where_it_is_defined() -> None:
    with pytest.raises(TypeError, match="Bare has no field surroundings, margin, accuracy"):

        class Bare(OpticsSpec):
            kind: Literal["bare"]
