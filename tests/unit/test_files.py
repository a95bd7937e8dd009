"""Files that are complete or as they were."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genbench.files import ABANDONED, files_below, is_temporary, leftovers, temporary_name, write_atomically


def names(folder):
    return [path.name for path in Path(folder).iterdir()]


def test_parts_are_written_in_order_and_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"one", bytearray(b" two"), memoryview(b" three"))
    assert path.read_bytes() == b"one two three"
    write_atomically(path)
    assert path.read_bytes() == b""
    assert names(path.parent) == ["file"]


class Interrupted(BaseException):
    """What Ctrl-C raises, without the ending of the test run."""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Interrupted()])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, moment, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        assert len(names(tmp_path)) == 2, "the new content stands beside the old"
        raise error

    monkeypatch.setattr("os.fsync" if moment == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_that_is_a_file_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_atomically(tmp_path / "file" / "inside", b"x")


@pytest.fixture
def gone():
    """The id of a process that ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def put(path, seconds_ago=0.0):
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_what_a_process_of_this_machine_left_is_told_from_what_it_is_writing(tmp_path, gone):
    name = temporary_name("0-1.npy")
    left = put(tmp_path / "space" / name.replace(f"-{os.getpid()}-", f"-{gone}-"))
    put(tmp_path / "space" / name, seconds_ago=2 * ABANDONED)
    put(tmp_path / "space" / "0-1.npy")
    put(tmp_path / ".notes.tmp", seconds_ago=2 * ABANDONED)  # somebody else's
    assert list(leftovers(tmp_path)) == [left]
    assert list(leftovers(tmp_path / "absent")) == []


def test_every_file_below_a_folder_is_found_folder_by_folder(tmp_path):
    for name in ("b/2", "b/1", "a/c/3", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)]
    assert found == [".hidden", "a/c/3", "b/1", "b/2"]
    assert list(files_below(tmp_path / "absent")) == []
    assert is_temporary(temporary_name("1"))
    assert not is_temporary(".notes.tmp")


def test_what_another_machine_writes_is_left_alone_for_an_hour(tmp_path, gone):
    put(tmp_path / f".a.elsewhere-{gone}-012abc.tmp")
    put(tmp_path / f".b.elsewhere-{gone}-012abc.tmp", seconds_ago=-ABANDONED)  # its clock is ahead
    left = put(tmp_path / f".c.elsewhere-{os.getpid()}-012abc.tmp", seconds_ago=2 * ABANDONED)
    assert list(leftovers(tmp_path)) == [left]
