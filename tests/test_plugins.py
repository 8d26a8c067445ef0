from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import EntryPoint

import pytest

from opticdesign.errors import UsageError
from opticdesign.plugins import load_classes, load_plugins


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1.0


class Blob(Shape):
    pass


class Unwilling:
    def __init__(self) -> None:
        raise ValueError("not today")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    def named(**classes: str) -> None:
        entries = tuple(EntryPoint(name, value, "opticdesign.shapes") for name, value in classes.items())
        monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: entries)

    return named


def test_classes_come_by_name_in_alphabetical_order(install) -> None:
    install(two=f"{__name__}:Square", one=f"{__name__}:Square")
    assert list(load_classes("opticdesign.shapes", "shape", Shape)) == ["one", "two"]
    install()
    assert load_classes("opticdesign.shapes", "shape", Shape) == {}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module:Square", "No module named 'no_such_module'"),
        (f"{__name__}:Circle", "has no attribute 'Circle'"),
        (f"{__name__}:Unwilling", "it is no subclass of Shape"),
        (f"{__name__}:pytest", "it is no subclass of Shape"),
        (f"{__name__}:Blob", "it leaves out area"),
    ],
)
def test_a_class_that_cannot_be_used_is_named_with_the_reason(value: str, why: str, install) -> None:
    install(lab=value)
    with pytest.raises(UsageError, match=rf"the shape 'lab' \({value}\) cannot be loaded: .*{why}") as caught:
        load_classes("opticdesign.shapes", "shape", Shape)
    assert "install its package again, or remove it" in str(caught.value)


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("lab", f"{__name__}:Square", "opticdesign.shapes")
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: (entry, entry))
    with pytest.raises(UsageError, match="another package has one of this name"):
        load_classes("opticdesign.shapes", "shape", Shape)


def test_a_plugin_that_fails_when_it_is_made_is_named(install) -> None:
    install(lab=f"{__name__}:Unwilling")
    with pytest.raises(UsageError, match=r"the shape 'lab' .* cannot be loaded: not today"):
        load_plugins("opticdesign.shapes", "shape")
