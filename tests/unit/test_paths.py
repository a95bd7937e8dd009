"""Where registry, suites, results and cache are looked for."""

from pathlib import Path

import pytest

from genbench import paths
from genbench.errors import UsageError

KINDS = ["registry", "suites"]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty working directory and a package with its data beside it; the variables are not set."""
    for name in ("GENBENCH_REGISTRY", "GENBENCH_SUITES", "GENBENCH_RESULTS", "GENBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site" / "genbench")
    return tmp_path


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_folders_are_searched_in_the_order_option_variable_working_directory_package(places, monkeypatch, kind):
    assert paths.data_folders(kind, None) == []
    packaged = made(places / "site" / "genbench" / "_packaged" / kind)
    beside = made(places / "site" / kind)
    assert paths.data_folders(kind, None) == [packaged, beside]
    here = made(places / "work" / kind)
    assert paths.data_folders(kind, None) == [here, packaged, beside]
    variable = made(places / "variable")
    monkeypatch.setenv(f"GENBENCH_{kind.upper()}", str(variable))
    option = made(places / "option")
    assert paths.data_folders(kind, option) == [option, variable, here, packaged, beside]
    assert paths.data_folders(kind, here) == [here, variable, packaged, beside], "a folder is searched once"
    other = next(k for k in KINDS if k != kind)
    assert paths.data_folders(other, None) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_was_asked_for_must_be_there(places, monkeypatch, kind):
    (places / "file").touch()
    for wrong in (places / "absent", places / "file"):
        with pytest.raises(UsageError, match=f"--{kind} {wrong}: no such folder"):
            paths.data_folders(kind, wrong)
    monkeypatch.setenv(f"GENBENCH_{kind.upper()}", "absent")
    with pytest.raises(UsageError, match=f"GENBENCH_{kind.upper()} absent: no such folder"):
        paths.data_folders(kind, None)
    monkeypatch.setenv(f"GENBENCH_{kind.upper()}", "")
    assert paths.data_folders(kind, None) == []


def test_the_checkout_finds_its_own_registry_and_suites(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parent.parent.parent
    for kind in KINDS:
        assert paths.data_folders(kind, None)[-1] == root / kind


def test_the_first_folder_that_has_a_file_of_a_name_counts(tmp_path):
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    made(second / "more")
    for file in ("first/b.toml", "second/b.toml", "second/a.toml", "second/more/a.toml", "second/more/c.toml"):
        (tmp_path / file).touch()
    folders = [tmp_path / "absent", first, second]
    found = paths.first_of_each(folders, "*.toml", "more/*.toml")
    assert list(found.items()) == [
        ("a", second / "a.toml"),
        ("b", first / "b.toml"),
        ("c", second / "more/c.toml"),
    ]


def test_hidden_files_and_what_is_no_file_have_no_name(tmp_path):
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    (first / ".#a.toml").symlink_to("somebody@machine.1234:1")
    (first / "._a.toml").touch()
    (first / "a.toml").symlink_to("absent.toml")
    made(first / "b.toml")
    for name in ("a.toml", "b.toml", "target"):
        (second / name).touch()
    (second / "c.toml").symlink_to("target")
    found = paths.first_of_each([first, second], "*.toml")
    assert found == {name: second / f"{name}.toml" for name in "abc"}


def test_results_and_cache_by_option_variable_and_default(places, monkeypatch):
    assert paths.results_folder(None) == Path("results")
    assert paths.cache_folder(None) == Path.home() / ".cache" / "genbench"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert paths.cache_folder(None) == Path("/xdg/genbench")
    monkeypatch.setenv("GENBENCH_RESULTS", "/r")
    monkeypatch.setenv("GENBENCH_CACHE", "/c")
    assert (paths.results_folder(None), paths.cache_folder(None)) == (Path("/r"), Path("/c"))
    assert (paths.results_folder(Path("a")), paths.cache_folder(Path("b"))) == (Path("a"), Path("b"))
