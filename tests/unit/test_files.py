"""Files that are complete or as they were."""

from pathlib import Path

import pytest

from genbench.files import write_atomically


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
