"""Working copies of folders elsewhere: where the address leads, and what is known of what lies there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry
from fsspec.utils import infer_storage_options

from genbench import remote
from genbench.cli.main import run
from genbench.engine.behind import Behind
from genbench.errors import StoreError, UsageError
from genbench.paths import cache_path, results_folder, results_path
from genbench.shards import Shard, ShardCache

MINE, THEIRS = Shard(0, 2), Shard(2, 2)
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


class Machine(LocalFileSystem):
    """Needs a host and a user, connects on being made, and takes nothing else, as file systems over SSH do."""

    protocol = "machine"
    connected: list[tuple[str, str]] = []  # noqa: RUF012

    def __init__(self, host: str, username: str) -> None:
        super().__init__(auto_mkdir=False)
        if host == "unreachable":
            raise ConnectionRefusedError("nobody\n answers")
        self.connected.append((host, username))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(infer_storage_options(path)["path"])

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return {key: value for key, value in infer_storage_options(path).items() if key in ("host", "username")}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, nothing remembered of other tests, and machines to be reached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    remote._system.cache_clear()
    remote._opened.cache_clear()
    monkeypatch.setattr(Machine, "connected", [])
    fsspec.register_implementation("machine", Machine)
    yield tmp_path / "home"
    del _registry["machine"]


def test_an_address_is_that_of_its_host_and_user(tmp_path: Path) -> None:
    cache = ShardCache(cache_path(f"machine://me@far{tmp_path}/there"))
    assert not cache.has("images", "space", MINE)
    cache.write("images", "space", MINE, ARRAY)
    (sent,) = (tmp_path / "there" / "features").rglob("*.npy")
    (kept,) = cache.root.rglob("*.npy")
    kept.unlink()
    assert cache.has("images", "space", MINE)
    assert kept.read_bytes() == sent.read_bytes()
    assert Machine.connected == [("far", "me")], "once"


def test_records_are_exchanged_with_a_host(tmp_path: Path) -> None:
    there = tmp_path / "there" / "quick" / "toy@ode"
    there.mkdir(parents=True)
    (there / "theirs.json").write_text("{}")
    folder = results_path(f"machine://me@far{tmp_path}/there")
    here = folder / "quick" / "toy@ode"
    here.mkdir(parents=True)
    (here / "mine.json").write_text("{}")
    results_folder(folder)
    assert {path.name for path in here.iterdir()} == {path.name for path in there.iterdir()}
    assert {path.name for path in here.iterdir()} == {"mine.json", "theirs.json"}


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("machine:///place", UsageError, r"^machine:///place: .*missing .* 'host'"),
        ("machine://me@unreachable/place", StoreError, r"^machine://me@unreachable/place: .* \(nobody answers\)$"),
        ("nowhere://place", UsageError, "^nowhere://place: Protocol not known"),
        ("://place", UsageError, "^://place: is not a folder that files can be written to"),
        ("c://place", UsageError, "^c://place: is not a folder that files can be written to"),
        ("s3://me:word@[x", UsageError, r"is no address \(Invalid IPv6 URL\)"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(address: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        results_path(address)
    assert "word" not in str(caught.value)


def test_an_address_that_is_none_is_told_alike_as_option_and_as_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sql", "select 1", "--results", "s3://[x"]) == 2
    asked = capsys.readouterr().err
    monkeypatch.setenv("GENBENCH_RESULTS", "s3://[x")
    assert run(["sql", "select 1"]) == 2
    assert "is no address (Invalid IPv6 URL)" in asked
    assert capsys.readouterr().err == asked


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str], ShardCache]:
    """The cache as a machine of that name sees it."""
    (tmp_path / "there").mkdir()
    return lambda name: ShardCache(
        remote.working_copy(f"file://{tmp_path}/there/cache", tmp_path / name, part="features")
    )


def test_what_is_sent_while_others_are_looked_for_hides_nothing_of_theirs(
    machine: Callable[[str], ShardCache],
) -> None:
    """A shard is written in a thread while the leader looks for those of other ranks."""
    leader, other = machine("leader"), machine("other")
    assert not leader.has("images", "space", THEIRS), "listed once, when nothing was there"
    other.write("images", "space", THEIRS, ARRAY)
    leader.look_again()
    with Behind() as behind:
        behind.do(partial(leader.write, "images", "space", MINE, ARRAY))
    assert leader.has("images", "space", THEIRS)
    assert leader.shards("images", "space") == [MINE, THEIRS]


def test_a_listing_that_began_before_others_were_looked_for_again_is_not_kept(
    machine: Callable[[str], ShardCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, other = machine("leader"), machine("other")
    there = remote.remote_of(leader.root)
    assert there
    listed = there._fs.ls

    def slow(*arguments: Any, **options: Any) -> Any:
        found = listed(*arguments, **options)
        monkeypatch.undo()
        other.write("images", "space", THEIRS, ARRAY)  # meanwhile, and what is below in another thread
        there.look_again()
        return found

    other.write("images", "space", MINE, ARRAY)
    monkeypatch.setattr(there._fs, "ls", slow)
    assert not leader.has("images", "space", THEIRS)
    assert leader.has("images", "space", THEIRS)


def test_what_was_sent_is_brought_again_when_the_copy_lost_it(machine: Callable[[str], ShardCache]) -> None:
    cache = machine("one")
    assert not cache.has("images", "space", MINE)
    cache.write("images", "space", MINE, ARRAY)
    (kept,) = cache.root.rglob("*.npy")
    kept.unlink()
    assert cache.has("images", "space", MINE)
    assert kept.is_file()
