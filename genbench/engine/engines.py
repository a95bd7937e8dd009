"""The engines by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, Self

from genbench.engine import EngineName
from genbench.engine.job import Job
from genbench.engine.local import Local
from genbench.errors import UsageError
from genbench.shards import ShardCache


class Engine(Protocol):
    """Makes shards of jobs. Which one changes no number; a context manager, as some hold other processes."""

    @property
    def name(self) -> str:
        """As `--engine` takes it."""
        ...

    @property
    def workers(self) -> int:
        """Processes that made shards at once, at most."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None: ...

    def device(self, asked: str) -> str:
        """The device of this process where `asked` is what the user named."""
        ...

    def assist(self) -> bool:
        """Whether another process leads; if so, shards were made for it until it had no more, and this one is done."""
        ...

    def fill(self, job: Job, cache: ShardCache, advance: Callable[[int], None]) -> None:
        """Make every shard of the plan; `advance` hears of finished images.

        A shard is written when all its images are done; what was written stays when a later one fails. Raises what
        `genbench.engine.making.Maker.make` and `Job.keep` raise.
        """
        ...


def open_engine(name: EngineName | None, address: str | None = None) -> Engine:
    """The engine of that name; none is the one that this process was started by: torchrun, or else none but itself.

    Args:
        name: of the engine.
        address: of a Ray cluster; none for the one that ``RAY_ADDRESS`` or ``ray start`` made known here, or a new one
            on this machine.

    Raises `UsageError` for an engine that is not there, and for an address of another one than ray.
    """
    if name is None:
        name = "torchrun" if "TORCHELASTIC_RUN_ID" in os.environ else "local"
    if address is not None and name != "ray":
        raise UsageError(f"--address is of a Ray cluster, the engine is {name}", hint="add --engine ray")
    if name == "torchrun":
        from genbench.engine.ranks import join

        return join()
    if name == "ray":
        from genbench.engine.cluster import Cluster

        return Cluster(address)
    return Local()
