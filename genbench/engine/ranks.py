"""The engine that is the ranks of torchrun: rank 0 leads, and every rank takes shards until none is left.

Ranks speak through the key-value store that torchrun gives them; nothing is collective. Keys of job k: ``k/job`` is the
job, or empty where there are no more; ``k/next`` counts the shards that were taken; ``k/<index>`` is what became of a
shard that another rank than the leader took.
"""

from __future__ import annotations

import base64
import os
import pickle
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import torch

from genbench.engine.behind import Behind
from genbench.engine.job import Job, Made
from genbench.engine.making import Maker, Worker
from genbench.errors import GenbenchError, StoreError, UsageError
from genbench.plan import Work
from genbench.shards import ShardCache

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

POLL = 0.02
"""Seconds between two looks at the store: a blocking look would not hear of signals."""
ALL = 1 << 40
"""More shards than any job has."""
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def join() -> Ranks:
    """This process among those of torchrun. Raises `UsageError` where it is none of them."""
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        raise UsageError(
            f"--engine torchrun: this process is no rank of torchrun ({', '.join(missing)} not set)",
            hint="torchrun --nproc-per-node 2 -m genbench run SUITE",
        )
    store, rank, workers = next(rendezvous("env://"))
    # Where torchrun starts all ranks again, the store may outlive them.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Ranks(rank, workers, PrefixStore(f"genbench/{attempt}", store))


class Ranks:
    """Shards shared out among processes that torchrun started, through a cache folder that all of them see."""

    name = "torchrun"

    def __init__(self, rank: int, workers: int, store: Store) -> None:
        """Rank `rank` of `workers`, all of which see the `store`."""
        self._rank, self.workers, self._store = rank, workers, store
        self._jobs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """The leader may keep the store in its process, so it leaves last; a rank that is ended waits for nobody."""
        if kind is not None and not issubclass(kind, GenbenchError):
            return
        if self._rank == 0:
            self._store.set(f"{self._jobs}/job", "")
            while self._store.add("left", 0) < self.workers - 1:
                time.sleep(POLL)
        else:
            self._store.add("left", 1)

    def device(self, asked: str) -> str:
        """The rank's own: ``cuda`` is the GPU of its local number.

        Raises `UsageError` for one certain GPU, and where the machine has none of that number.
        """
        kind, _, index = asked.partition(":")
        if kind != "cuda":
            return asked
        if index and self._rank == 0:
            raise UsageError(f"--device {asked}: every rank has a GPU of its own", hint="--device cuda")
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise UsageError(
                f"rank {self._rank} has no GPU: this machine has {torch.cuda.device_count()}",
                hint="lower --nproc-per-node",
            )
        return f"cuda:{local}"

    def assist(self) -> bool:
        """Whether this is another rank than 0; then all of the leader's jobs are done."""
        if self._rank == 0:
            return False
        worker = Worker(self.device)
        while posted := self._await(f"{self._jobs}/job"):
            job, cache = _unpacked(posted)
            with Behind() as behind:
                for index, work in self._claims(self._jobs, job):
                    made = worker.make(self._jobs, job, work)
                    behind.do(partial(self._report, f"{self._jobs}/{index}", made, job, work, cache))
            self._jobs += 1
        return True

    def fill(self, job: Job, cache: ShardCache, advance: Callable[[int], None]) -> None:
        """See `genbench.engine.engines.Engine.fill`.

        Raises what ranks raise, and `StoreError` where they wrote their shards into another folder.
        """
        number, self._jobs = self._jobs, self._jobs + 1
        self._store.set(f"{number}/job", _packed((job, cache)))
        maker = Maker(job)
        elsewhere = dict(enumerate(job.plan.work))
        try:
            with Behind() as behind:
                for index, work in self._claims(number, job):
                    del elsewhere[index]
                    behind.do(partial(job.keep, work.shard, maker.make(work, advance), cache))
                    self._settle(number, elsewhere, job, cache, advance)
            while elsewhere:
                time.sleep(POLL)
                self._settle(number, elsewhere, job, cache, advance)
        except GenbenchError:
            self._store.add(f"{number}/next", ALL)
            raise

    def _report(self, key: str, made: Made | GenbenchError, job: Job, work: Work, cache: ShardCache) -> None:
        """Keep a shard, and tell the leader under that key that it is kept or why not."""
        self._store.set(key, _packed(_kept(made, job, work, cache)))

    def _claims(self, number: int, job: Job) -> Iterator[tuple[int, Work]]:
        """Shards that no other rank makes, one at a time, while there are some."""
        while (index := self._store.add(f"{number}/next", 1) - 1) < len(job.plan.work):
            yield index, job.plan.work[index]

    def _settle(
        self, number: int, elsewhere: dict[int, Work], job: Job, cache: ShardCache, advance: Callable[[int], None]
    ) -> None:
        """Take what other ranks have finished out of `elsewhere`. Raises what they met."""
        for index in [index for index in elsewhere if self._store.check([f"{number}/{index}"])]:
            problem = _unpacked(self._store.get(f"{number}/{index}"))
            if problem is not None:
                raise problem
            work = elsewhere.pop(index)
            cache.look_again()
            if not all(cache.has(job.digest, job.folders[space], work.shard) for space in work.spaces):
                raise StoreError(
                    f"{cache.root}: another rank made images {work.shard.first} and on, and they are not here",
                    hint="name a --cache that the machines of all ranks share",
                )
            advance(work.shard.size)

    def _await(self, key: str) -> bytes:
        while not self._store.check([key]):
            time.sleep(POLL)
        value: bytes = self._store.get(key)
        return value


def _kept(made: Made | GenbenchError, job: Job, work: Work, cache: ShardCache) -> GenbenchError | None:
    """Keep a shard; what is wrong if it could not be made or kept."""
    if isinstance(made, GenbenchError):
        return made
    try:
        job.keep(work.shard, made, cache)
    except StoreError as error:
        return error
    return None


def _packed(value: object) -> str:
    return base64.b64encode(pickle.dumps(value)).decode()


def _unpacked(text: bytes) -> Any:
    return pickle.loads(base64.b64decode(text))
