"""The engine that is a Ray cluster: this process leads, workers on any machine make shards and send them back.

Workers need genbench, the weights and modules of one's own on their machines, and no folder in common: this process
alone writes the cache. A worker that dies costs the shard that it was making, which another one makes again.
"""

from __future__ import annotations

import os
import platform
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch

from genbench import __version__, console, provenance
from genbench.engine.job import Job, Made
from genbench.engine.making import Worker
from genbench.errors import GenbenchError, RunFailedError, UsageError
from genbench.plan import Work
from genbench.shards import ShardCache

LOSSES = 3
"""Workers that one shard, or starting a worker, may cost before the run is given up."""


class Hand(Worker):
    """A worker that is a process of the cluster."""

    def __init__(self, threads: int, versions: dict[str, str]) -> None:
        """`threads` and `versions` are the leader's: other ones round otherwise."""
        torch.set_num_threads(threads)
        # Ray shows a process the one GPU that is its own.
        super().__init__(lambda device: "cuda" if device.startswith("cuda") else device)
        self._versions = versions

    def started(self) -> None:
        """Answers once the process is there."""

    def make(self, number: int, job: Job, work: Work) -> Made | GenbenchError:
        """See `Worker.make`; `UsageError` where the versions are others than the leader's."""
        if (here := _versions()) != self._versions:
            return UsageError(
                f"{platform.node()} computes with {_listed(here)}, the leader with {_listed(self._versions)}",
                hint="install the same versions on every machine of the cluster",
            )
        return super().make(number, job, work)


def _versions() -> dict[str, str]:
    """Of what computes in this process."""
    return {"genbench": __version__, **provenance.versions()}


def _listed(versions: dict[str, str]) -> str:
    return " ".join(f"{package} {version}" for package, version in versions.items())


class _Call(NamedTuple):
    hand: Any
    job: int
    work: Work | None
    """None for the question whether the hand has started."""


class _Died(NamedTuple):
    """The answer of a hand that is no more."""

    why: str


class Cluster:
    """Shards shared out among the processes of a Ray cluster: one a GPU, or as many as have CPUs enough each."""

    name = "ray"

    def __init__(self, address: str | None) -> None:
        """See `genbench.engine.engines.open_engine` for the `address`. Raises `UsageError` where ray is not there."""
        try:
            import ray
        except ImportError as error:
            raise UsageError("--engine ray: ray is not installed", hint="pip install 'genbench[ray]'") from error
        self._ray: Any = ray
        self._address = address
        self._idle: list[Any] = []
        self._calls: dict[Any, _Call] = {}
        self._losses: Counter[Work | None] = Counter()
        self._jobs = 0

    @property
    def workers(self) -> int:
        """Processes that there are, or that were asked for."""
        return len(self._idle) + len(self._calls)

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
        try:
            self._ray.init(address=self._address, logging_level="warning")
        except (ConnectionError, ValueError) as error:
            raise UsageError(
                f"--address {self._address}: no Ray cluster answers ({error})", hint="`ray status` tells of one"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def device(self, asked: str) -> str:
        """The device asked for, where this process measures; workers sample on one of that kind."""
        return asked

    def assist(self) -> bool:
        """This process leads."""
        return False

    def fill(self, job: Job, cache: ShardCache, advance: Callable[[int], None]) -> None:
        """See `genbench.engine.engines.Engine.fill`.

        Raises what workers raise, `UsageError` where no machine of the cluster has room for one or one has other
        versions, and `RunFailedError` where they die again and again.
        """
        self._jobs += 1
        self._losses.clear()
        self._hire(job.device, len(job.plan.work))
        shared, todo = self._ray.put(job), deque(job.plan.work)
        left = len(todo)
        while left:
            while todo and self._idle:
                hand, work = self._idle.pop(), todo.popleft()
                self._calls[hand.make.remote(self._jobs, shared, work)] = _Call(hand, self._jobs, work)
            call, answer = self._answer()
            wanted = call.work if call.job == self._jobs else None  # not of a job that failed
            if isinstance(answer, _Died):
                self._mourn(wanted, answer)
                self._hire(job.device, left)
                todo.extendleft([wanted] if wanted else [])
            elif isinstance(answer, GenbenchError):
                if wanted:
                    raise answer
            elif wanted and answer:
                job.keep(wanted.shard, answer, cache)
                advance(wanted.shard.size)
                left -= 1

    def _hire(self, device: str, shards: int) -> None:
        """Ask for workers until there are as many as the cluster has room for, or shards."""
        gpu, threads = device.startswith("cuda"), torch.get_num_threads()
        needs = {"num_gpus": 1, "num_cpus": 1} if gpu else {"num_cpus": threads}
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        room = sum(int(node.get("GPU", 0) if gpu else node.get("CPU", 0) // threads) for node in alive)
        if not room:
            raise UsageError(
                f"no machine of the cluster has {'a GPU' if gpu else f'{threads} CPUs'} for a worker",
                hint="--device cpu" if gpu else "set OMP_NUM_THREADS to what the smallest machine has",
            )
        for _ in range(min(room, shards) - self.workers):
            hand = self._ray.remote(Hand).options(**needs).remote(threads, _versions())
            self._calls[hand.started.remote()] = _Call(hand, self._jobs, None)

    def _answer(self) -> tuple[_Call, Made | GenbenchError | _Died | None]:
        """Wait for any hand."""
        (reference,), _ = self._ray.wait(list(self._calls), num_returns=1)
        call = self._calls.pop(reference)
        lost = self._ray.exceptions
        try:
            answer = self._ray.get(reference)
        except (lost.RayActorError, lost.ObjectLostError, lost.OutOfMemoryError) as error:
            return call, _Died(str(error).strip().splitlines()[-1].strip())
        self._idle.append(call.hand)
        return call, answer

    def _mourn(self, work: Work | None, death: _Died) -> None:
        self._losses[work] += 1
        images = f"images {work.shard.first} to {work.shard.first + work.shard.size - 1}" if work else "nothing"
        if self._losses[work] == LOSSES:
            raise RunFailedError(
                f"{LOSSES} workers of the cluster died making {images} ({death.why})",
                hint="its logs say why (`ray logs cluster`); finished shards are kept, the same command continues",
            )
        console.warn(f"a worker of the cluster died making {images}, which another one makes ({death.why})")
