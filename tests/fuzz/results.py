"""Malformed results: records, tables of records, and folders of them as a baseline."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from genbench.digest import digest
from genbench.records import Record
from tests.fuzz.campaign import Attempt
from tests.fuzz.mutations import damaged, document, json_text, warped

RECORD: dict[str, Any] = {
    "id": "20260101T000000Z-00000001",
    "created": "2026-01-01T00:00:00Z",
    "kind": "run",
    "limited": False,
    "block": 0,
    "suite": {"id": "tiny", "digest": "5" * 64},
    "run": {
        "name": "tiny@ode2",
        "method": "tiny",
        "variant": "tiny",
        "preset": "ode2",
        "digest": "a" * 64,
        "given": {"steps": 2},
        "settings": {"steps": 2, "cfg": 1.0},
        "weights_sha256": None,
    },
    "images": {"source": "sampler", "digest": "images", "n": 24, "first_seed": 0, "labels": "empirical"},
    "reference": {"name": "toy", "sha256": {"effnet-lite0": "b" * 64}, "n": {"effnet-lite0": 1000}},
    "spaces": {"effnet-lite0": "c" * 64},
    "measurements": [
        {
            "metric": "fd@effnet-lite0",
            "statistic": "fd",
            "space": "effnet-lite0",
            "version": 1,
            "direction": "lower",
            "value": 12.5,
            "stderr": 0.5,
            "n": 24,
            "n_reference": 1000,
        }
    ],
    "contributions": [
        {"metric": "fd@effnet-lite0", "label": 0, "name": "a", "n": 3, "contribution": 0.5, "stderr": None}
    ],
    "parts": [{"metric": "fd@effnet-lite0", "part": "a", "value": 1.0, "stderr": None, "n": 3}],
    "influence": "features/x/influence/y.parquet",
    "costs": {"nfe": 2, "parameters": 1000, "seconds_per_image": 0.01, "wall_seconds": 1.0},
    "provenance": {
        "genbench": "0",
        "python": "3",
        "packages": {"torch": "2.6"},
        "commit": None,
        "dirty": None,
        "platform": "p",
        "processor": "c",
        "cores": 1,
        "threads": 1,
        "device": "cpu",
        "tf32": False,
        "deterministic": True,
        "argv": ["genbench"],
    },
}
"""What a record says, before it is sealed."""


@cache
def sound_record() -> dict[str, Any]:
    """A sealed record as plain data."""
    sealed: dict[str, Any] = Record.model_validate(RECORD).sealed().model_dump(mode="json")
    return sealed


def sealed(data: Any) -> Any:
    """The same with the digest that its content has, as who edits a record on purpose would write it."""
    try:
        return data | {"digest": digest({key: value for key, value in data.items() if key != "digest"})}
    except (TypeError, ValueError):  # no mapping, or NaN and half surrogate pairs, which no digest covers
        return data


def record_text(rng: Random) -> bytes:
    """A record that is none, was edited, or was edited and sealed again."""
    if rng.random() < 0.5:
        return json_text(sealed(warped(sound_record(), rng)))
    return document(sound_record(), json_text, rng)


def record(attempt: Attempt) -> list[str]:
    """A record that is shown."""
    path = attempt.folder / "tiny" / "tiny@ode2" / f"{RECORD['id']}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(record_text(attempt.rng))
    return ["show", "run", RECORD["id"], "--results", str(attempt.folder)]


def table_of(texts: list[str | None], column: str = "record VARCHAR") -> bytes:
    """A Parquet file of records as `genbench store export` writes it."""
    with TemporaryDirectory() as folder, duckdb.connect(":memory:") as connection:
        path = Path(folder) / "x.parquet"
        connection.execute(f"CREATE TABLE t (path VARCHAR, {column})")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [[f"{i}.json", text] for i, text in enumerate(texts)])
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        return path.read_bytes()


@cache
def _sound_table() -> bytes:
    return table_of([json.dumps(sound_record())])


@cache
def _wrong_columns() -> tuple[bytes, ...]:
    return table_of(["x"], "other VARCHAR"), table_of(["1"], "record INTEGER"), table_of([None])


_REVISIONS = ("-rf", "--output=x", "no such", "HEAD~999", "\udcff", "..", "", "a\nb", "x:../y", "@{-1}", "x" * 5000)
"""What is no git revision."""


def baseline(attempt: Attempt) -> list[str]:
    """What `genbench check` is to hold results against."""
    rng, folder, world = attempt
    world.results.mkdir(exist_ok=True)
    match rng.randrange(4):
        case 0:
            path = folder / "x.parquet"
            path.write_bytes(damaged(_sound_table(), rng))
        case 1:
            path = folder / "x.parquet"
            path.write_bytes(rng.choice(_wrong_columns()))
        case 2:
            path = folder / rng.choice(("x.txt", "x.parquet", "x.zip"))
            path.write_bytes(rng.randbytes(rng.randrange(64)))
        case _:
            return world.arguments("check", "tiny", "--baseline", rng.choice(_REVISIONS))
    return world.arguments("check", "tiny", "--baseline", path)
