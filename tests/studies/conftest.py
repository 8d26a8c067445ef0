"""What tests of studies share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opticdesign.studies import cells


@pytest.fixture(scope="module")
def no_pictures() -> Iterator[None]:
    """Run folders with empty pictures: drawing them would take most of the time."""
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, file, **how: None)
        yield


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(cells, "optimise", refuse)
