import math
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from opticdesign.errors import UnitError
from opticdesign.units import Angle, Electrons, Length, Photons, format_length, quantity

BROKEN = [
    ("1e400 nm", "out of bounds", "a length", "exponent"),
    ("1e-400 nm", "out of bounds", "a length", "exponent"),
    ("2e6 m", "out of bounds", "a length", "unit"),
    ("1e9999 nm", "not a length", "a length", "one decimal number"),
    ("nm", "not a length", "a length", '"1 nm"'),
    ("9**9**9 m", "not a length", "a length", "without operators"),
    ("30 mm +- 1 mm", "not a length", "a length", "uncertainties"),
    ("3 m**2", "not a length", "a length", "one unit"),
    ("3 nm/s", "not a length", "a length", "one unit"),
    ("((((3 nm))))", "not a length", "a length", "one decimal number"),
    ("(" * 3000, "not a length", "a length", "at most 64 characters"),
    ("632.8", "not a length", "a length", '"632.8 nm"'),
    (632.8, "has no unit", "a length", '"632.8 nm"'),
    (633, "has no unit", "a length", '"633 nm"'),
    (16**5000, "very large number has no unit", "a length", '"632.8 nm"'),
    (True, "has no unit", "a length", '"632.8 nm"'),
    (None, "has no unit", "a length", '"632.8 nm"'),
    (["632.8 nm"], "has no unit", "a length", '"632.8 nm"'),
    ("632.8 kg", "not a length", "a length", "write a length"),
    ("5 percent", "not a length", "a length", "write a length"),
    ("20 degC", "not a length", "a length", "write a length"),
    ("4 furlong", "not a length", "in a unit such as pm, nm", "write a length"),
    ("4 kfurlong", "not a length", "in a unit such as pm, nm", "write a length"),
    ("0.4 THz", "not a length", "a length", "write a length"),
    ("632.8 nn", "unknown unit 'nn'", "a length", "did you mean nm?"),
    ("632.8 is", "unknown unit 'is'", "a length", "632.8 nm"),
    ("632,8 nm", "not a length", "a length", '"632.8 nm"'),
    ("nan nm", "not a length", "a length", "one decimal number"),
    ("inf m", "not a length", "a length", "one decimal number"),
    ("٣ nm", "not a length", "a length", "one decimal number"),
    ("", "not a length", "a length", "one decimal number"),
    ("3\x1b[31m nm\n\n", "not a length", "a length", "one decimal number"),
]


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("632.8 nm", "length", 632.8e-9),
        ("316.4nm", "length", 3.164e-07),
        (" 3.373 µm ", "length", 3.373e-06),
        ("3.373 μm", "length", 3.373e-06),
        ("5904e-3 um", "length", 5.904e-06),
        ("-.5 mm", "length", -5e-4),
        ("+1. m", "length", 1.0),
        ("6328 Å", "length", 6.328e-07),
        ("0 nm", "length", 0.0),
        ("3 in", "length", 0.0762),
        ("1 thou", "length", 2.54e-05),
        ("632.8 nm", "wavelength", 632.8e-9),
        ("0.4 THz", "wavelength", 299_792_458.0 / 0.4e12),
        ("299.792458 GHz", "wavelength", 1e-3),
        ("6.28 rad", "angle", 6.28),
        ("180 deg", "angle", math.pi),
        ("1 mrad", "angle", 1e-3),
        ("10000 photon", "photon", 1e4),
        ("10 kilophotons", "photon", 1e4),
        ("6 electron", "electron", 6.0),
        ("6 electrons", "electron", 6.0),
    ],
)
def test_quantity_is_read_as_the_nearest_si_float(text, dimension, value):
    assert quantity(text, dimension) == value


@pytest.mark.parametrize(("text", "message", "expected", "remedy"), BROKEN, ids=map(str, range(len(BROKEN))))
def test_broken_quantity_names_text_expected_and_remedy(text, message, expected, remedy):
    with pytest.raises(UnitError, match=message) as caught:
        quantity(text, "length")
    error = caught.value
    assert error.exit_code == 2
    assert expected in error.expected
    assert remedy in error.remedy
    lines = str(error).splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() and len(line) < 160 for line in lines)


@pytest.mark.parametrize(
    ("text", "dimension", "noun"),
    [
        ("6.28 nm", "angle", "an angle"),
        ("50 percent", "angle", "an angle"),
        ("0 THz", "wavelength", "a length or a frequency"),
        ("3 rpm", "wavelength", "a length or a frequency"),
        ("5 electron", "photon", "a number of photons"),
        ("5 photon", "electron", "a number of electrons"),
        ("5 count", "photon", "a number of photons"),
    ],
)
def test_quantity_of_another_dimension_is_refused(text, dimension, noun):
    with pytest.raises(UnitError, match=f"is not {noun}"):
        quantity(text, dimension)


@settings(deadline=None, max_examples=60)
@given(st.floats(min_value=1e-20, max_value=1e6) | st.just(0.0), st.sampled_from([1, -1]))
def test_quantity_written_by_repr_comes_back_exactly(size, sign):
    value = sign * size
    assert quantity(f"{value!r} m", "length") == value


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=-(10**9), max_value=10**9), st.integers(min_value=0, max_value=6))
def test_quantity_in_nanometres_is_correctly_rounded(digits, places):
    assert quantity(f"{digits}e-{places} nm", "length") == float(f"{digits}e-{places + 9}")


@settings(deadline=None, max_examples=150)
@given(
    st.text(max_size=70)
    | st.text(alphabet="0123456789.eE+-*/() nmkgµradphoton", max_size=70)
    | st.from_regex(r"[0-9]{1,3} ?[a-zA-Zµ]{1,5}", fullmatch=True)
)
def test_any_text_is_a_finite_number_or_a_unit_error(text):
    try:
        value = quantity(text, "length")
    except UnitError as error:
        assert error.expected
        assert error.remedy
    else:
        assert math.isfinite(value)


@pytest.mark.parametrize(
    ("metres", "text"),
    [
        (316.4e-9, "316.4 nm"),
        (3.373e-6, "3.373 µm"),
        (80.9984e-6, "80.9984 µm"),
        (1e-6, "1 µm"),
        (999.9999999e-9, "1 µm"),
        (100e-9, "100 nm"),
        (0.0, "0 m"),
        (-2e-3, "-2 mm"),
        (1234567.0, "1234570 m"),
        (1.5e-12, "1.5 pm"),
        (2e-15, "0.002 pm"),
    ],
)
def test_format_length_uses_engineering_units(metres, text):
    assert format_length(metres) == text


@settings(deadline=None, max_examples=60)
@given(st.floats(min_value=1e-12, max_value=1e6))
def test_format_length_keeps_six_digits(metres):
    assert quantity(format_length(metres), "length") == pytest.approx(metres, rel=5.1e-6)


class Table(BaseModel):
    length: Length
    angle: Angle
    photons: Photons
    electrons: Electrons


def test_annotated_quantities_are_floats_inside_and_text_with_a_unit_outside():
    table = Table.model_validate(
        {"length": "632.8 nm", "angle": "90 deg", "photons": "100 photon", "electrons": "4 electron"}
    )
    assert (table.length, table.angle, table.photons, table.electrons) == (6.328e-07, math.pi / 2, 100.0, 4.0)
    written = table.model_dump(mode="json")
    assert written["length"] == "6.328e-07 m"
    assert Table.model_validate(written) == table


def test_annotated_quantity_carries_expected_and_remedy_to_pydantic():
    with pytest.raises(ValidationError, match="has no unit") as caught:
        Table.model_validate({"length": 1.0, "angle": "1 rad", "photons": "1 photon", "electrons": "1 electron"})
    (error,) = caught.value.errors()
    assert error["type"] == "quantity"
    assert set(error["ctx"]) == {"message", "expected", "remedy"}


def test_schema_of_a_quantity_is_text_with_an_example():
    schema = Table.model_json_schema()["properties"]["length"]
    assert schema["type"] == "string"
    assert schema["examples"] == ["632.8 nm"]


def test_units_and_design_import_neither_torch_nor_numpy_nor_pint():
    code = (
        "import sys, opticdesign.units, opticdesign.design;"
        "sys.exit(','.join({'torch', 'numpy', 'pint'} & sys.modules.keys()) or 0)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(632.8e-9, "632.8 nm"), ("6.328e-07", "632.8 nm"), (3.373e-6, "3.373 µm"), (1e-4, "100 µm"), (-5e-7, "-500 nm"),
     (0.6328, "0.6328 um"), (3.373, "3.373 um"), (632.8, "632.8 nm"), (0, "0 nm"), (1e-12, "1 pm"), (7e-20, None)],
)  # fmt: skip
def test_a_bare_number_is_given_the_unit_that_suits_its_size(value, text):
    with pytest.raises(UnitError) as caught:
        quantity(value, "length")
    (proposed,) = re.findall(r'"(.*)"', caught.value.remedy)
    assert text in (None, proposed)
    quantity(proposed, "length")  # what is proposed can be read
