import itertools
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from opticdesign.design import D2NNOptics, Design, FolderData, SyntheticData, design_schema, load_design
from opticdesign.design.problems import line_numbers
from opticdesign.errors import DesignError
from tests.support.design_texts import BASE, FOLDER, SYNTHETIC, refused, write

DEFAULT = Path(__file__).parents[2] / "designs" / "d2nn5.toml"


def test_misspelt_key_is_not_reported_as_missing_too(tmp_path):
    error = refused(write(tmp_path, BASE.replace("pitch =", "pich =")))
    assert [problem.message for problem in error.problems] == ["unknown key 'pich'"]


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path):
    text = BASE.replace('"632.8 nm"', '"632.8"').replace("layers = 2", "layers = 99").replace("seed = 0", "sed = 0")
    error = refused(write(tmp_path, text))
    assert [problem.key for problem in error.problems] == ["light.wavelength", "optics.layers", "training.sed"]
    assert [problem.line for problem in error.problems] == [4, 8, 36]


def test_file_of_many_unknown_keys_fits_on_a_screen(tmp_path):
    path = write(tmp_path, "".join(f"key{index} = 1\n" for index in range(1000)))
    with pytest.raises(DesignError, match=r"\(and \d+ more\)") as caught:
        load_design(path)
    assert len(str(caught.value).splitlines()) < 50


def test_single_stage_with_a_problem_is_reported_once(tmp_path):
    text = BASE[: BASE.index("[training.stages.both]")].replace("steps = 10", "steps = 0")
    assert [problem.key for problem in refused(write(tmp_path, text)).problems] == ["training.stages.first.steps"]


def test_lines_are_counted_as_editors_do(tmp_path):
    text = BASE.replace("[light]", "# a\u2028b\x85c\n[light]").replace("layers = 2", "layers = 99")
    assert [problem.line for problem in refused(write(tmp_path, text)).problems] == [9]


def test_rules_between_tables_are_reported_at_once(tmp_path):
    text = BASE.replace("[64, 128]", "60").replace("overlap = 16", "overlap = 90").replace('"632.8 nm"', '"632.8 mm"')
    error = refused(write(tmp_path, text))
    assert [problem.line for problem in error.problems] == [4, 23, 52]


@pytest.mark.parametrize(
    ("content", "message", "remedy"),
    [
        (b"", "empty", "opticdesign init"),
        (b" \n\n", "empty", "opticdesign init"),
        (b'name = "x"\n# caf\xe9\n', "not UTF-8", "save it as UTF-8"),
        ("name = 1".encode("utf-16"), "not UTF-8", "save it as UTF-8"),
        (b"#" * 1_000_001, "too large", "not a data file"),
        (b"\x00\x01\x02", "not TOML", "in quotes"),
    ],
)
def test_file_that_is_no_design_is_refused(content, message, remedy, tmp_path):
    path = tmp_path / "design.toml"
    path.write_bytes(content)
    (problem,) = refused(path).problems
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.source == str(path)


def test_line_of_a_byte_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "design.toml"
    path.write_bytes(BASE.encode() + b"# caf\xe9\n")
    (problem,) = refused(path).problems
    assert (problem.line, problem.value) == (BASE.count("\n") + 1, "byte 0xe9")


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.toml", "no such file"), (".", "folder"), ("a\0b", "cannot be read"), ("x" * 5000, "cannot be read")],
)
def test_path_that_is_no_file_is_refused(name, message, tmp_path):
    with pytest.raises(DesignError, match=message) as caught:
        load_design(tmp_path / name)
    (problem,) = caught.value.problems
    assert problem.source.isprintable()
    assert problem.remedy


@pytest.mark.parametrize("text", [BASE.replace("\n", "\r\n"), "\ufeff" + BASE], ids=["CRLF", "byte order mark"])
def test_files_of_other_editors_are_read(text, tmp_path):
    assert load_design(write(tmp_path, text)) == load_design(write(tmp_path, BASE))


def test_quantities_are_si_floats_inside(tmp_path):
    design = load_design(write(tmp_path, BASE))
    assert design.light.wavelength == 632.8e-9
    assert design.optics.pitch == 316.4e-9
    assert design.optics.neurons == (64, 128)
    assert design.detector.max_photons == 10000.0
    assert design.detector.read_noise == 6.0


def test_one_number_of_neurons_makes_a_square(tmp_path):
    assert load_design(write(tmp_path, BASE.replace("[64, 128]", "64"))).optics.neurons == (64, 64)


def test_left_out_keys_take_their_defaults(tmp_path):
    design = load_design(write(tmp_path, BASE))
    assert (design.fabrication.medium, design.optics.start, design.optics.propagator) == (
        "air",
        "rippled",
        "auto",
    )
    assert (design.slm.two_pi_grey, design.training.batch, design.evaluation.random_masks) == (256, 4, 1)
    assert (design.training.stages["first"].noise, design.training.stages["first"].quantised) == (True, False)


def test_stages_keep_the_order_of_the_file(tmp_path):
    assert list(load_design(write(tmp_path, BASE)).training.stages) == ["first", "both"]


def test_design_cannot_be_changed(tmp_path):
    design = load_design(write(tmp_path, BASE))
    with pytest.raises(ValidationError, match="frozen"):
        design.optics.layers = 3


def test_default_design_is_the_published_system():
    design = load_design(DEFAULT)
    optics = design.optics
    assert (optics.layers, optics.neurons) == (5, (256, 256))
    assert (optics.pitch, optics.input_gap, optics.layer_gap, optics.detector_gap) == (
        316.4e-9,
        3.373e-6,
        3.373e-6,
        5.904e-6,
    )
    assert design.light.wavelength == 632.8e-9
    assert design.detector.binning**2 == 64
    assert list(design.training.stages.values())[-1].quantised


def test_default_design_names_its_schema_first():
    assert DEFAULT.read_text(encoding="utf-8").startswith("#:schema ../docs/design.schema.json\n")


# --set


def test_panel_with_a_grey_for_each_level_is_accepted(tmp_path):
    assert load_design(write(tmp_path, BASE), ["slm.two_pi_grey=8"]).slm.two_pi_grey == 8


def test_overrides_are_read_as_toml_or_as_text(tmp_path):
    path = write(tmp_path, BASE)
    changes = [
        "optics.layers=3",
        "light.wavelength = 500 nm",
        'name="other"',
        "optics.neurons=[128, 64]",
        "optics.start=clear",
    ]
    design = load_design(path, changes)
    assert (design.optics.layers, design.optics.neurons, design.optics.start) == (3, (128, 64), "clear")
    assert (design.light.wavelength, design.name) == (5e-7, "other")


def test_later_overrides_win(tmp_path):
    assert load_design(write(tmp_path, BASE), ["optics.layers=3", "optics.layers=4"]).optics.layers == 4


def test_override_may_add_a_table_and_a_stage(tmp_path):
    changes = ["slm.two_pi_grey=218", "training.stages.last={train=['decoder'], loss='l1', steps=1, decoder_rate=0.1}"]
    design = load_design(write(tmp_path, BASE), changes)
    assert design.slm.two_pi_grey == 218
    assert list(design.training.stages) == ["first", "both", "last"]


@pytest.mark.parametrize(
    "changes", list(itertools.permutations(["data.kind=folder", "data.path=a b", 'data.pitch="1 um"']))
)
def test_override_of_a_kind_drops_the_keys_of_the_old_kind(changes, tmp_path):
    design = load_design(write(tmp_path, BASE), changes)
    assert design.data == FolderData(kind="folder", path="a b", pitch="1 um")


def test_override_of_a_kind_works_both_ways(tmp_path):
    path = write(tmp_path, BASE.replace(SYNTHETIC, FOLDER + 'key = "phase"\n'))
    assert load_design(path, ["data.kind=synthetic"]).data == SyntheticData(kind="synthetic")


def test_override_of_the_same_kind_keeps_the_keys(tmp_path):
    assert load_design(write(tmp_path, BASE), ["data.kind=synthetic"]).data == SyntheticData(kind="synthetic", fields=6)


def test_override_of_a_kind_keeps_misspelt_keys_as_problems(tmp_path):
    path = write(tmp_path, BASE.replace(SYNTHETIC, SYNTHETIC + "feilds = 3\n"))
    (problem,) = refused(path, "data.kind=folder", "data.path=x").problems
    assert (problem.key, problem.message) == ("data.feilds", "unknown key 'feilds'")


@pytest.mark.parametrize(
    ("changes", "key", "message", "value"),
    [
        (["optics.layers"], "", "not key=value", "optics.layers"),
        (["=3"], "", "not key=value", "=3"),
        (["optics..layers=3"], "", "not key=value", "optics..layers=3"),
        (["a b=3"], "", "not key=value", "a b=3"),
        ([""], "", "not key=value", ""),
        (["name.first=3"], "name.first", "no keys inside", ""),
        (["optics.layers=33"], "optics.layers", "out of range", "33"),
        (["optics.layers=three"], "optics.layers", "wrong form", '"three"'),
        (["optics.layers="], "optics.layers", "wrong form", '""'),
        (["optics.pitch=3"], "optics.pitch", "no unit", "3"),
        (["optics.pich=3 nm"], "optics.pich", "unknown key", '"3 nm"'),
        (["optic.pitch=3 nm"], "optic", "unknown key", ""),
        (["data.kind=folder"], "data.path", "missing key", ""),
        (["data.kind=foldr"], "data.kind", "unknown kind", '"foldr"'),
        (["data.kind=folder", "data.path=x", "data.fields=3"], "data.fields", "unknown key", "3"),
        (["data.fields=3", "data.path=x", "data.kind=folder"], "data.fields", "unknown key", "3"),
        (["optics.neurons=100"], "detector.binning, optics.neurons", "no whole number", "8, [100, 100]"),
        (["training.stages.both.train=['x']"], "training.stages.both.train[0]", "unknown train", '"x"'),
        (["name=\udcff"], "name", "wrong form", ""),
        ([f"optics.layers={'[' * 5000}"], "optics.layers", "wrong form", "[[["),
        (["name=a\nb=3"], "name", "hold a name", "a"),
        (["optics.layers=3\nb=3"], "optics.layers", "wrong form", '"3\\nb=3"'),
    ],
    ids=lambda value: value[0][:40] if isinstance(value, list) else None,
)
def test_problem_of_an_override_names_set_as_its_source(changes, key, message, value, tmp_path):
    (problem,) = refused(write(tmp_path, BASE), *changes).problems
    assert (problem.source, problem.line, problem.key) == ("--set", None, key)
    assert message in problem.message
    assert value in problem.value
    assert problem.remedy


def test_problem_of_the_file_keeps_its_line_beside_overrides(tmp_path):
    path = write(tmp_path, BASE.replace("layers = 2", "layers = 99"))
    (problem,) = refused(path, "light.wavelength=500 nm").problems
    assert (problem.source, problem.line) == (str(path), 8)


# round trip


def test_resolved_design_reads_back_equal(tmp_path):
    for path, changes in [
        (DEFAULT, []),
        (write(tmp_path, BASE), []),
        (DEFAULT, ["data.kind=folder", 'data.path=C:\\x "é\x7f\t', 'data.phase_range=["-1 deg", "6.28 rad"]']),
    ]:
        design = load_design(path, changes)
        folder = tmp_path / "resolved"
        folder.mkdir(exist_ok=True)
        again = load_design(write(folder, design.to_toml()))
        assert again == design
        assert again.digest() == design.digest()
        assert again.to_toml() == design.to_toml()


positive = st.floats(min_value=1e-12, max_value=1e3)


@settings(deadline=None, max_examples=25)
@given(
    wavelength=st.floats(min_value=0.25e-6, max_value=1.6e-6),
    gaps=st.lists(positive, min_size=4, max_size=4),
    padding=st.floats(min_value=1, max_value=4),
    rate=st.floats(min_value=1e-300, max_value=100),
    photons=st.floats(min_value=1e-3, max_value=1e15),
    noise=st.floats(min_value=0, max_value=1e6),
    text=st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() or "\x7f" in text),
    angles=st.tuples(st.floats(-1e6, 0), st.floats(1e-9, 1e6)),
)
def test_any_design_reads_back_equal(wavelength, gaps, padding, rate, photons, noise, text, angles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("design")
    data = tomllib.loads(BASE)
    data["light"]["wavelength"] = f"{wavelength!r} m"
    for key, gap in zip(("pitch", "input_gap", "layer_gap", "detector_gap"), gaps, strict=True):
        data["optics"][key] = f"{gap!r} m"
    data["optics"]["padding"] = padding
    data["detector"] |= {"max_photons": f"{photons!r} photon", "read_noise": f"{noise:.3f} electron"}
    data["training"]["stages"]["first"]["optics_rate"] = rate
    data["data"] = {"kind": "folder", "path": text, "phase_range": [f"{angle:.12f} rad" for angle in angles]}
    design = Design.model_validate(data)
    assert design.light.wavelength == wavelength
    assert design.data.path == text
    assert load_design(write(folder, design.to_toml())) == design


def test_digest_follows_values_and_the_order_of_stages(tmp_path):
    path = write(tmp_path, BASE)
    digest = load_design(path).digest()
    assert len(digest) == 64
    assert digest == load_design(path, ["light.wavelength=0.6328 um", "slm.two_pi_grey=256"]).digest()
    assert digest != load_design(path, ["light.wavelength=0.6329 um"]).digest()
    stages = BASE[BASE.index("[training.stages.first]") : BASE.index("[evaluation]")]
    first, both = stages.split("[training.stages.both]")
    swapped = BASE.replace(stages, f"[training.stages.both]{both}{first}")
    assert digest != load_design(write(tmp_path, swapped)).digest()


@settings(deadline=None, max_examples=100)
@given(
    position=st.integers(0, len(BASE) - 1),
    length=st.integers(0, 12),
    text=st.text(max_size=6) | st.sampled_from(["]", "[", '"', "=", "{}", "[[", "nan", "1e999", "\n", '"""', "true"]),
)
def test_any_damage_to_the_text_is_a_design_or_a_design_error(position, length, text, tmp_path_factory):
    damaged = BASE[:position] + text + BASE[position + length :]
    path = tmp_path_factory.mktemp("design") / "design.toml"
    path.write_bytes(damaged.encode("utf-8", "surrogatepass"))
    try:
        design = load_design(path)
    except DesignError as error:
        assert all(problem.message for problem in error.problems)
        assert all(line.isprintable() for line in str(error).splitlines())
    else:
        assert isinstance(design.optics, D2NNOptics)


def test_line_numbers_follow_tables_quotes_and_lists():
    text = '\n[a . "b"] # [c]\nx.y = 1\n"z" = [\n  [1, 2],\n]\nt = {u = 1}\n[[c]]\nx=2'
    assert line_numbers(text) == {
        ("a", "b"): 2,
        ("a", "b", "x", "y"): 3,
        ("a", "b", "z"): 4,
        ("a", "b", "t"): 7,
        ("c",): 8,
        ("c", "0"): 8,
        ("c", "0", "x"): 9,
    }


def test_line_numbers_pass_over_what_stands_inside_values():
    text = """\
[a]
title = '''
[b]
x = 1
'''
note = \"\"\"# no comment [
y = 2 \\\"\"\" \"\"\"  # ]
list = [
  \"k = [\",  # [
  [\"c\"],
  {z = 3},
  'd = 4',
]
last = 1
"""
    keys = {("a",): 1, ("a", "title"): 2, ("a", "note"): 6, ("a", "list"): 8, ("a", "last"): 14}
    assert line_numbers(text) == keys
    assert set(tomllib.loads(text)["a"]) == {path[1] for path in keys if len(path) > 1}


# the schema for editors


def test_schema_describes_every_table_and_refuses_unknown_keys():
    schema = design_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["required"]) == {
        "name",
        "light",
        "optics",
        "fabrication",
        "detector",
        "decoder",
        "data",
        "training",
    }
    assert all(table["additionalProperties"] is False for table in schema["$defs"].values())
    assert schema["$defs"]["Light"]["properties"]["wavelength"]["type"] == "string"
    assert "fused silica" in schema["$defs"]["Fabrication"]["properties"]["material"]["oneOf"][0]["enum"]


def test_every_key_in_the_schema_has_an_example():
    for table in design_schema()["$defs"].values():
        for key, field in table["properties"].items():
            holds_tables = "$ref" in json.dumps(field)
            assert holds_tables or field["examples"], f"{table['title']}.{key} has no example"
