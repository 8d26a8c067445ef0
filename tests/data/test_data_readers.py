import pickle

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

from opticdesign.data import Asked, Conventions, load_fields
from opticdesign.data.choice import choose
from opticdesign.data.readers import open_contents, suffixes
from opticdesign.errors import DataError


def phase():
    return np.random.default_rng(0).random((20, 16)).astype(np.float32)


def write_h5(path):
    with h5py.File(path, "w") as file:
        file["phase"] = phase()
        file.create_dataset("packed/phase", data=phase(), compression="gzip", shuffle=True)


WHOLE = {
    "a.npy": lambda path: np.save(path, phase()),
    "a.npz": lambda path: np.savez(path, phase=phase(), mask=phase() > 0.1),
    "b.npz": lambda path: np.savez_compressed(path, phase=phase()),
    "a.tif": lambda path: tifffile.imwrite(path, phase()),
    "b.tif": lambda path: tifffile.imwrite(path, phase(), compression="zlib"),
    "lzw.tif": lambda path: tifffile.imwrite(path, phase(), compression="lzw", predictor=True),
    "a.png": lambda path: Image.fromarray((phase() * 60000).astype(np.uint16)).save(path),
    "a.mat": lambda path: savemat(path, {"E_field": phase() + 1j * phase()}, do_compression=True),
    "b.mat": lambda path: savemat(path, {"E_field": phase() + 1j * phase()}),
    "c.mat": write_h5,
    "a.h5": write_h5,
}


def read_images(path, key=None):
    """The maps (n, y, x) that are taken of a file."""
    with open_contents(path) as contents:
        return np.concatenate([np.array(choice.taken.maps(path)) for choice in choose(path, contents, key)])


def load(path):
    """Fields of a file, or None where it is refused as it should be."""
    grey = (
        Conventions(phase_range_rad=(0.0, 9.0))
        if path.suffix == ".png"
        else Conventions(complex_kind="amplitude+phase")
    )
    try:
        return load_fields(path, Asked(1e-6, 1e-6, conventions=grey))
    except DataError as problem:
        assert str(path.name) in str(problem)
        assert len(str(problem)) < 800
        return None


@pytest.mark.parametrize("name", WHOLE)
def test_truncated_file_is_refused_or_still_whole(tmp_path, name):
    path = tmp_path / name
    WHOLE[name](path)
    content, whole = path.read_bytes(), load(path)
    assert whole is not None
    lengths = sorted({0, 1, 7, *np.linspace(8, len(content) - 1, 40).astype(int).tolist()})
    for length in lengths:
        path.write_bytes(content[:length])
        fields = load(path)
        if fields is not None:  # what was cut off can be an index that the reader does without
            assert length > len(content) - 200
            np.testing.assert_array_equal(fields[0].phase_rad, whole[0].phase_rad)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"{name}: "):
        read_images(path)


@pytest.mark.filterwarnings("ignore")  # a reader may warn of what it finds in a damaged file
@pytest.mark.parametrize("name", WHOLE)
def test_damaged_file_gives_fields_or_a_data_error(tmp_path, name):
    path = tmp_path / name
    WHOLE[name](path)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(min(len(content), 700), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        for field in load(path) or []:
            assert np.isfinite(field.phase_rad).all()


@pytest.mark.parametrize("suffix", suffixes())
def test_file_of_another_kind_is_refused(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    for content in (b"", b"hello\n" * 50, b"\x00" * 400):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"x{suffix}: cannot be read"):
            read_images(path)


@pytest.mark.parametrize("suffix", suffixes())
def test_missing_file_is_named(tmp_path, suffix):
    with pytest.raises(DataError, match=rf"gone{suffix}: no such file\n.*data.path"):
        read_images(tmp_path / f"gone{suffix}")


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.npy.gz"])
def test_unknown_type_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=rf"{name}: a file of type .*\n.*\.npy, \.npz"):
        read_images(tmp_path / name)


class Trap:
    """Unpickled, it would raise KeyboardInterrupt, which no reader catches."""

    def __reduce__(self):
        return (_spring, ())


def _spring():
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["o.npy", "o.npz"])
def test_pickled_objects_are_never_loaded(tmp_path, name):
    array = np.array([[Trap()]], dtype=object)
    (np.save if name == "o.npy" else np.savez)(tmp_path / name, array)
    with pytest.raises(DataError, match=rf"{name}: cannot be read: .*[Oo]bject"):
        read_images(tmp_path / name)
    (tmp_path / "p.npy").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="cannot be read"):
        read_images(tmp_path / "p.npy")


def test_header_that_promises_more_than_the_file_takes_no_memory(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((100, 100), np.float32))
    path.write_bytes(path.read_bytes().replace(b"(100, 100), }    ", b"(1000000, 900000)"[:11] + b"00), }"))
    with pytest.raises(DataError, match=r"a.npy: cannot be read"):
        read_images(path)


def test_tif_that_promises_a_giant_image_is_refused_at_once(tmp_path):
    path = tmp_path / "a.tif"
    WHOLE["b.tif"](path)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageLength"].overwrite(2**31 - 1)
    with pytest.raises(DataError, match=r"a.tif: an image of .* pixels with parts missing"):
        read_images(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_colour_png_is_refused(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "c.png")
    with pytest.raises(DataError, match=r"c.png: a colour, .*\n.*grey"):
        read_images(tmp_path / "c.png")


def test_colour_tif_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"c.tif: a colour"):
        read_images(tmp_path / "c.tif")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4), np.int32), r'numbers of type int32, 0 … 0(.*\n)*.*set data.unit = "nm"'),
        (np.zeros((4, 4), np.bool_), "numbers of type bool"),
        (np.full((4, 4), "a"), "numbers of type <U1"),
        (np.zeros(4), r"an array of shape \(4,\)"),
        (np.zeros((2, 2, 2, 2)), r"an array of shape \(2, 2, 2, 2\)"),
        (np.zeros((4, 0)), r"an array of shape \(4, 0\)|cannot be read"),
    ],
)
def test_array_that_is_no_image_is_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=message):
        load_fields(tmp_path / "a.npy", Asked())


def write(path, **arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".mat":
        savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array


@pytest.mark.parametrize("name", ["k.npz", "k.mat", "k.h5"])
def test_key_picks_the_array(tmp_path, name):
    write(tmp_path / name, phase=phase(), second=phase() + 1, vector=np.zeros((1, 1, 1, 3)))
    np.testing.assert_array_equal(read_images(tmp_path / name, "second"), [phase() + 1])


@pytest.mark.parametrize("name", ["k.npz", "k.mat", "k.h5"])
def test_key_defaults_to_the_only_image(tmp_path, name):
    write(tmp_path / name, height=phase(), mask=phase() > 0.5, counts=np.arange(3))
    np.testing.assert_array_equal(read_images(tmp_path / name), [phase()])
    (field,) = load(tmp_path / name)
    np.testing.assert_array_equal(field.valid, phase() > 0.5)
    assert field.name == name


@pytest.mark.parametrize("name", ["k.npz", "k.mat", "k.h5"])
@pytest.mark.parametrize("key", ["phas", None])
def test_key_that_does_not_decide_lists_the_images(tmp_path, name, key):
    write(tmp_path / name, first=phase(), second=phase(), mask=phase() > 0.5)
    with pytest.raises(DataError, match=rf"{name}: .*\n  expected: one of first, second\n  remedy:   set data.key"):
        read_images(tmp_path / name, key)


@pytest.mark.parametrize("name", ["k.npz", "k.mat", "k.h5"])
def test_container_without_an_image_is_refused(tmp_path, name):
    write(tmp_path / name, text=np.array(3))
    with pytest.raises(DataError, match=rf"{name}: no array named"):
        read_images(tmp_path / name)


@pytest.mark.parametrize("mask", [np.ones((3, 3), np.bool_), phase()])
def test_mask_that_does_not_fit_is_refused(tmp_path, mask):
    np.savez(tmp_path / "m.npz", phase=phase(), mask=mask)
    with pytest.raises(DataError, match=r"m.npz: mask of type .*\n.*20 × 16 pixels"):
        read_images(tmp_path / "m.npz")
