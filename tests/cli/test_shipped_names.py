"""Shipped designs by name: the same file, from anywhere, and a copy of it that is the same design elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opticdesign.design import load_design
from opticdesign.design.shipped import design_file, shipped_designs, starting_text, summary
from opticdesign.errors import UsageError
from opticdesign.studies.autoencoders.schema import load_autoencoder_study
from opticdesign.studies.fields import study_kind
from opticdesign.studies.methods.schema import load_methods_study
from opticdesign.studies.quantisation.schema import load_quantisation_study
from opticdesign.studies.table.schema import load_study
from opticdesign.studies.transfer.schema import load_transfer_study
from tests.support.design_texts import ROOT

NAMES = tuple(shipped_designs())


def study_text(path: Path) -> str:
    """A study as it was read, its designs by their names."""
    kinds = {
        "autoencoders": load_autoencoder_study,
        "methods": load_methods_study,
        "quantisation": load_quantisation_study,
        "table": load_study,
        "transfer": load_transfer_study,
    }
    return re.sub(r"'[^']*/([\w-]+)\.toml'", r"\1", repr(kinds[study_kind(path)](path)))


def test_every_file_that_ships_has_a_name_of_its_own() -> None:
    shipped = [path for path in (ROOT / "designs").rglob("*.toml") if path.parent.name != "panels"]
    assert sorted(shipped_designs().values()) == sorted(shipped)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_elsewhere_is_the_same_design(name: str, tmp_path: Path) -> None:
    file, copy = shipped_designs()[name], tmp_path / "mine.toml"
    copy.write_text(starting_text(name, copy), "utf-8")
    text = copy.read_text("utf-8")
    assert "#:schema" not in text and "designs/" not in text and "../" not in text  # what is there only in a checkout
    if file.parent.name != "studies":
        assert load_design(copy) == load_design(file)
    else:
        assert study_text(copy) == study_text(file)
    assert 20 < len(summary(file)) < 240


def test_a_file_goes_before_a_name_and_other_paths_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert design_file(Path("d2nn5-fab")) == shipped_designs()["d2nn5-fab"]
    for path in ("d2nn5-fab.toml", "folder/d2nn5-fab"):
        assert design_file(Path(path)) == Path(path)
    Path("d2nn5-fab").write_text("mine")
    assert design_file(Path("d2nn5-fab")) == Path("d2nn5-fab")


def test_an_unknown_name_is_told_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for ask in (lambda: design_file(Path("d2nn5-fob")), lambda: starting_text("d2nn5-fob", Path("a.toml"))):
        with pytest.raises(UsageError, match=r"one of d2nn5, .*table1(.|\n)*did you mean d2nn5-fab\?"):
            ask()


def test_commands_take_names_and_errors_tell_the_file(command: Callable[..., Any], tmp_path: Path) -> None:
    assert "fabricat" not in command("show", "lff64", "--json").stderr
    assert command("show", "d2nn5-fab").stdout == load_design(shipped_designs()["d2nn5-fab"]).to_toml() + "\n"
    wrong = command("check", "table1")
    assert wrong.returncode == 2 and "designs/studies/table1.toml: this is a study" in wrong.stderr
    broken = command("check", "d2nn5-fab", "--set", "fabrication.levels=1")
    assert broken.returncode == 2 and "fabrication.levels" in broken.stderr
    assert "lff256" in command("init", "--list").stdout
    written = command("init", "own.toml", "--from", "d2nn5-fab")
    assert written.stdout == "own.toml\n" and "next: opticdesign check own.toml" in written.stderr
    assert load_design(tmp_path / "own.toml").name == "d2nn5-fab"
    refused = command("init", "other.toml", "--from", "nothing")
    assert refused.returncode == 2 and not (tmp_path / "other.toml").exists()
