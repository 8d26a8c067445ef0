from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opticdesign import storage
from opticdesign.errors import StorageError
from opticdesign.storage import (
    load_checkpoint,
    newest_checkpoint,
    read_record,
    save_checkpoint,
    sha256_file,
    staged_folder,
    storage_errors,
    sweep,
    try_folder,
    write_bytes,
    write_json,
    write_record,
    write_text,
)

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b.step": torch.tensor(7.0), "c": torch.zeros((0, 2))}


def position(total: int) -> dict[str, int]:
    return {"stage": 1, "step": total - 2, "total": total}


def newest_total(folder: Path) -> int:
    """Step of the newest checkpoint that is whole."""
    found = newest_checkpoint(folder)
    assert found is not None
    return found.position["total"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_makes_folders_and_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file.bin"
    write_bytes(path, b"a long first content")
    write_bytes(path, b"short")
    assert path.read_bytes() == b"short"
    assert names(path.parent) == ["file.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_text_and_json_are_utf8_and_read_back(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "λ = 632.8 nm")
    assert (tmp_path / "t").read_bytes() == "λ = 632.8 nm".encode()
    write_json(tmp_path / "j", {"λ": [1, 2.5, None]})
    assert json.loads((tmp_path / "j").read_text("utf-8")) == {"λ": [1, 2.5, None]}
    assert (tmp_path / "j").read_bytes().endswith(b"\n")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt("stop"), MemoryError("full")]
)
def test_write_that_fails_in_the_middle_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(storage.os, step, fail)
    expected = StorageError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match=r"No space left on device|stop|full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path, sizes = tmp_path / "file", {200_000: b"a", 300_000: b"b"}
    program = (
        "import sys; from pathlib import Path; from opticdesign.storage import write_bytes\n"
        "while True:\n"
        "    write_bytes(Path(sys.argv[1]), b'a' * 200_000); write_bytes(Path(sys.argv[1]), b'b' * 300_000)\n"
    )
    for pause in (0.0, 0.013, 0.029):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)], env=environment)
        try:
            deadline = time.monotonic() + 30.0
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(pause)
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        content = path.read_bytes()
        assert content == sizes[len(content)] * len(content)


def test_storage_refuses_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"file/below: (Not a directory|File exists)"):
        write_bytes(tmp_path / "file" / "below", b"x")
    with pytest.raises(StorageError, match="free space on the disk, check the permissions"):
        save_checkpoint(tmp_path / "file" / "checkpoints", TENSORS, position(5))


def test_storage_refuses_to_replace_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder: Is a directory"):
        write_bytes(tmp_path / "folder", b"x")
    assert names(tmp_path) == ["folder"]


def test_storage_errors_leave_other_errors_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not about the disk"), storage_errors(tmp_path):
        raise ValueError("not about the disk")


def test_sha256_is_the_published_one(tmp_path: Path) -> None:
    write_bytes(tmp_path / "abc", b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_checkpoint_reads_back_bit_for_bit(tmp_path: Path) -> None:
    place = save_checkpoint(tmp_path / "checkpoints", TENSORS, position(5))
    tensors, where, digest = load_checkpoint(place)
    assert where == position(5)
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert names(place) == ["checkpoint.json", "tensors.safetensors"]
    assert digest == sha256_file(place / "tensors.safetensors")


def test_only_the_last_two_checkpoints_are_kept_and_the_newest_is_found(tmp_path: Path) -> None:
    for total in (5, 90, 1234, 100_000):
        save_checkpoint(tmp_path, TENSORS, position(total))
    assert names(tmp_path) == ["step-00001234", "step-00100000"]
    assert newest_total(tmp_path) == 100_000


def test_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, TENSORS, position(5))
    place = save_checkpoint(tmp_path, {"a": torch.ones(1)}, position(5))
    assert list(load_checkpoint(place)[0]) == ["a"]
    assert names(tmp_path) == ["step-00000005"]


def test_no_checkpoint_where_there_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "missing") is None


@pytest.mark.parametrize("file", ["tensors.safetensors", "checkpoint.json"])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_flipped_byte_is_noticed_and_the_checkpoint_before_is_used(
    tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    _, place = (save_checkpoint(folder, TENSORS, position(total)) for total in (5, 6))
    content = bytearray((place / file).read_bytes())
    index, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[index] ^= 1 << bit
    (place / file).write_bytes(content)
    if newest_total(folder) == 6:  # white space of the JSON may change without harm
        assert file == "checkpoint.json"
        tensors, where, _ = load_checkpoint(place)
        assert where == position(6)
        assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    else:
        assert newest_total(folder) == 5
        with pytest.raises(StorageError, match="this checkpoint is damaged"):
            load_checkpoint(place)


@pytest.mark.parametrize("old", ['"stage": 1', '"step": 4', '"total": 6'])
def test_changed_position_is_noticed(tmp_path: Path, old: str) -> None:
    record = save_checkpoint(tmp_path, TENSORS, position(6)) / "checkpoint.json"
    text = record.read_text()
    assert old in text
    record.write_text(text.replace(old, old[:-1] + "3"))
    with pytest.raises(StorageError, match="this checkpoint is damaged"):
        load_checkpoint(record.parent)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"position": 3, "sha256": 4}', None])
def test_broken_record_is_a_damaged_checkpoint(tmp_path: Path, content: bytes | None) -> None:
    record = save_checkpoint(tmp_path, TENSORS, position(6)) / "checkpoint.json"
    if content is None:
        record.unlink()
    else:
        record.write_bytes(content)
    with pytest.raises(StorageError, match="this checkpoint is damaged"):
        load_checkpoint(record.parent)
    assert newest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt("stop")])
def test_checkpoint_that_fails_in_the_middle_leaves_the_ones_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = save_checkpoint(tmp_path, TENSORS, position(5))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(storage, "write_json", fail)
    expected = StorageError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match=r"No space left on device|stop|full"):
        save_checkpoint(tmp_path, TENSORS, position(6))
    assert names(tmp_path) == [before.name]
    assert newest_total(tmp_path) == 5


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    try_folder(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").write_text("keep")
    with pytest.raises(StorageError, match="file: "):
        try_folder(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "keep"


def test_files_have_the_permissions_that_the_users_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "a" / "record.json", {})
        place = save_checkpoint(tmp_path / "checkpoints", TENSORS, position(5))
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o640}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o750} and modes[place] == 0o750


def test_what_a_killed_process_staged_is_removed_and_what_a_living_one_stages_is_not(tmp_path: Path) -> None:
    place = tmp_path / "run[1]"
    dead = tmp_path / ".run[1].0123abcd.partial"
    dead.mkdir()
    (dead / "half").touch()
    (tmp_path / f"{dead.name}.lock").touch()
    with staged_folder(place) as first, staged_folder(place) as second:
        assert not dead.exists() and first.is_dir() and second.is_dir() and first != second
        (first / "whole").touch()
        first.rename(place)
    assert names(tmp_path) == ["run[1]"] and names(place) == ["whole"]


def test_sweeping_removes_what_is_unfinished_alone(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / ".step-00000001.0123abcd.partial").mkdir(parents=True)
    (tmp_path / ".run.json.0123abcd.partial").touch()
    (tmp_path / ".mine").touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".mine", "checkpoints"]


@pytest.mark.parametrize("bit", range(0, 8 * 70, 13))
def test_a_changed_bit_of_a_record_is_noticed(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "record.json"
    values = {"a": [1.5, None], "b": {"c": "µm"}}
    write_record(path, values)
    assert read_record(path) == values
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    try:
        assert read_record(path) == values  # white space may change without harm
    except StorageError as error:
        assert "damaged" in str(error)
