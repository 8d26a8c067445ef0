"""How files reach their folder: all or nothing, and nothing of the user's is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import opticdesign.handover.export as export
import opticdesign.handover.export_folder as export_folder
from opticdesign.errors import RunError, StorageError, UsageError
from opticdesign.fabrication.process import FabricationProcess
from opticdesign.handover.export import ExportedFile, ExportJob, WrittenFiles, export_design, exporters, verify_files
from opticdesign.handover.manifest import MANIFEST_NAME, load_manifest


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Broken:
    """An exporter whose write fails half way."""

    name, summary = "broken", "fails"

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def write(self, job, folder):
        (folder / "half.bin").write_bytes(b"half")
        raise self.failure


class Rogue:
    """An exporter that reports a chosen path."""

    name, summary = "rogue", "reports any path"

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, job, folder):
        (folder / "gds").mkdir(exist_ok=True)
        (folder / self.path).write_bytes(b"x")
        return WrittenFiles([ExportedFile(self.path, "a file", "none")], {})


@pytest.fixture
def install(monkeypatch):
    """`install(exporter)` adds an exporter to those that are found."""

    def add(exporter) -> None:
        known = exporters() | {exporter.name: exporter}
        monkeypatch.setattr(export, "exporters", lambda: known)

    return add


def test_a_failed_export_leaves_nothing(install, make_job, tmp_path):
    install(Broken(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(StorageError, match="export failed: No space left on device"):
        export_design(make_job(), ["gds", "broken"], tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_an_earlier_one_as_it_was(install, make_job, tmp_path):
    job = make_job()
    export_design(job, ["slm"], tmp_path / "x", {})
    before = tree(tmp_path / "x")
    install(Broken(RuntimeError("stopped")))
    with pytest.raises(RuntimeError, match="stopped"):
        export_design(job, ["slm", "broken"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == before
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_export_stopped_before_its_manifest_can_be_repeated(make_job, tmp_path, monkeypatch):
    export_design(make_job(seed=1), ["gds", "slm"], tmp_path / "x", {})
    job = make_job(seed=2)
    with monkeypatch.context() as patch:
        patch.setattr(export_folder, "_write_manifest", lambda *_: (_ for _ in ()).throw(OSError("stopped")))
        with pytest.raises(StorageError, match="stopped"):
            export_design(job, ["gds", "slm"], tmp_path / "x", {})
    assert not all(check.ok for check in verify_files(tmp_path / "x", job.levels, job.process))
    export_design(job, ["gds", "slm"], tmp_path / "x", {})
    assert all(check.ok for check in verify_files(tmp_path / "x", job.levels, job.process))


def test_formats_exported_earlier_are_kept(make_job, tmp_path):
    job = make_job()
    export_design(job, ["slm"], tmp_path / "x", {})
    manifest = export_design(job, ["gds"], tmp_path / "x", {})
    assert [record.exporter for record in manifest.exports] == ["gds", "slm"]
    assert load_manifest(tmp_path / "x") == manifest
    checks = verify_files(tmp_path / "x", job.levels, job.process)
    assert [(check.exporter, check.ok) for check in checks] == [("gds", True), ("slm", True)]


def test_exporting_again_changes_nothing(make_job, tmp_path):
    job = make_job()
    export_design(job, ["gds", "heightmap", "slm"], tmp_path / "x", {})
    before = tree(tmp_path / "x")
    export_design(job, ["gds", "heightmap", "slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == before
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_new_design_replaces_unchanged_files_and_removes_stale_ones(make_job, tmp_path):
    export_design(make_job(shape=(3, 9, 9), name="old"), ["gds", "slm"], tmp_path / "x", {})
    job = make_job(shape=(2, 9, 9), name="new")
    export_design(job, ["gds", "slm"], tmp_path / "x", {})
    layout = {"gds/new.gds", "gds/new.lyp", "gds/layers.csv"}
    assert set(tree(tmp_path / "x")) == {MANIFEST_NAME, *layout, "slm/layer1.png", "slm/layer2.png"}
    assert all(check.ok for check in verify_files(tmp_path / "x", job.levels, job.process))


def test_files_of_another_design_are_not_mixed(make_job, tmp_path):
    export_design(make_job(seed=1), ["gds", "slm"], tmp_path / "x", {})
    before = tree(tmp_path / "x")
    with pytest.raises(RunError, match=r"holds slm files of another design \(levels_sha256 differs\)"):
        export_design(make_job(seed=2), ["gds"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == before


def test_a_file_the_user_changed_is_not_replaced(make_job, tmp_path):
    job = make_job()
    export_design(job, ["gds", "slm"], tmp_path / "x", {})
    (tmp_path / "x/slm/layer2.png").write_bytes(b"my own")
    before = tree(tmp_path / "x")
    with pytest.raises(RunError, match=r"layer2\.png: changed since it was exported; it is left as it is"):
        export_design(job, ["gds", "slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == before


def test_a_stale_file_the_user_changed_is_not_removed(make_job, tmp_path):
    export_design(make_job(shape=(3, 9, 9)), ["slm"], tmp_path / "x", {})
    (tmp_path / "x/slm/layer3.png").write_bytes(b"my own")
    before = tree(tmp_path / "x")
    with pytest.raises(RunError, match=r"layer3\.png: changed since it was exported"):
        export_design(make_job(shape=(2, 9, 9)), ["slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == before


def test_a_foreign_file_is_not_replaced(make_job, tmp_path):
    (tmp_path / "x/gds").mkdir(parents=True)
    (tmp_path / "x/gds/d2nn5.gds").write_bytes(b"my own")
    with pytest.raises(RunError, match=r"d2nn5\.gds: not an export; it is left as it is\n  remedy: .*--to DIR"):
        export_design(make_job(), ["gds", "slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == {"gds/d2nn5.gds": b"my own"}


def test_foreign_files_beside_an_export_stay(make_job, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/notes.txt").write_bytes(b"my own")
    job = make_job()
    export_design(job, ["slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x")["notes.txt"] == b"my own"
    assert all(check.ok for check in verify_files(tmp_path / "x", job.levels, job.process))


@pytest.mark.parametrize("content", [b"{}", b"", b"my own", b"\xff\xfe"])
def test_a_foreign_manifest_is_not_replaced(content, make_job, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(RunError, match=r"manifest\.json: not a manifest of an export"):
        export_design(make_job(), ["slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == {MANIFEST_NAME: content}


def test_a_file_in_place_of_the_folder_is_refused(make_job, tmp_path):
    (tmp_path / "x").write_bytes(b"my own")
    with pytest.raises(RunError, match="x: not a folder"):
        export_design(make_job(), ["slm"], tmp_path / "x", {})
    assert (tmp_path / "x").read_bytes() == b"my own"


def test_a_file_in_place_of_a_subfolder_is_refused(make_job, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/slm").write_bytes(b"my own")
    with pytest.raises(RunError, match="through a link or below a file"):
        export_design(make_job(), ["slm"], tmp_path / "x", {})
    assert tree(tmp_path / "x") == {"slm": b"my own"}


def test_a_folder_in_place_of_a_file_is_refused(make_job, tmp_path):
    (tmp_path / "x/slm/layer1.png").mkdir(parents=True)
    with pytest.raises(RunError, match=r"layer1\.png: not a plain file"):
        export_design(make_job(), ["slm"], tmp_path / "x", {})


def test_nothing_is_written_through_a_link(make_job, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "x/slm").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="through a link"):
        export_design(make_job(), ["slm"], tmp_path / "x", {})
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_in_place_of_a_file_is_refused(make_job, tmp_path):
    export_design(make_job(), ["slm"], tmp_path / "other", {})
    (tmp_path / "x/slm").mkdir(parents=True)
    (tmp_path / "x/slm/layer1.png").symlink_to(tmp_path / "other/slm/layer1.png")  # even with the same content
    with pytest.raises(RunError, match=r"layer1\.png: not a plain file"):
        export_design(make_job(), ["slm"], tmp_path / "x", {})


def test_a_linked_target_folder_is_followed(make_job, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "x").symlink_to(tmp_path / "real")
    export_design(make_job(), ["slm"], tmp_path / "x", {})
    assert (tmp_path / "real" / MANIFEST_NAME).is_file() and (tmp_path / "x").is_symlink()


def test_missing_parents_are_made_with_usual_permissions(make_job, tmp_path):
    export_design(make_job(), ["slm"], tmp_path / "a/b/x", {})
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a/b/x").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_relative_folder_works(make_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export_design(make_job(), ["slm"], Path("x"), {})
    assert (tmp_path / "x" / MANIFEST_NAME).is_file()


@pytest.mark.parametrize("names", [["dxf"], ["gds", "dxf"]])
def test_an_unknown_exporter_is_named_before_anything_is_written(names, make_job, tmp_path):
    with pytest.raises(UsageError, match=r"unknown exporter 'dxf'\n  expected: one or more of .*gds.* slm"):
        export_design(make_job(), names, tmp_path / "x", {})
    assert not list(tmp_path.iterdir())


def test_no_exporter_at_all_is_refused(make_job, tmp_path):
    with pytest.raises(UsageError, match="no exporter is named"):
        export_design(make_job(), [], tmp_path / "x", {})


def test_an_uninstalled_checkout_says_how_to_install(monkeypatch):
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: ())
    with pytest.raises(UsageError, match=r"install with pip install -e \."):
        exporters()


def test_an_exporter_that_does_not_load_is_named(monkeypatch):
    from importlib.metadata import EntryPoint

    broken = EntryPoint("lab", "no_such_module:Writer", "opticdesign.exporters")
    monkeypatch.setattr("opticdesign.plugins.entry_points", lambda group: (broken,))
    with pytest.raises(UsageError, match=r"the exporter 'lab' .* cannot be loaded"):
        exporters()


@pytest.mark.parametrize("path", ["../rogue.bin", "manifest.json", "gds/d2nn5.gds"])
def test_an_exporter_cannot_leave_its_folder_or_take_anothers_file(path, install, make_job, tmp_path):
    install(Rogue(path))
    with pytest.raises(UsageError, match="this export cannot be recorded"):
        export_design(make_job(), ["gds", "rogue"], tmp_path / "x", {})
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"levels": np.zeros((1, 4, 4), np.int64)}, "levels of type int64"),
        ({"levels": np.zeros((4, 4), np.uint8)}, r"shape \(4, 4\)"),
        ({"levels": np.zeros((0, 4, 4), np.uint8)}, r"shape \(0, 4, 4\)"),
        ({"levels": np.full((1, 4, 4), 8, np.uint8)}, "level 8 of a process with 8 levels"),
        ({"pitch_m": (0.0, 1e-6)}, "a pitch of 0.0 m"),
        ({"pitch_m": (1e-6, float("nan"))}, "a pitch of nan m"),
        ({"pitch_m": (float("inf"), 1e-6)}, "a pitch of inf m"),
        ({"two_pi_grey": 1}, "1 grey levels"),
        ({"two_pi_grey": 257}, "257 grey levels"),
        ({"name": ""}, "the name ''"),
        ({"name": "a\nb"}, "the name"),
    ],
)
def test_a_job_that_cannot_be_is_refused(changes, why):
    arguments = {
        "name": "d2nn5",
        "levels": np.zeros((1, 4, 4), np.uint8),
        "process": FabricationProcess(8, 632.8e-9, 1.457),
        "pitch_m": (1e-6, 1e-6),
    } | changes
    with pytest.raises(UsageError, match=why):
        ExportJob(**arguments)
