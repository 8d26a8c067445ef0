# ruff: noqa: E501 (one row a case)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from opticdesign.errors import DesignError
from opticdesign.studies.table.schema import load_study
from tests.support.design_texts import ROOT
from tests.support.study_texts import STUDY, write_study


@dataclass(frozen=True)
class Broken:
    """One edit of STUDY and what its error must say; `at` is the number of the line it must point to."""

    name: str
    old: str
    new: str
    key: str
    at: int | None
    value: str
    expected: str
    remedy: str


# fmt: off
BROKEN = [
    Broken("no study", STUDY, "# nothing\n", "kind", None, "", "", "designs/studies/table1.toml"),
    Broken("no kind", 'kind = "table"\n', "", "kind", None, "", "kind of study", 'add kind = "table"'),
    Broken("other kind", 'kind = "table"', 'kind = "tabel"', "kind", 1, '"tabel"', '"table"', 'did you mean "table"?'),
    Broken("no rows", STUDY[STUDY.index("[[rows]]"):], "", "rows", None, "", "", "[[rows]]"),
    Broken("number for rows", STUDY[STUDY.index("[quick]"):], "rows = 3", "rows", 6, "3", "a list", "[[rows]]"),
    Broken("no seeds", "seeds = [0, 1]\n", "seeds = []\n", "seeds", 3, "[]", "one seed or more", "seeds = [0, 1, 2]"),
    Broken("seed twice", "seeds = [0, 1]", "seeds = [1, 1]", "seeds", 3, "[1, 1]", "different values", "remove one"),
    Broken("seed below 0", "seeds = [0, 1]", "seeds = [0, -1]", "seeds[1]", 3, "-1", "at least 0", "seeds = [0, 1, 2]"),
    Broken("name as a path", 'name = "small"', 'name = "../x"', "name", 2, '"../x"', "letters", "rename it"),
    Broken("unknown key of a row", 'title = "trained further"', 'tilte = "x"', "rows[1].tilte", 18, '"x"', "one of name, title, design, from", "did you mean 'title'?"),
    Broken("row without a name", 'name = "B"\n', "", "rows[1].name", 16, "", "letters", 'add name = "C1"'),
    Broken("name twice", 'name = "A-clear"', 'name = "b"', "rows[3].name", 30, '"b"', "a name of its own", "rename"),
    Broken("unknown start", 'from = "A"\n', 'from = "a"\n', "rows[1].from", 20, '"a"', "one of A, B", "name a row"),
    Broken("unknown of", 'of = "B"', 'of = "C"', "rows[4].of", 37, '"C"', "one of A, B", ""),
    Broken("circle", 'design = "designs/tiny.toml"\npaper', 'design = "designs/tiny.toml"\nfrom = "B"\npaper', "rows[0].from", 14, '"B"', "a row before", "break the circle"),
    Broken("from itself", 'from = "A"\n', 'from = "B"\n', "rows[1].from", 20, '"B"', "a row before", "break the circle"),
    Broken("unknown floor", 'floor = "clear"\nof = "A"', 'floor = "claer"\nof = "A"', "rows[3].floor", 31, '"claer"', '"zernike"', 'did you mean "clear"?'),
    Broken("floor of nothing", 'floor = "clear"\nof = "A"', 'floor = "clear"', "rows[3].floor", 31, '"clear"', "name of a row", "add of ="),
    Broken("of without floor", 'floor = "clear"\nof = "A"', 'of = "A"', "rows[3].of", 31, '"A"', "kind of floor", 'floor = "clear"'),
    Broken("floor with a design", 'floor = "clear"\nof = "A"', 'floor = "clear"\nof = "A"\ndesign = "designs/tiny.toml"', "rows[3].design", 33, '"clear"', "one of the two", "remove"),
    Broken("neither", 'floor = "clear"\nof = "A"\n', "", "rows[3].design", 29, "", "a design file", "design ="),
    Broken("floor of a floor", 'of = "B"\nfrom = "A-clear"', 'of = "A-clear"', "rows[4].of", 37, '"A-clear"', "a row with a design", "name its row"),
    Broken("design from a floor", 'from = "A"\n', 'from = "A-clear"\n', "rows[1].from", 20, '"A-clear"', "a row with a design", "another row"),
    Broken("floor from another way", 'from = "A-clear"', 'from = "A"', "rows[4].from", 38, '"A"', 'floor = "clear", of = "A"', "correct from"),
    Broken("floor from, its row not", 'of = "A"\n\n[[rows]]\nname = "B-clear"', 'of = "A"\nfrom = "none"\n\n[[rows]]\nname = "B-clear"', "rows[3].from", 33, '"none"', "no from", "remove"),
    Broken("floor of fewer steps", 'from = "A-clear"\n', "", "rows[4].from", 34, "", 'of = "A"', "add that row"),
    Broken("floor without a decoder", 'title = "optics and decoder"', 'set = ["decoder.kind=none", "detector.binning=1", "training.stages={a = {train = [\\"optics\\"], loss = \\"intensity-l1\\", steps = 1, optics_rate = 0.1}}"]', "rows[3].of", 29, '"A"', "trains a decoder", "remove"),
    Broken("constant from", 'floor = "constant"', 'floor = "constant"\nfrom = "A"', "rows[2].from", 27, '"A"', "no from", "remove it"),
    Broken("missing design", '"designs/tiny.toml"\nfrom', '"designs/tny.toml"\nfrom', "rows[1].design", 19, '"designs/tny.toml"', "a design file", "study's folder"),
    Broken("half the paper", ", ssim_patch = 0.6 }", " }", "rows[0].paper.ssim_patch", 14, "", "SSIM of patches", "add ssim_patch"),
    Broken("number in set", '["training.stages.joint.steps=2"]', "[2]", "rows[1].set[0]", 21, "2", "text in quotes", 'set = ["training'),
    Broken("no key=value", '["training.stages.joint.steps=2"]', '["steps 2"]', "", 21, "steps 2", "a dotted key", "for example"),
    Broken("unknown key in set", '["training.stages.joint.steps=2"]', '["training.bach=2"]', "training.bach", 21, "2", "one of seed", "'batch'"),
    Broken("wrong value in common", '["training.batch=2"]', '["training.batch=0"]', "training.batch", 4, "0", "at least 1", "batch ="),
]
# fmt: on


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_study_names_file_line_key_value_expected_and_remedy(case: Broken, tmp_path: Path) -> None:
    assert STUDY.count(case.old) >= 1
    path = write_study(tmp_path, STUDY.replace(case.old, case.new, 1))
    with pytest.raises(DesignError, match=r".") as caught:
        load_study(path)
    problem = caught.value.problems[0]
    assert caught.value.exit_code == 2
    assert problem.source == str(path)
    assert problem.key.startswith(case.key)
    assert problem.line == case.at
    assert case.value in problem.value
    assert case.expected in problem.expected
    assert case.remedy in problem.remedy and problem.remedy


@pytest.mark.parametrize(
    ("old", "new"), [("seeds = [0, 1]", "seeds = [-1]"), ('title = "trained further"', "tilte = 3")]
)
def test_a_problem_inside_a_list_is_not_one_of_the_list_too(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r".") as caught:
        load_study(write_study(tmp_path, STUDY.replace(old, new, 1)))
    assert len(caught.value.problems) == 1


def test_study_reads_with_its_designs_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    study = load_study("../study.toml")
    assert [row.name for row in study.rows] == ["A", "B", "none", "A-clear", "B-clear"]
    assert study.design(study.row("A"), 0, quick=False).name == "d2nn5"


def test_missing_study_exits_2_and_names_one(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"no such file") as caught:
        load_study(tmp_path / "nothing.toml")
    assert "designs/studies/table1.toml" in str(caught.value) and "opticdesign init" not in str(caught.value)


def test_a_row_s_own_values_win_over_common_ones_and_asked_ones_over_both(tmp_path: Path) -> None:
    text = STUDY.replace("joint.steps=2", 'joint.steps=2", "training.batch=3')
    study = load_study(write_study(tmp_path, text))
    first, second = study.row("A"), study.row("B")
    assert study.design(first, 0, quick=False).training.batch == 2
    assert study.design(second, 0, quick=False).training.batch == 3
    assert study.design(second, 0, quick=False, changes=["training.batch=4"]).training.batch == 4


def test_every_seed_replaces_the_design_s(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path))
    assert [study.design(study.row("A"), seed, quick=False).training.seed for seed in (0, 7)] == [0, 7]


def test_quick_changes_seeds_and_designs_and_nothing_else_does(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path), quick=True)
    assert (study.seeds_of(quick=False), study.seeds_of(quick=True)) == ((0, 1), (0,))
    plain, quick = (study.design(study.row("B"), 0, quick=asked) for asked in (False, True))
    assert (plain.data.fields, quick.data.fields) == (3, 4)
    assert (plain.decoder.channels, quick.decoder.channels) == (8, 16)


def test_a_floor_has_the_design_of_its_row_and_its_own_values(tmp_path: Path) -> None:
    text = STUDY.replace('from = "A-clear"', 'from = "A-clear"\nset = ["training.batch=5"]')
    study = load_study(write_study(tmp_path, text))
    design = study.design(study.row("B-clear"), 0, quick=False)
    assert design.training.stages["joint"].steps == 2
    assert design.training.batch == 5


def test_a_floor_need_not_start_where_only_optics_were_trained_before(tmp_path: Path) -> None:
    stages = '{a = {train = [\\"optics\\"], loss = \\"linear-probe\\", steps = 1, optics_rate = 0.1}}'
    text = STUDY.replace('title = "optics and decoder"', f'set = ["training.stages={stages}"]')
    text = text.replace('from = "A-clear"\n', "").replace('[[rows]]\nname = "A-clear"\nfloor = "clear"\nof = "A"\n', "")
    assert [row.name for row in load_study(write_study(tmp_path, text)).rows] == ["A", "B", "none", "B-clear"]


def test_what_was_asked_for_on_the_command_line_is_blamed_there(tmp_path: Path) -> None:
    with pytest.raises(DesignError, match=r"row A: ") as caught:
        load_study(write_study(tmp_path), changes=["optics.layers=0"])
    assert caught.value.problems[0].source == "--set"


def test_a_problem_inside_a_design_file_is_blamed_there(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    design = tmp_path / "designs" / "tiny.toml"
    design.write_text(design.read_text().replace("layers = 1", "layers = 0"))
    with pytest.raises(DesignError, match=r"row A: layers is out of range") as caught:
        load_study(path)
    assert caught.value.problems[0].source == str(design)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(("name", "rows"), [("table1", 12), ("table2", 8)])
def test_shipped_study_reads_with_the_paper_s_rows_and_floors(name: str, rows: int, quick: bool) -> None:
    study = load_study(ROOT / "designs" / "studies" / f"{name}.toml", quick)
    assert sum(row.paper is not None for row in study.rows) == rows
    assert any(row.floor == "constant" for row in study.rows)
    starts = {row.name: row.start for row in study.rows}
    chain = {"C1": "B1", "C2": "C1", "C7": "B2", "C8": "C7", "E1": "C2", "E2": "C8"}
    assert {row: starts[row] for row in chain} == chain


def test_table1_has_clear_random_and_zernike_floors_at_both_compressions() -> None:
    study = load_study(ROOT / "designs" / "studies" / "table1.toml")
    for row, binning in (("C1", 8), ("C2", 8), ("C3", 16), ("C4", 16)):
        floors = {floor.floor: floor for floor in study.rows if floor.of == row}
        assert {"clear", "random", "zernike"} <= floors.keys()
        assert study.design(floors["clear"], 0, quick=False).detector.binning == binning


def test_table2_noise_is_that_of_its_titles() -> None:
    study = load_study(ROOT / "designs" / "studies" / "table2.toml")
    for row in study.rows:
        if row.paper is None:
            continue
        camera = study.design(row, 0, quick=False).detector
        assert f"{camera.max_photons:.0f} photons, {camera.read_noise:.0f} electrons" in row.title
