"""What the store knows of one run under one protocol: its measurements, a seed block each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genbench.comparisons.significance import Direction
from genbench.store import Store

_RECORDS = """
    SELECT
        record_id, coalesce(run, images_source) AS name, coalesce(run_digest, images_digest) AS digest, kind, suite,
        suite_digest, precision, n, block, first_seed, labels, images_digest, reference, reference_sha256, held_out,
        influence, created, device, processor, seconds_per_image
    FROM runs
    LEFT JOIN costs USING (record_id)
    WHERE record_id IN (SELECT unnest(?::VARCHAR[]))
    ORDER BY name, suite_digest, n, block
"""
_MEASUREMENTS = """
    SELECT record_id, metric, version, direction, space, space_digest, value, stderr, n
    FROM measurements
    WHERE record_id IN (SELECT unnest(?::VARCHAR[])) AND metric = coalesce(?, metric)
    ORDER BY record_id, position
"""


class MetricKey(NamedTuple):
    """A metric's definition: numbers of two versions are never compared."""

    metric: str
    """``statistic@space``."""
    version: int


class Value(NamedTuple):
    """One number of one seed block."""

    value: float
    stderr: float | None
    n: int


class Block(NamedTuple):
    """The record of one seed block."""

    record_id: str
    images_digest: str
    """Identity of the images; records that share it measured the very same ones."""
    first_seed: int | None
    """None for images that existed already."""
    n: int
    influence: str | None
    """Parquet file of each image's influence, below the cache folder of the machine that measured."""
    created: Any
    device: str
    processor: str
    seconds_per_image: float | None


class ProtocolFacts(NamedTuple):
    """What a record says of the protocol that it was measured under."""

    suite: str | None
    suite_digest: str | None
    precision: str
    n: int
    labels: str | None
    reference: str
    reference_sha256: Mapping[str, str]
    """By feature space."""
    held_out: str | None


@dataclass(frozen=True)
class Measured:
    """One run, or one set of images, under one protocol."""

    name: str
    """``variant@preset``, or the path that was scored."""
    digest: str
    """Identity of the run, or of the scored images."""
    protocol: ProtocolFacts
    blocks: dict[int, Block] = field(default_factory=dict)
    """By number."""
    values: dict[MetricKey, dict[int, Value]] = field(default_factory=dict)
    """By metric and block."""
    directions: dict[MetricKey, Direction] = field(default_factory=dict)
    spaces: dict[str, str | None] = field(default_factory=dict)
    """Digest by feature space."""


def load(store: Store, record_ids: Sequence[str], *, metric: str | None = None) -> list[Measured]:
    """The runs that these records are of, by name; of all their metrics or of one.

    Records must be of different blocks where they are of one run and protocol, as those of the view `counted` are.
    """
    runs: dict[tuple[str, str | None, int, str], Measured] = {}
    owners: dict[str, tuple[Measured, int]] = {}
    for row in _dicts(store, _RECORDS, [list(record_ids)]):
        # Scores without a suite have no digest that would tell two of them apart.
        key = (row["name"], row["suite_digest"], row["n"], "" if row["suite_digest"] else row["record_id"])
        run = runs.setdefault(key, Measured(row["name"], row["digest"], _pick(ProtocolFacts, row)))
        run.blocks[row["block"]] = _pick(Block, row)
        owners[row["record_id"]] = run, row["block"]
    for row in _dicts(store, _MEASUREMENTS, [list(record_ids), metric]):
        run, block = owners[row["record_id"]]
        measured = MetricKey(row["metric"], row["version"])
        run.values.setdefault(measured, {})[block] = Value(row["value"], row["stderr"], row["n"])
        run.directions[measured] = row["direction"]
        run.spaces[row["space"]] = row["space_digest"]
    return list(runs.values())


def _dicts(store: Store, sql: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    answer = store.query(sql, parameters)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _pick(kind: Any, row: Mapping[str, Any]) -> Any:
    return kind(**{name: row[name] for name in kind._fields})
