"""What numbers mean: said, certain, or refused with the key that settles it."""

import re

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from opticdesign.data import Asked, Conventions, load_fields
from opticdesign.data.folder import load_file
from opticdesign.data.record import FileRecord
from opticdesign.errors import DataError

WAVELENGTH_M = 632.8e-9


def told(**options):
    return Asked(1e-6, 1e-6, conventions=Conventions(**({"wavelength_m": WAVELENGTH_M} | options)))


def cell(peak=3.0, shape=(48, 40)):
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return peak * np.exp(-3 * (x**2 + y**2))


def read(path, **options):
    record = FileRecord(path.name)
    (field,) = load_file(path, told(**options), record)
    return field, record


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        load_fields(path, told(**options))
    assert str(path) in str(caught.value)
    return str(caught.value)


UNITS = {
    "rad": 1.0,
    "mrad": 1e-3,
    "deg": np.pi / 180,
    "waves": 2 * np.pi,
    "nm": 2 * np.pi * 1e-9 / WAVELENGTH_M,
    "um": 2 * np.pi * 1e-6 / WAVELENGTH_M,
    "mm": 2 * np.pi * 1e-3 / WAVELENGTH_M,
    "m": 2 * np.pi / WAVELENGTH_M,
}


@pytest.mark.parametrize("unit", UNITS)
def test_a_stated_unit_becomes_radians(tmp_path, unit):
    np.save(tmp_path / "p.npy", cell() / UNITS[unit])
    field, record = read(tmp_path / "p.npy", unit=unit)
    np.testing.assert_allclose(field.phase_rad, cell(), rtol=1e-6)
    assert (record.unit, record.unit_said) == (unit, "data.unit")


@pytest.mark.parametrize("unit", ["nm", "deg"])
def test_a_unit_goes_for_whole_numbers_as_well(tmp_path, unit):
    numbers = np.round(cell() / UNITS[unit]).astype(np.uint16)
    np.save(tmp_path / "p.npy", numbers)
    np.testing.assert_allclose(read(tmp_path / "p.npy", unit=unit)[0].phase_rad, numbers * UNITS[unit], rtol=1e-6)


@pytest.mark.parametrize("unit", ["m", "mm", "nm", "deg"])
def test_numbers_in_another_unit_are_refused_with_the_key_and_the_range_it_gives(tmp_path, unit):
    np.save(tmp_path / "p.npy", cell() / UNITS[unit])
    text = refusal(tmp_path / "p.npy")
    assert re.search(rf"looks like .*\b{'degrees' if unit == 'deg' else unit}\b", text)
    assert f'data.unit = "{unit}" (a range of 2.98 rad)' in text
    _, record = read(tmp_path / "p.npy", unit="rad")  # said on purpose: a note
    assert any("it looks like" in note for note in record.notes)


@pytest.mark.parametrize("word", ["a.u.", "px", "OPD [um]", "counts"])
def test_a_stated_unit_that_is_not_known_is_asked_about(tmp_path, word):
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["phase"] = np.linspace(0.0, 2.0, 900).reshape(30, 30)
        file["phase"].attrs["units"] = word
    with pytest.raises(DataError, match=re.escape(f"the file says its unit is {word!r}")) as refused:
        load_fields(tmp_path / "p.h5", Asked())
    assert "data.unit" in str(refused.value)
    assert load_fields(tmp_path / "p.h5", Asked(conventions=Conventions(unit="rad")))


@pytest.mark.parametrize(
    ("word", "factor"),
    [("Rads", 1.0), ("[rad]", 1.0), ("wavelengths", 2 * np.pi), ("λ", 2 * np.pi), ("milliradians", 1e-3), ("UM", None)],
)
def test_stated_units_are_known_by_their_usual_names(tmp_path, word, factor):
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["phase"] = np.linspace(0.0, 0.5, 900).reshape(30, 30)
        file["phase"].attrs["units"] = word
    (field,) = load_fields(tmp_path / "p.h5", Asked(conventions=Conventions(wavelength_m=0.5e-6)))
    assert np.ptp(field.phase_rad) == pytest.approx(0.5 * (factor or 2 * np.pi / 0.5), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "factor"), [("opd_um", 4 * np.pi), ("opd_nm", 4e-3 * np.pi), ("phase_deg", np.pi / 180)]
)
def test_a_unit_in_the_name_of_an_array_counts(tmp_path, name, factor):
    np.savez(tmp_path / "p.npz", **{name: np.linspace(0.0, 15.0, 900).reshape(30, 30)})
    (field,) = load_fields(tmp_path / "p.npz", Asked(conventions=Conventions(wavelength_m=0.5e-6)))
    assert np.ptp(field.phase_rad) == pytest.approx(15.0 * factor, rel=1e-5)


def test_maps_of_several_units_are_asked_about(tmp_path):
    with h5py.File(tmp_path / "p.h5", "w") as file:
        for i in range(3):
            file[f"cell{i}/phase"] = np.linspace(0.0, 2.0, 900).reshape(30, 30)
        file["cell2/phase"].attrs["units"] = "nm"
    with pytest.raises(DataError, match="several units: 'nm', none"):
        load_fields(tmp_path / "p.h5", Asked(key="*/phase"))


@pytest.mark.parametrize("value", [0.0, 1.7])
def test_a_flat_field_is_asked_about(tmp_path, value):
    np.save(tmp_path / "p.npy", np.full((20, 20), value))
    assert "it looks like a flat field" in refusal(tmp_path / "p.npy")
    assert read(tmp_path / "p.npy", unit="rad")[0].phase_rad.max() == np.float32(value)


def test_one_flat_map_among_others_is_no_matter(tmp_path):
    np.save(tmp_path / "p.npy", np.stack([np.zeros((48, 40)), cell()]))
    assert len(load_fields(tmp_path / "p.npy", told())) == 2


@pytest.mark.parametrize("peak", [0.03, 0.5, 6.0, 25.0, 55.0])
def test_plausible_radians_are_taken_and_the_assumption_is_said(tmp_path, peak):
    np.save(tmp_path / "p.npy", cell(peak, (400, 400)) + 0.1)
    _, record = read(tmp_path / "p.npy")
    assert (record.unit, record.unit_said) == ("rad", "assumed")


GREY = np.round(cell(255.0))


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (GREY, "8 bit"),
        (GREY * 16, "12 bit"),
        (GREY / 255.0, "full scale"),
        ((GREY * 257 / 65535).astype("f4"), "full scale"),
    ],
)
def test_grey_values_as_floats_are_refused_or_scaled(tmp_path, values, unit):
    np.save(tmp_path / "p.npy", values)
    for options in ({}, {"phase_range_rad": (0.0, 3.0)}):
        text = refusal(tmp_path / "p.npy", **options)
        assert f'data.unit = "{unit}"' in text and "data.phase_range" in text
    field, _ = read(tmp_path / "p.npy", unit=unit, phase_range_rad=(0.0, 3.0))
    full = {"8 bit": 255, "12 bit": 4095, "full scale": 1}[unit]
    np.testing.assert_allclose(field.phase_rad, 3.0 * values / full, rtol=1e-6)


def test_floats_beside_a_phase_range_are_never_taken_as_radians(tmp_path):
    np.save(tmp_path / "p.npy", np.random.default_rng(0).random((20, 20)))
    assert 'set data.unit = "full scale" if 0 … 1 run over it' in refusal(
        tmp_path / "p.npy", phase_range_rad=(0.0, 3.0)
    )
    np.save(tmp_path / "p.npy", cell())
    assert "remove data.phase_range if they are radians" in refusal(tmp_path / "p.npy", phase_range_rad=(0.0, 3.0))
    assert "remove data.phase_range if they are nm" in refusal(
        tmp_path / "p.npy", phase_range_rad=(0.0, 3.0), unit="nm"
    )


def test_twelve_bits_in_sixteen_are_pointed_out_and_can_be_said(tmp_path):
    grey = np.round(cell(4095.0)).astype(np.uint16)
    np.save(tmp_path / "p.npy", grey)
    _, record = read(tmp_path / "p.npy", phase_range_rad=(0.0, 3.0))
    assert any('data.unit = "12 bit"' in note for note in record.notes)
    field, record = read(tmp_path / "p.npy", phase_range_rad=(0.0, 3.0), unit="12 bit")
    np.testing.assert_allclose(field.phase_rad, 3.0 * grey / 4095, rtol=1e-6)
    assert not record.notes
    assert "values 0 … 4081, where 8 bit ends at 255" in refusal(
        tmp_path / "p.npy", phase_range_rad=(0.0, 3.0), unit="8 bit"
    )


FORMATS = {
    "f.npy": lambda path, field: np.save(path, field),
    "f.npz": lambda path, field: np.savez(path, E_field=field),
    "f.mat": lambda path, field: savemat(path, {"E_field": field}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_complex_array_that_could_be_both_is_asked_about(tmp_path, name):
    phase = cell(1.0)
    FORMATS[name](tmp_path / name, 0.9 * np.exp(1j * phase))
    text = refusal(tmp_path / name)
    assert 'set data.complex = "field" or data.complex = "amplitude+phase"' in text
    assert re.search(r'"field" \(then the phase is 0.00\d+ … 0.99\d+ rad before', text)  # for this very file
    assert re.search(r'"amplitude\+phase" \(then the phase is 0.00\d+ … 0.75\d+ rad, the amplitude 0.48', text)
    as_field, record = read(tmp_path / name, complex_kind="field")
    np.testing.assert_allclose(as_field.phase_rad, phase - phase.min(), atol=1e-6)
    np.testing.assert_allclose(as_field.amplitude, 0.9, atol=1e-6)
    assert (record.kind, record.unit_said) == ("field", "data.complex")
    FORMATS[name](tmp_path / name, 0.9 + 1j * phase)
    assert "data.complex" in refusal(tmp_path / name)
    as_parts, _ = read(tmp_path / name, complex_kind="amplitude+phase")
    np.testing.assert_allclose(as_parts.phase_rad, phase, atol=1e-6)
    np.testing.assert_allclose(as_parts.amplitude, 0.9, atol=1e-6)


def test_a_negative_real_part_settles_it(tmp_path):
    np.save(tmp_path / "f.npy", np.exp(1j * cell(9.0)))
    _, record = read(tmp_path / "f.npy")
    assert (record.kind, record.wrapped) == ("field", "unwrapped")
    text = refusal(tmp_path / "f.npy", complex_kind="amplitude+phase")
    assert re.search(r"an amplitude of -\d", text) and 'set data.complex = "field"' in text


def test_a_few_amplitudes_below_zero_by_noise_settle_nothing(tmp_path):
    amplitude = np.full((48, 40), 1.0)
    amplitude[0, 0] = -0.004
    np.save(tmp_path / "f.npy", amplitude + 1j * cell())
    assert 'data.complex = "amplitude+phase"' in refusal(tmp_path / "f.npy")


def test_the_unit_goes_for_the_phase_of_amplitude_and_phase(tmp_path):
    np.save(tmp_path / "f.npy", 1.0 + 1j * np.degrees(cell()))
    assert "looks like degrees" in refusal(tmp_path / "f.npy", complex_kind="amplitude+phase")
    field, _ = read(tmp_path / "f.npy", complex_kind="amplitude+phase", unit="deg")
    np.testing.assert_allclose(field.phase_rad, cell(), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "nm", "complex_kind": "field"}, "remove data.unit"),
        ({"unit": "12 bit"}, 'remove data.unit = "12 bit"'),
        ({"phase_range_rad": (0.0, 3.0)}, "remove data.phase_range"),
    ],
)
def test_keys_that_mean_nothing_for_a_field_are_refused(tmp_path, options, message):
    np.save(tmp_path / "f.npy", np.exp(1j * cell(9.0)))
    assert message in refusal(tmp_path / "f.npy", **options)


def test_what_lies_outside_the_mask_is_not_judged(tmp_path):
    phase = cell()
    phase[:9] = 1e30
    np.savez(tmp_path / "p.npz", phase=phase, mask=phase < 100)
    field, record = read(tmp_path / "p.npz")
    assert record.phase_rad[1] < 3.0 and field.valid.mean() == pytest.approx(39 / 48)
