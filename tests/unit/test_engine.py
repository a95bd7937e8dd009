"""Engines make the shards that this process alone makes; what goes wrong in another process is told by the leader."""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.distributed import HashStore

from genbench.engine.engines import open_engine
from genbench.engine.job import PIXELS, Job
from genbench.engine.local import Local
from genbench.engine.making import Worker
from genbench.engine.ranks import Ranks
from genbench.errors import FeatureError, GenbenchError, StoreError, UsageError
from genbench.images.batch import ImageBatch, ImageFacts
from genbench.plan import Plan, Work
from genbench.shards import Shard, ShardCache

SHARDS = [Shard(first, 4) for first in range(0, 40, 4)]
IMAGES = sum(shard.size for shard in SHARDS)


class Colours:
    """Image i is of colour i."""

    costs: ClassVar = {"nfe": 1.0, "parameters": 0}

    def batches(self, first, count, size):
        for start in range(first, first + count, size):
            indices = range(start, min(start + size, first + count))
            pixels = torch.stack([torch.full((3, 8, 8), i, dtype=torch.uint8) for i in indices])
            yield ImageBatch(pixels, tuple(ImageFacts(str(i), "sampler", "RGB", 8, 8) for i in indices))


class Colourful:
    """Opens `Colours` in any process."""

    def __call__(self):
        return Colours()

    def here(self, device):
        return self


@dataclass(frozen=True)
class Means:
    """The mean colour of an image; NaN for colour `bad`."""

    bad: int | None = None

    def __call__(self, pixels):
        means = pixels.float().mean((1, 2, 3))[:, None]
        return {"mean": torch.where(means == self.bad, torch.nan, means) if self.bad is not None else means}

    def on(self, device):
        return self


def job(extract=Means(), images=None):
    plan = Plan(tuple(Work(shard, ("mean",)) for shard in SHARDS), IMAGES)
    return Job(images or Colourful(), "d", plan, {"mean": "mean-0"}, extract, batch_size=3, device="cpu")


def shards(root):
    return {path.name: path.read_bytes() for path in sorted((root / "features").rglob("*.npy"))}


def assist(rank, answers):
    with rank:
        answers.append(rank.assist())


def fill_together(jobs, cache, *, workers=3):
    """Fill the jobs with ranks that are threads; images that the leader heard of in each, or the error."""
    store = HashStore()
    answers = []
    helpers = [threading.Thread(target=assist, args=(Ranks(r, workers, store), answers)) for r in range(1, workers)]
    for helper in helpers:
        helper.start()
    heard = []
    with Ranks(0, workers, store) as leader:
        assert not leader.assist()
        for one in jobs:
            images = []
            try:
                leader.fill(one, ShardCache(cache), images.append)
                heard.append(sum(images))
            except GenbenchError as error:
                heard.append(error)
    for helper in helpers:
        helper.join(30)
    assert answers == [True] * (workers - 1), "every rank was let go"
    return heard


def test_ranks_make_the_shards_that_one_process_makes(tmp_path):
    Local().fill(job(), ShardCache(tmp_path / "one"), lambda images: None)
    assert fill_together([job()], tmp_path / "several") == [IMAGES]
    assert shards(tmp_path / "several") == shards(tmp_path / "one")
    assert len(shards(tmp_path / "one")) == len(SHARDS)


class Slow(ShardCache):
    """Writes the first shard when the second one is being made, and not before."""

    def __init__(self, cache, second):
        super().__init__(cache)
        self._second = second

    def write(self, images, space, shard, array):
        if shard == SHARDS[0]:
            assert self._second.wait(timeout=30), "nothing is made while a shard is written"
        super().write(images, space, shard, array)


class Signalling(Colours):
    """Says that its second shard is being made."""

    def __init__(self, second):
        self._second = second

    def batches(self, first, count, size):
        if first == SHARDS[1].first:
            self._second.set()
        yield from super().batches(first, count, size)


def test_a_shard_is_written_while_the_next_one_is_made(tmp_path):
    second = threading.Event()
    Local().fill(job(images=lambda: Signalling(second)), Slow(tmp_path, second), lambda images: None)
    assert len(shards(tmp_path)) == len(SHARDS)


class Full(ShardCache):
    """A disk without room for one of the shards."""

    def __init__(self, cache, shard):
        super().__init__(cache)
        self._shard = shard

    def write(self, images, space, shard, array):
        if shard == self._shard:
            raise StoreError("no room", hint="free some space")
        super().write(images, space, shard, array)


@pytest.mark.parametrize("shard", [SHARDS[0], SHARDS[-1]])
def test_a_shard_that_cannot_be_written_ends_the_run_whichever_it_is(tmp_path, shard):
    with pytest.raises(StoreError, match="no room"):
        Local().fill(job(), Full(tmp_path, shard), lambda images: None)
    assert f"{shard.stem}.npy" not in shards(tmp_path)


def test_a_shard_that_cannot_be_written_is_told_beside_an_error_of_the_next_one(tmp_path, capsys):
    with pytest.raises(FeatureError, match="image 5"):
        Local().fill(job(Means(bad=5)), Full(tmp_path, SHARDS[0]), lambda images: None)
    assert "no room" in capsys.readouterr().err


def test_a_shard_that_is_completed_in_another_space_keeps_what_the_first_pass_took(tmp_path):
    cache = ShardCache(tmp_path)

    def passes(*spaces):
        plan = Plan((Work(SHARDS[0], spaces),), 4)
        one = job()._replace(plan=plan, folders={"mean": "mean-0", PIXELS: PIXELS})
        Local().fill(one, cache, lambda images: None)
        return cache.read_facts("d", SHARDS[0])["passes"]

    first = passes("mean")
    assert list(first) == ["mean"]
    both = passes(PIXELS)
    assert both["mean"] == first["mean"]
    assert set(both) == {"mean", PIXELS}
    assert set(passes("mean", PIXELS)) == {f"mean {PIXELS}"}


class Meeting(Colours):
    """No rank goes on before every rank has a shard."""

    def __init__(self, barrier):
        self._barrier = barrier

    def batches(self, first, count, size):
        if first < 4 * self._barrier.parties:
            self._barrier.wait(timeout=30)
        yield from super().batches(first, count, size)


BARRIERS = {ranks: threading.Barrier(ranks) for ranks in (2, 3)}


@dataclass(frozen=True)
class Met(Colourful):
    """Opens images that so many ranks have to make."""

    ranks: int

    def __call__(self):
        return Meeting(BARRIERS[self.ranks])


def test_every_rank_takes_shards(tmp_path):
    # Three ranks pass the barrier only if each has one of the first three shards.
    assert fill_together([job(images=Met(3))], tmp_path) == [IMAGES]
    assert len(shards(tmp_path)) == len(SHARDS)


def test_an_error_of_any_rank_is_raised_by_the_leader_and_the_next_job_is_done(tmp_path):
    error, images = fill_together([job(Means(bad=9)), job()._replace(digest="e")], tmp_path)
    assert isinstance(error, FeatureError)
    assert str(error) == "mean: features of image 9 are NaN or infinite"
    assert error.hint == "look at that image; nothing of this shard was kept"
    assert images == IMAGES
    assert not ShardCache(tmp_path).has("d", "mean-0", Shard(8, 4))
    assert len(ShardCache(tmp_path).shards("e", "mean-0")) == len(SHARDS)


class Elsewhere(ShardCache):
    """A cache that is another folder in every rank but the leader, as on machines that share none."""

    def __init__(self, cache, name="here"):
        self.cache, self.root = cache, cache / name

    def __reduce__(self):
        return Elsewhere, (self.cache, "there")


def test_ranks_that_share_no_cache_are_told_so(tmp_path):
    store = HashStore()
    answers = []
    helper = threading.Thread(target=assist, args=(Ranks(1, 2, store), answers))
    helper.start()
    with Ranks(0, 2, store) as leader, pytest.raises(StoreError, match="another rank made images") as caught:
        leader.fill(job(images=Met(2)), Elsewhere(tmp_path), lambda images: None)
    helper.join(30)
    assert "--cache" in caught.value.hint


def test_a_worker_keeps_its_networks_from_shard_to_shard_and_from_job_to_job(tmp_path):
    loads = []

    class Loading(Colourful):
        def __call__(self):
            loads.append("images")
            return Colours()

    worker, first = Worker(lambda device: device), job(images=Loading())
    for work in first.plan.work[:3]:
        made = worker.make(0, first, work)
        np.testing.assert_array_equal(made.arrays["mean"].ravel(), np.arange(4) + work.shard.first)
    assert loads == ["images"]
    extract = worker._maker.job.extract
    worker.make(1, job(Means(), images=Loading()), first.plan.work[0])
    assert loads == ["images", "images"]
    assert worker._maker.job.extract is extract
    worker.make(2, job(Means(bad=1000), images=Loading()), first.plan.work[0])
    assert worker._maker.job.extract == Means(bad=1000)


def test_images_that_are_files_stay_with_one_process():
    answer = Worker(lambda device: device).make(0, job(images=Colours), Work(SHARDS[0], ("mean",)))
    assert isinstance(answer, UsageError)
    assert answer.hint == "leave --engine out"


def test_an_error_keeps_its_kind_its_words_and_its_hint_on_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(FeatureError("what and where", hint="what next")))
    assert (type(error), str(error), error.hint) == (FeatureError, "what and where", "what next")


def test_a_process_that_torchrun_did_not_start_is_no_rank(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set") as caught:
        open_engine("torchrun")
    assert "torchrun --nproc-per-node" in caught.value.hint


def test_an_address_is_of_a_ray_cluster():
    with pytest.raises(UsageError, match="--address is of a Ray cluster"):
        open_engine("local", "host:6379")


def test_a_rank_has_the_gpu_of_its_local_number(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    leader, other = Ranks(0, 2, HashStore()), Ranks(1, 2, HashStore())
    assert [leader.device("cuda"), other.device("cuda:0"), other.device("cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(UsageError, match="every rank has a GPU of its own"):
        leader.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="this machine has 1"):
        other.device("cuda")
