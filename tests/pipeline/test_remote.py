"""Results and cache in an object store: what one machine made, another one finds there."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from genbench import remote
from genbench.paths import cache_path
from genbench.shards import Shard, ShardCache

if TYPE_CHECKING:
    from tests.pipeline.conftest import World

BUCKET = "numbers"
RESULTS, CACHE = f"s3://{BUCKET}/lab/results", f"s3://{BUCKET}/lab/cache"
COMMAND = ("tiny", "-m", "tiny@ode2", "--shard-size", "8", "--results", RESULTS, "--cache", CACHE)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket of it."""
    settings = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bucket = boto3.resource("s3").Bucket(BUCKET)
    bucket.create()
    yield bucket
    bucket.objects.delete()
    bucket.delete()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Go on at a machine of that name: a home of its own, and nothing remembered of what others did."""

    def go(name: str) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machines" / name))
        remote._system.cache_clear()
        remote._opened.cache_clear()
        return tmp_path / "machines" / name

    go("one")
    return go


def keys(bucket: Any) -> set[str]:
    return {item.key for item in bucket.objects.all()}


def test_another_machine_finds_the_records(bucket: Any, machine: Callable[[str], Path], world: World) -> None:
    first = world.run(*COMMAND).ok()
    assert {Path(key).suffix for key in keys(bucket) if key.startswith("lab/results/")} == {".json", ".png"}
    home = machine("two")
    again = world.run(*COMMAND).ok()
    assert "plan: 0 to measure; 1 already measured" in again.err
    assert again.out == first.out, "the leaderboard of the same records"
    assert len(list(home.rglob("tiny@ode2/*.png"))) == 1
    assert not list(home.rglob("*.npy")), "features that nobody asked for"


def test_another_machine_goes_on_with_the_shards(bucket: Any, machine: Callable[[str], Path], world: World) -> None:
    world.run(*COMMAND).ok()
    shards = {item.key: item.get()["Body"].read() for item in bucket.objects.all() if item.key.endswith(".npy")}
    lost = max(key for key in shards if "effnet-lite0" in key)
    bucket.objects.filter(Prefix="lab/results/").delete()
    bucket.Object(lost).delete()
    machine("two")
    answer = world.run(*COMMAND).ok()
    assert "plan: 1 to measure; 8 of 24 images to sample" in answer.err
    assert {item.key: item.get()["Body"].read() for item in bucket.objects.all() if item.key in shards} == shards


def test_a_shard_that_was_damaged_there_is_made_again(
    bucket: Any, machine: Callable[[str], Path], world: World
) -> None:
    world.run(*COMMAND).ok()
    shard = next(item for item in bucket.objects.all() if "effnet-lite0" in item.key)
    sound = shard.get()["Body"].read()
    shard.put(Body=sound[:-9])
    bucket.objects.filter(Prefix="lab/results/").delete()
    machine("two")
    assert "damaged shard, made again" in world.run(*COMMAND).ok().err
    assert shard.get()["Body"].read() == sound


def test_influences_are_found_by_another_machine(bucket: Any, machine: Callable[[str], Path], world: World) -> None:
    runs = ("-m", "tiny@ode2", "-m", "tiny@sde2")
    world.run("tiny", *runs, *COMMAND[3:]).ok()
    folders = ("--results", RESULTS, "--cache", CACHE, "--registry", world.registry, "--suites", world.suites)

    def compare() -> str:
        from tests.pipeline.conftest import call

        return call("compare", "tiny@ode2", "tiny@sde2", "--suite", "tiny", *folders).ok().out

    here = compare()
    machine("two")
    assert compare() == here
    assert "paired" in here


def test_a_cache_that_is_sent_to_another_machine_is_the_same_cache(bucket: Any, machine: Callable[[str], Path]) -> None:
    here = ShardCache(cache_path(CACHE))
    shard, array = Shard(0, 2), np.arange(6, dtype=np.float32).reshape(2, 3)
    assert not here.has("images", "space", shard)
    sent = pickle.dumps(here)
    shutil.rmtree(machine("two").parent)  # the other machine has none of these folders
    there = pickle.loads(sent)
    there.write("images", "space", shard, array)
    shutil.rmtree(there.root)
    remote.mark(here.root, f"{CACHE}/features")
    remote._opened.cache_clear()
    assert here.has("images", "space", shard)
    np.testing.assert_array_equal(here.read("images", "space", shard), array)


def test_what_others_write_is_seen_when_it_is_looked_for_again(bucket: Any, machine: Callable[[str], Path]) -> None:
    cache, shard = ShardCache(cache_path(CACHE)), Shard(0, 2)
    cache.write("other", "space", shard, np.ones((2, 3), np.float32))
    assert not cache.has("images", "space", shard)
    for item in bucket.objects.filter(Prefix="lab/cache/features/other/"):
        bucket.copy({"Bucket": BUCKET, "Key": item.key}, item.key.replace("other", "images"))
    assert not cache.has("images", "space", shard), "listed anew for every shard"
    cache.look_again()
    assert cache.has("images", "space", shard)


def test_a_record_that_could_not_be_sent_is_sent_later(
    bucket: Any, machine: Callable[[str], Path], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: remote.Remote, path: Path) -> None:
        with self._explained(f"{path.name} cannot be sent", "again"):
            raise PermissionError("no")

    world.run(*COMMAND).ok()
    bucket.objects.filter(Prefix="lab/results/").delete()
    home = machine("two")
    with monkeypatch.context() as patch:
        send = remote.Remote.send
        patch.setattr(
            remote.Remote, "send", lambda self, path: (refuse if path.suffix == ".json" else send)(self, path)
        )
        error, _ = world.run(*COMMAND).problem(2)
    assert error.startswith(RESULTS)
    (record,) = home.rglob("tiny@ode2/*.json")
    assert not any(key.endswith(".json") and key.startswith("lab/results/") for key in keys(bucket))
    assert "1 already measured" in world.run(*COMMAND).ok().err
    assert f"lab/results/tiny/tiny@ode2/{record.name}" in keys(bucket)


def test_no_secret_is_written(bucket: Any, machine: Callable[[str], Path], world: World) -> None:
    world.run(*COMMAND).ok()
    written = [path for path in [*world.root.rglob("*"), *machine("one").rglob("*")] if path.is_file()]
    assert written
    assert not any(b"a-secret" in path.read_bytes() for path in written)
    assert not any(b"a-secret" in item.get()["Body"].read() for item in bucket.objects.all())


def test_what_is_called_there_cannot_leave_the_working_copy(
    bucket: Any, machine: Callable[[str], Path], world: World
) -> None:
    for key in ("a/../b.json", "../../x/y.json", "../x/b.json", "./a/b.json", ".a/b/c.json", "a/b/.c.json"):
        bucket.put_object(Key=f"lab/results/{key}", Body=b"{}")
    home = machine("one")
    world.run("cheap", "--results", RESULTS, "--dry-run").ok()
    assert [path.name for path in home.rglob("*") if path.is_file()] == [".remote"]


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ("s3://no-such-bucket/results", "s3://no-such-bucket/results: cannot be"),
        ("sftp://me:word@host/results", "holds a password"),
        ("s3://bucket/results?token=1", "holds a password or a query"),
        ("https://host/results", "is not a folder that files can be written to"),
        ("nowhere://place", "nowhere://"),
    ],
)
def test_an_address_that_is_none_is_told(
    bucket: Any, machine: Callable[[str], Path], world: World, results: str, says: str
) -> None:
    error, hint = world.run("cheap", "--results", results).problem(2)
    assert says in error
    assert hint
    assert "word" not in error.replace("password", "")


def test_without_the_store_nothing_begins(
    bucket: Any, machine: Callable[[str], Path], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    error, _ = world.run("cheap", "--results", RESULTS).problem(2)
    assert error.startswith(f"{RESULTS}: cannot be listed (")
