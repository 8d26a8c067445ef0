from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

from opticdesign.data import Asked, Conventions, PatchSampler, Window, grid_patches, load_fields, split_fields
from opticdesign.errors import DataError, UsageError

PITCH_M = 316.4e-9
HELA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hela_tie" / "hela_phase_316nm.npz"


def load(path, **options):
    reading = {name: options.pop(name) for name in ("pitch_m", "design_pitch_m", "key") if name in options}
    asked = {"pitch_m": PITCH_M, "design_pitch_m": PITCH_M} | reading
    return load_fields(path, Asked(**asked, conventions=Conventions(**({"wavelength_m": 632.8e-9} | options))))


def bump(shape=(24, 30), peak=3.0):
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return (peak * np.exp(-2 * (x**2 + y**2))).astype(np.float32)


def write_compound(path, name, values):
    """A complex array as MATLAB 7.3 stores it: pairs of real and imag, axes reversed."""
    pairs = np.empty(values.shape, [("real", "f8"), ("imag", "f8")])
    pairs["real"], pairs["imag"] = values.real, values.imag
    with h5py.File(path, "w") as file:
        file[name] = pairs.T


def write_h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array


WRITERS = {
    "p.npy": lambda path, phase: np.save(path, phase),
    "p.npz": lambda path, phase: np.savez_compressed(path, phase=phase),
    "p.tif": lambda path, phase: tifffile.imwrite(path, phase),
    "p.mat": lambda path, phase: savemat(path, {"phase": phase}),
    "p.h5": lambda path, phase: write_h5(path, phase=phase),
    "p.HDF5": lambda path, phase: write_h5(path, group__only=phase),
}


@pytest.mark.parametrize("name", WRITERS)
def test_phase_in_radians_is_read_as_it_is(tmp_path, name):
    WRITERS[name](tmp_path / name, bump())
    (field,) = load(tmp_path / name)
    np.testing.assert_array_equal(field.phase_rad, bump())
    assert (field.name, field.source) == (name, name)
    assert field.amplitude.min() == field.amplitude.max() == 1.0
    assert field.valid.all()


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "f2"])
def test_floats_of_any_width_and_order_are_a_phase(tmp_path, dtype):
    np.save(tmp_path / "p.npy", bump().astype(dtype))
    np.testing.assert_allclose(load(tmp_path / "p.npy")[0].phase_rad, bump(), atol=2e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", ["p.png", "p.tiff", "p.npy"])
def test_grey_values_span_the_phase_range(tmp_path, name, dtype):
    full = np.iinfo(dtype).max
    grey = np.array([[0, full // 5, full], [full, 0, full // 3]], dtype)
    if name == "p.png":
        Image.fromarray(grey).save(tmp_path / name)
    elif name == "p.tiff":
        tifffile.imwrite(tmp_path / name, grey)
    else:
        np.save(tmp_path / name, grey)
    # A range wider than 2π, since neighbours from end to end of 2π would look wrapped.
    (field,) = load(tmp_path / name, phase_range_rad=(-1.0, 9.0))
    np.testing.assert_allclose(field.phase_rad, -1 + grey * (10 / full), rtol=1e-6, atol=1e-6)


def test_grey_values_without_a_phase_range_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "p.png")
    with pytest.raises(DataError, match=r"p.png: grey values of type uint8 .*\n.*\n.*set data.phase_range = "):
        load(tmp_path / "p.png")


@pytest.mark.parametrize("stored", ["mat", "mat73", "h5", "npy"])
def test_complex_field_is_unwrapped_from_zero(tmp_path, stored):
    amplitude, phase = 1 - bump(peak=0.1), bump((60, 70), 14.0) - 2.0
    field = np.resize(amplitude, phase.shape) * np.exp(1j * phase)
    path = tmp_path / f"f.{stored.removesuffix('73')}"
    if stored == "mat":
        savemat(path, {"field": field})
    elif stored == "mat73":
        write_compound(path, "field", field)
    elif stored == "h5":
        write_h5(path, field=field)
    else:
        np.save(path, field)
    (loaded,) = load(path)
    np.testing.assert_allclose(loaded.phase_rad, phase - phase.min(), atol=1e-5)
    np.testing.assert_allclose(loaded.amplitude, np.abs(field), atol=1e-6)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_mat_e_field_holds_amplitude_and_phase(tmp_path, version):
    amplitude, phase = 1 - bump(peak=0.1), bump(peak=9.0)
    if version == "5":
        savemat(tmp_path / "f.mat", {"E_field": amplitude + 1j * phase, "other": phase})
    else:
        write_compound(tmp_path / "f.mat", "E_field", amplitude + 1j * phase)
    (field,) = load(tmp_path / "f.mat", complex_kind="amplitude+phase")
    np.testing.assert_allclose(field.phase_rad, phase, atol=1e-6)
    np.testing.assert_allclose(field.amplitude, amplitude, atol=1e-6)


def test_mat_e_field_that_is_a_field_is_refused_with_the_remedy(tmp_path):
    savemat(tmp_path / "f.mat", {"E_field": np.exp(1j * bump(peak=3.0))})
    with pytest.raises(DataError, match=r"f.mat: an amplitude of -0.9\d+(.*\n)*.*set data.complex = \"field\"$"):
        load(tmp_path / "f.mat", complex_kind="amplitude+phase")


def test_images_are_brought_to_the_pitch_of_the_design(tmp_path):
    np.savez(tmp_path / "p.npz", phase=bump((90, 120)), mask=bump((90, 120)) > 0.5)
    (field,) = load(tmp_path / "p.npz", pitch_m=0.2e-6, design_pitch_m=0.3e-6)
    assert field.shape == (60, 80)
    np.testing.assert_allclose(field.phase_rad, bump((60, 80)), atol=0.03)
    assert 0.8 < field.valid.mean() / (bump((90, 120)) > 0.5).mean() < 1.0


def test_pitch_defaults_to_that_of_the_design(tmp_path):
    np.save(tmp_path / "p.npy", bump())
    assert load(tmp_path / "p.npy", pitch_m=None)[0].shape == (24, 30)


def test_complex_field_is_resampled_before_it_is_unwrapped(tmp_path):
    np.save(tmp_path / "f.npy", np.exp(1j * bump((120, 120), 20.0)))
    (field,) = load(tmp_path / "f.npy", pitch_m=0.2e-6, design_pitch_m=0.25e-6)
    expected = bump((96, 96), 20.0)
    np.testing.assert_allclose(field.phase_rad, expected - expected.min(), atol=0.15)


@pytest.mark.parametrize("name", ["s.npy", "s.tif", "s.mat"])
def test_stack_gives_numbered_fields_of_one_source(tmp_path, name):
    stack = np.stack([bump(), bump(peak=2.0), bump(peak=1.0)])
    if name == "s.npy":
        np.save(tmp_path / name, stack)
    elif name == "s.tif":
        tifffile.imwrite(tmp_path / name, stack, photometric="minisblack")
    else:
        savemat(tmp_path / name, {"phase": np.moveaxis(stack, 0, -1)})  # MATLAB stacks along its third axis
    fields = load(tmp_path / name)
    assert [field.name for field in fields] == [f"{name}[{i}]" for i in range(3)]
    assert {field.source for field in fields} == {name}
    np.testing.assert_array_equal([field.phase_rad for field in fields], stack)


def test_folder_is_read_in_the_order_of_names(tmp_path):
    for i, name in enumerate(["b.npy", "a.npy", "c.NPY"]):
        np.save(tmp_path / "t.npy", bump(peak=1.0 + i))
        (tmp_path / "t.npy").rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not data")
    (tmp_path / ".hidden.npy").write_bytes(b"not data either")
    (tmp_path / "below.npy").mkdir()
    assert [field.name for field in load(tmp_path)] == ["a.npy", "b.npy", "c.NPY"]


def test_pixels_that_are_not_finite_are_not_valid(tmp_path):
    phase = bump()
    phase[2, 3], phase[5, 6] = np.nan, np.inf
    np.savez(tmp_path / "p.npz", phase=phase, mask=bump() > 0.2)
    (field,) = load(tmp_path / "p.npz")
    np.testing.assert_array_equal(field.valid, (bump() > 0.2) & np.isfinite(phase))
    assert field.phase_rad[2, 3] == field.phase_rad[5, 6] == 0.0


def test_image_without_a_valid_pixel_is_refused(tmp_path):
    np.save(tmp_path / "p.npy", np.full((8, 8), np.nan))
    with pytest.raises(DataError, match=r"p.npy: no valid pixel"):
        load(tmp_path / "p.npy")


def test_wrapped_phase_is_refused_with_the_remedy(tmp_path):
    np.save(tmp_path / "p.npy", np.angle(np.exp(1j * bump((80, 80), 15.0))))
    with pytest.raises(DataError, match=r"p.npy: .*looks wrapped(.*\n)*.*complex field"):
        load(tmp_path / "p.npy")


def test_a_rare_steep_step_is_no_wrap(tmp_path):
    phase = np.zeros((60, 60))
    phase[30, 30] = 6.0
    np.save(tmp_path / "p.npy", phase)
    assert load(tmp_path / "p.npy")[0].phase_rad.max() == 6.0


def test_numbers_too_large_for_a_phase_are_refused(tmp_path):
    np.save(tmp_path / "p.npy", np.full((4, 4), 1e300))
    with pytest.raises(DataError, match=r"p.npy: a phase of 1e\+300 rad"):
        load(tmp_path / "p.npy")


def test_pitch_that_asks_for_a_giant_image_is_refused(tmp_path):
    np.save(tmp_path / "p.npy", bump())
    with pytest.raises(DataError, match=r"24 × 30 pixels become(.*\n)*.*check data.pitch"):
        load(tmp_path / "p.npy", pitch_m=1e-3, design_pitch_m=1e-9)


@pytest.mark.parametrize("pitch_m", [0.0, -1e-6, float("nan")])
def test_pitch_that_is_not_positive_is_refused(tmp_path, pitch_m):
    with pytest.raises(UsageError, match="pitches of"):
        load(tmp_path, pitch_m=pitch_m)


def test_folder_without_data_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not data")
    with pytest.raises(DataError, match=r"no data file in the folder\n.*\.npy"):
        load(tmp_path)


@pytest.mark.skipif(not HELA.exists(), reason="the measured HeLa phase image is not beside this checkout")
def test_measured_hela_image_gives_patches_for_every_sector():
    fields = load(HELA)
    assert [field.shape for field in fields] == [(941, 941)]
    assert 0.5 < fields[0].valid.mean() < 0.6
    split = split_fields(fields, (0.5, 0.25, 0.25), "sector", (256, 256))
    counts = [PatchSampler(part, Window((256, 256))).positions for part in split]
    assert min(counts) > 100
    amplitude, phase = grid_patches(split.test, Window((256, 256)), 64)
    assert len(phase) >= 2
    np.testing.assert_allclose(amplitude, 1.0, atol=1e-6)
    assert 0.3 < phase.std() < 1.2


@pytest.mark.parametrize("name", ["nowhere", "nowhere.npy", "nowhere/deeper"])
def test_a_path_that_is_not_there_is_said_to_be_so(tmp_path, name):
    with pytest.raises(DataError, match=r"no such file or folder(.|\n)*check data.path"):
        load(tmp_path / name)
