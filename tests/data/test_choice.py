"""Which arrays of a file are taken: by key, by pattern, by name, with what belongs to them."""

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

from opticdesign.data import Asked, Conventions, load_fields, split_fields
from opticdesign.data.folder import load_file
from opticdesign.data.record import FileRecord
from opticdesign.errors import DataError


def phase(seed=0, shape=(24, 20)):
    return np.random.default_rng(seed).random(shape).cumsum(0) / 8


def series(path, count=12, inner="phase/raw"):
    with h5py.File(path, "w") as file:
        for i in range(count):
            file[f"{i}/{inner}"] = phase(i)
            file[f"{i}/amplitude/raw"] = np.full((24, 20), 0.9 + 0.001 * i)
            file[f"{i}/mask"] = phase(i) > 0.01


def load(path, key=None, **options):
    return load_fields(path, Asked(1e-6, 1e-6, key, Conventions(**options)))


def test_a_pattern_takes_every_match_with_its_amplitude_and_mask(tmp_path):
    series(tmp_path / "s.h5")
    fields = load(tmp_path / "s.h5", "*/phase/raw")
    assert [field.name for field in fields] == [f"s.h5:{i}/phase/raw" for i in range(12)]  # 10 after 9, not after 1
    for i, field in enumerate(fields):
        np.testing.assert_allclose(field.phase_rad, phase(i), rtol=1e-6)
        assert field.amplitude.max() == np.float32(0.9 + 0.001 * i)
        np.testing.assert_array_equal(field.valid, phase(i) > 0.01)
    assert {field.source for field in fields} == {"s.h5"}


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".h5"])
def test_many_maps_in_one_file_name_the_pattern_that_takes_them_all(tmp_path, suffix):
    path, arrays = tmp_path / f"s{suffix}", {f"patch_{i:02d}": phase(i) for i in range(60)}
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".mat":
        savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    with pytest.raises(DataError, match=r'60 images(.*\n)*.*data.key = "patch_\*" for 60 maps'):
        load(path)
    fields = load(path, "patch_*")
    np.testing.assert_array_equal(fields[59].phase_rad, phase(59).astype(np.float32))
    split = split_fields(fields, (0.5, 0.25, 0.25), "map", (8, 8))
    assert [len(part) for part in split] == [30, 15, 15]
    assert len({field.name for part in split for field in part}) == 60
    with pytest.raises(DataError, match=r'1 file cannot be dealt out(.*\n)*.*split_by = "map".*60 maps'):
        split_fields(fields, (0.5, 0.25, 0.25), "file", (8, 8))
    with pytest.raises(DataError, match=r'use data.split_by = "map"'):
        split_fields(fields, (0.5, 0.25, 0.25), "sector", (16, 16))


def test_a_pattern_without_a_match_lists_what_is_there(tmp_path):
    series(tmp_path / "s.h5", 3)
    with pytest.raises(DataError, match=r"no array matches 'phase/\*'(.*\n)*.*0/phase/raw"):
        load(tmp_path / "s.h5", "phase/*")


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".h5"])
@pytest.mark.parametrize("names", [("phase", "amplitude"), ("Phase", "Amplitude"), ("cell/phase", "cell/amplitude")])
def test_an_amplitude_beside_a_phase_is_used(tmp_path, suffix, names):
    path, amplitude = tmp_path / f"p{suffix}", np.linspace(0.5, 1.0, 20) * np.ones((24, 1))
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file[names[0]], file[names[1]] = phase(), amplitude
    elif suffix == ".npz":
        np.savez(path, **{names[0]: phase(), names[1]: amplitude})
    else:
        savemat(path, {names[0].replace("/", "_"): phase(), names[1].replace("/", "_"): amplitude})
    if suffix == ".mat" and "/" in names[0]:
        return
    (field,) = load(path)
    np.testing.assert_allclose(field.amplitude, amplitude, rtol=1e-6)


@pytest.mark.parametrize("wrong", [np.ones((3, 3)), np.ones((24, 20), np.uint8)])
def test_an_amplitude_that_does_not_fit_is_refused(tmp_path, wrong):
    np.savez(tmp_path / "p.npz", phase=phase(), amplitude=wrong)
    with pytest.raises(DataError, match=r"amplitude of type .*\n.*floats for each of 24 × 20 pixels of phase"):
        load(tmp_path / "p.npz")


@pytest.mark.parametrize("axes", [(1, 24, 20), (1, 1, 24, 20), (24, 20, 1), (1, 24, 20, 1)])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".mat", ".tif"])
def test_axes_of_one_entry_are_left_out(tmp_path, axes, suffix):
    path, array = tmp_path / f"p{suffix}", phase().reshape(axes)
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".npz":
        np.savez(path, phase=array)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["phase"] = array
    elif suffix == ".mat":
        savemat(path, {"phase": phase().reshape(24, 20, *[1] * (len(axes) - 2))})
    else:
        tifffile.imwrite(path, array.astype(np.float32))
    (field,) = load(path)
    assert field.name == path.name
    np.testing.assert_allclose(field.phase_rad, phase(), rtol=1e-6)


@pytest.mark.parametrize("maps", [3, 10])
def test_a_last_axis_that_counts_is_refused_with_the_remedy(tmp_path, maps):
    np.save(tmp_path / "p.npy", phase(0, (24, 20, maps)))
    with pytest.raises(DataError, match=rf"its last axis seems to count(.*\n)*.*moveaxis.*\({maps}, 24, 20\)"):
        load(tmp_path / "p.npy")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_first_axis_that_counts_is_refused_in_matlab_files(tmp_path, version):
    stack = np.stack([phase(0, (24, 20))] * 8)  # (n, y, x), as Python has it
    if version == "5":
        savemat(tmp_path / "p.mat", {"phase": stack})
    else:
        with h5py.File(tmp_path / "p.mat", "w") as file:
            file["phase"] = stack.transpose()
    with pytest.raises(DataError, match=r"its first axis seems to count(.*\n)*.*moveaxis.*\(24, 20, 8\)"):
        load(tmp_path / "p.mat")


def test_a_fifo_is_no_data(tmp_path):
    import os

    os.mkfifo(tmp_path / "p.npy")
    with pytest.raises(DataError, match="no file and no folder"):
        load(tmp_path / "p.npy")


def test_keys_that_say_nothing_are_said_to_do_so(tmp_path):
    np.save(tmp_path / "p.npy", phase())
    record = FileRecord("p.npy")
    load_file(tmp_path / "p.npy", Asked(conventions=Conventions(complex_kind="field", wrapped="unwrap")), record)
    assert any("data.complex says nothing here" in note for note in record.notes)
    assert any('data.wrapped = "unwrap", though no jumps' in note for note in record.notes)


def test_an_amplitude_beside_a_field_is_left_out(tmp_path):
    np.savez(tmp_path / "p.npz", phase=0.8 * np.exp(1j * phase()), amplitude=np.full((24, 20), 0.5))
    record = FileRecord("p.npz")
    (field,) = load_file(tmp_path / "p.npz", Asked(conventions=Conventions(complex_kind="field")), record)
    assert field.amplitude.max() == pytest.approx(0.8)
    assert {one.name: one.taken for one in record.arrays} == {"phase": "map", "amplitude": ""}


def test_a_key_that_says_nothing_is_said_to_do_so(tmp_path):
    np.save(tmp_path / "p.npy", phase())
    record = FileRecord("p.npy")
    load_file(tmp_path / "p.npy", Asked(key="phase"), record)
    assert any("data.key = 'phase' says nothing" in note for note in record.notes)


def test_the_record_says_what_was_taken_and_why(tmp_path):
    series(tmp_path / "s.h5", 3)
    record = FileRecord("s.h5")
    load_file(tmp_path / "s.h5", Asked(key="*/phase/raw"), record)
    assert {one.name: one.taken for one in record.arrays if one.name.startswith("0/")} == {
        "0/phase/raw": "map",
        "0/amplitude/raw": "amplitude",
        "0/mask": "mask",
    }
    assert record.why == "data.key = '*/phase/raw' matches 3 arrays"
    assert (record.maps, record.shape) == (3, (24, 20))


@pytest.mark.parametrize("kind", ["external", "virtual", "link"])
def test_arrays_of_other_files_are_not_read_in(tmp_path, kind):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["phase"] = phase()
    with h5py.File(tmp_path / "p.h5", "w") as file:
        if kind == "link":
            file["phase"] = h5py.ExternalLink(other, "phase")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((24, 20), "f8")
            layout[:] = h5py.VirtualSource(other, "phase", (24, 20))
            file.create_virtual_dataset("phase", layout)
        else:
            file.create_dataset("phase", (24, 20), "f8", external=[(str(other), 2048, 24 * 20 * 8)])
    for name in ("p.h5", "p.mat"):
        (tmp_path / "p.h5").rename(tmp_path / name)
        with pytest.raises(DataError, match=r"kept in other files|no array named"):
            load(tmp_path / name)
        (tmp_path / name).rename(tmp_path / "p.h5")


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".mat", ".png"])
def test_small_files_that_unpack_to_gigabytes_are_refused_before_memory_is_taken(tmp_path, suffix):
    path = tmp_path / f"z{suffix}"
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("phase", (40_000, 40_000), "f8", chunks=True, compression="gzip")
    elif suffix == ".npz":
        np.savez_compressed(path, phase=np.zeros((8_000, 6_000)))
    elif suffix == ".png":
        Image.fromarray(np.zeros((10_000, 9_000), np.uint8)).save(path)
    else:
        savemat(path, {"phase": np.zeros((8_000, 6_000))}, do_compression=True)
    with pytest.raises(DataError, match=r"unpack to [\d.]+ GiB"):
        load(path)
