"""The engine that is this process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from genbench.engine.behind import Behind
from genbench.engine.job import Job
from genbench.engine.making import Maker
from genbench.shards import ShardCache


class Local:
    """Makes one shard after the other, here."""

    name = "local"
    workers = 1

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def device(self, asked: str) -> str:
        """The device asked for."""
        return asked

    def assist(self) -> bool:
        """Nobody else leads."""
        return False

    def fill(self, job: Job, cache: ShardCache, advance: Callable[[int], None]) -> None:
        """See `genbench.engine.engines.Engine.fill`; raises what `Maker.make` and `Job.keep` raise."""
        maker = Maker(job)
        with Behind() as behind:
            for work in job.plan.work:
                behind.do(partial(job.keep, work.shard, maker.make(work, advance), cache))
