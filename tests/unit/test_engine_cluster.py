"""The engine of a Ray cluster, with a cluster that is this process and whose workers die when they are told to."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from genbench import provenance
from genbench.engine.cluster import LOSSES
from genbench.engine.engines import open_engine
from genbench.engine.job import Job
from genbench.engine.local import Local
from genbench.errors import FeatureError, RunFailedError, UsageError
from genbench.images.batch import ImageBatch, ImageFacts
from genbench.plan import Plan, Work
from genbench.shards import Shard, ShardCache

SHARDS = [Shard(first, 2) for first in range(0, 12, 2)]


class RayActorError(Exception):
    pass


class Reference:
    """An answer to come."""

    def __init__(self, call):
        self.call = call


class FakeRay:
    """As much of ray as the engine calls. Of a machine of `cpus`; a worker dies at shards of `deadly`, once each."""

    exceptions = SimpleNamespace(RayActorError=RayActorError, ObjectLostError=KeyError, OutOfMemoryError=MemoryError)

    def __init__(self, cpus=2, deadly=(), address=None):
        self.cpus, self.deadly, self.address = cpus, list(deadly), address
        self.started, self.made = 0, []

    def init(self, address, logging_level):
        if address != self.address:
            raise ConnectionError("timed out")

    def shutdown(self):
        pass

    def nodes(self):
        gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        return [{"Alive": True, "Resources": {"CPU": float(self.cpus)}}, gone]

    def put(self, value):
        return value

    def remote(self, actor):
        def start(*arguments):
            self.started += 1
            hand = actor(*arguments)
            return SimpleNamespace(
                started=SimpleNamespace(remote=lambda: Reference(hand.started)),
                make=SimpleNamespace(remote=lambda *call: Reference(lambda: self._make(hand, *call))),
            )

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

    def _make(self, hand, number, job, work):
        if work.shard in self.deadly:
            self.deadly.remove(work.shard)
            raise RayActorError("The actor died.\nKilled by signal 9.")
        self.made.append(work.shard)
        return hand.make(number, job, work)

    def wait(self, references, num_returns):
        return references[:num_returns], references[num_returns:]

    def get(self, reference):
        return reference.call()


class Greys:
    """Image i is of grey i."""

    def __init__(self):
        self.costs = {"nfe": 1.0, "parameters": 0}

    def __call__(self):
        return self

    def here(self, device):
        return self

    def batches(self, first, count, size):
        pixels = torch.arange(first, first + count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
        yield ImageBatch(pixels, tuple(ImageFacts(str(i), "sampler", "RGB", 4, 4) for i in range(count)))


class Means:
    """The mean of an image, NaN for grey `bad`."""

    def __init__(self, bad=None):
        self.bad = bad

    def __call__(self, pixels):
        means = pixels.float().mean((1, 2, 3))[:, None]
        return {"mean": means if self.bad is None else torch.where(means == self.bad, torch.nan, means)}

    def on(self, device):
        return self


def job(extract=None, *, device="cpu", digest="d"):
    plan = Plan(tuple(Work(shard, ("mean",)) for shard in SHARDS), 12)
    return Job(Greys(), digest, plan, {"mean": "mean-0"}, extract or Means(), batch_size=8, device=device)


def fill(ray, monkeypatch, cache, one=None):
    monkeypatch.setitem(sys.modules, "ray", ray)
    heard = []
    with open_engine("ray") as engine:
        engine.fill(one or job(), ShardCache(cache), heard.append)
    return sum(heard)


def shards(root):
    return {path.name: path.read_bytes() for path in sorted((root / "features").rglob("*.npy"))}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_shards_are_those_of_one_process(tmp_path, monkeypatch):
    ray = FakeRay()
    assert fill(ray, monkeypatch, tmp_path / "cluster") == 12
    Local().fill(job(), ShardCache(tmp_path / "local"), lambda images: None)
    assert shards(tmp_path / "cluster") == shards(tmp_path / "local")
    assert ray.started == 2


def test_no_more_workers_are_asked_for_than_there_are_shards(tmp_path, monkeypatch):
    ray = FakeRay(cpus=64)
    fill(ray, monkeypatch, tmp_path)
    assert ray.started == len(SHARDS)


def test_a_worker_that_dies_costs_its_shard(tmp_path, monkeypatch, capsys):
    ray = FakeRay(deadly=[SHARDS[3]])
    assert fill(ray, monkeypatch, tmp_path) == 12
    assert sorted(ray.made) == SHARDS, "no other shard is made twice"
    assert ray.started == 3
    assert len(shards(tmp_path)) == len(SHARDS)
    assert capsys.readouterr().err.splitlines() == [
        "warning: a worker of the cluster died making images 6 to 7, which another one makes (Killed by signal 9.)"
    ]


def test_a_shard_that_no_worker_survives_ends_the_run_and_the_others_are_kept(tmp_path, monkeypatch):
    ray = FakeRay(deadly=[SHARDS[3]] * LOSSES)
    with pytest.raises(RunFailedError, match=r"3 workers of the cluster died making images 6 to 7 \(Killed by"):
        fill(ray, monkeypatch, tmp_path)
    assert len(shards(tmp_path)) >= 3


def test_an_error_of_a_worker_is_raised_here_and_later_jobs_do_not_hear_of_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", FakeRay(cpus=4))
    cache = ShardCache(tmp_path)
    with open_engine("ray") as engine:
        with pytest.raises(FeatureError, match="features of image 2 are NaN"):
            engine.fill(job(Means(bad=2)), cache, lambda images: None)
        # Workers still answer of the first job's other shards, which are of other values.
        engine.fill(job(digest="e"), cache, lambda images: None)
    assert [shard.first for shard in cache.shards("e", "mean-0")] == [shard.first for shard in SHARDS]
    assert all((cache.read("e", "mean-0", s).ravel() == [s.first, s.first + 1]).all() for s in SHARDS)


def test_a_machine_of_other_versions_is_refused(tmp_path, monkeypatch):
    versions = [{"torch": "2.6.0"}]
    monkeypatch.setattr(provenance, "versions", lambda: versions.pop() if versions else {"torch": "2.7.0"})
    with pytest.raises(
        UsageError, match=r"computes with genbench \S+ torch 2\.7\.0, the leader with genbench \S+ torch 2\.6"
    ):
        fill(FakeRay(cpus=1), monkeypatch, tmp_path)


@pytest.mark.parametrize(("device", "what"), [("cuda", "a GPU"), ("cpu", "1 CPUs")])
def test_a_cluster_without_room_is_refused(tmp_path, monkeypatch, device, what):
    with pytest.raises(UsageError, match=f"no machine of the cluster has {what}"):
        fill(FakeRay(cpus=0), monkeypatch, tmp_path, job(device=device))


def test_an_address_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", FakeRay(address="here:1"))
    with pytest.raises(UsageError, match="--address there:2: no Ray cluster answers"), open_engine("ray", "there:2"):
        pass


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="ray is not installed") as caught:
        open_engine("ray")
    assert caught.value.hint == "pip install 'genbench[ray]'"
