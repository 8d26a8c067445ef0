"""3MF packages: opened with trimesh; sizes, and XML that is not what it should be."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
import trimesh

from opticdesign.design import Export
from opticdesign.design.exporting import Print
from opticdesign.errors import VerificationError
from opticdesign.handover.export import export_design, exporters
from opticdesign.handover.manifest import load_manifest

PACKAGE, MODEL = "3mf/layer2.3mf", "3D/3dmodel.model"


def parts_of(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def read(folder):
    return exporters()["3mf"].read(folder, load_manifest(folder))


@pytest.mark.parametrize("magnification", [1.0, 1000.0])
def test_trimesh_sees_a_closed_solid_in_micrometres(magnification, make_job, tmp_path):
    job = make_job(8, (2, 21, 34), spec=Export(print=Print(base="3 um", magnification=magnification)))
    export_design(job, ["3mf"], tmp_path / "x", {})
    for layer, levels in enumerate(torch.from_numpy(job.levels), start=1):
        mesh = trimesh.load_mesh(tmp_path / f"x/3mf/layer{layer}.3mf")
        height = job.process.height_of_level(levels).numpy()
        scale = 1e6 * magnification
        assert mesh.units in ("micron", "microns", "um")
        assert mesh.is_watertight and mesh.is_volume
        assert mesh.volume == pytest.approx((3e-6 + height).sum() * job.pitch_m[0] ** 2 * scale**3, rel=1e-9)
        size = np.array([34 * job.pitch_m[1], 21 * job.pitch_m[0], 3e-6 + height.max()]) * scale
        np.testing.assert_allclose(mesh.bounds, [np.zeros(3), size], rtol=1e-9, atol=0)


def test_it_is_the_solid_of_the_stl(make_job, tmp_path):
    export_design(make_job(8, (1, 9, 7)), ["3mf", "stl"], tmp_path / "x", {})
    package = trimesh.load_mesh(tmp_path / "x/3mf/layer1.3mf")
    facets = trimesh.load_mesh(tmp_path / "x/stl/layer1.stl")
    np.testing.assert_allclose(package.bounds * 1e-3, facets.bounds, rtol=1e-6)
    assert len(package.faces) == len(facets.faces)


def test_the_package_says_how_its_model_is_found(small_of):
    _, folder = small_of("3mf")
    parts = parts_of(folder / PACKAGE)
    assert list(parts) == ["[Content_Types].xml", "_rels/.rels", MODEL]
    assert b'Target="/3D/3dmodel.model"' in parts["_rels/.rels"]
    assert b'Extension="model"' in parts["[Content_Types].xml"]


def test_a_package_packed_again_is_read(small_of):
    job, folder = small_of("3mf")
    rewrite(folder / PACKAGE, parts_of(folder / PACKAGE), zipfile.ZIP_STORED)
    np.testing.assert_array_equal(read(folder).levels, job.levels)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'unit="micron"', b'unit="millimeter"', "not a model of one mesh in micrometres"),
        (b"<vertices>", b"<!DOCTYPE x><vertices>", "not a model of one mesh"),
        (b'<item objectid="1"/>', b'<item objectid="1" transform="2 0 0 0 1 0 0 0 1 0 0 0"/>', "not a model"),
        (b'<triangle v1="0"', b'<triangle v1="-1"', "line [0-9]+: a vertex that is none of the"),
        (b'<triangle v1="0"', b'<triangle v1="999999"', "line [0-9]+: a vertex that is none of the"),
        (b'<triangle v1="0"', b'<triangle v1="0.5"', "line [0-9]+: a vertex that is none of the"),
        (b'<triangle v1="0"', b'<triangle v2="0"', "line [0-9]+: expected 3 numbers"),
        (b'<vertex x="0"', b'<vertex y="0"', "line 6: expected <vertex"),
        (b'<vertex x="0"', b'<vertex x="1e999"', "line 6: expected 3 numbers"),
        (b'<vertex x="0"', b'<vertex x="0.1"', "off the pixel grid"),
        (b'<vertex x="0"', b'<vertex x="&amp;"', "line 6: expected <vertex"),
        (b"</triangles>", b"</triangles><triangles>", "not a model"),
    ],
)
def test_another_model_is_refused(old, new, why, small_of):
    _, folder = small_of("3mf")
    parts = parts_of(folder / PACKAGE)
    assert old in parts[MODEL]
    parts[MODEL] = parts[MODEL].replace(old, new, 1)
    rewrite(folder / PACKAGE, parts)
    with pytest.raises(VerificationError, match=rf"^{PACKAGE}: .*{why}"):
        read(folder)


def test_an_archive_that_unpacks_without_bounds_is_not_unpacked(small_of):
    _, folder = small_of("3mf")
    parts = parts_of(folder / PACKAGE)
    parts[MODEL] = b" " * (1 << 24)
    rewrite(folder / PACKAGE, parts)
    with pytest.raises(VerificationError, match=rf"{MODEL}: more than 164096 bytes"):
        read(folder)


@pytest.mark.parametrize("change", ["extra", "missing", "no archive"])
def test_another_package_is_refused(change, small_of):
    _, folder = small_of("3mf")
    parts = parts_of(folder / PACKAGE)
    if change == "extra":
        parts["Metadata/thumbnail.png"] = b"x"
    else:
        del parts[MODEL]
    rewrite(folder / PACKAGE, parts)
    if change == "no archive":
        (folder / PACKAGE).write_bytes(b"no archive")
    with pytest.raises(VerificationError, match=rf"^{PACKAGE}: (holds|a damaged archive)"):
        read(folder)
