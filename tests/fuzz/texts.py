"""Malformed text: cards, suites, decoder files, published figures, prompts, settings, SQL."""

from __future__ import annotations

import csv
import io
import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from genbench.methods.catalog import FAMILIES
from tests.fuzz.campaign import Attempt
from tests.fuzz.images import sound
from tests.fuzz.mutations import damaged, document, odd, toml

ROOT = Path(__file__).parents[2]
REGISTRY, SUITES = ROOT / "registry", ROOT / "suites"


@cache
def cards() -> tuple[dict[str, Any], ...]:
    """A card of each family, of one variant, its network as small as `genbench validate` makes it."""
    found = {}
    for path in sorted(REGISTRY.glob("*.toml")):
        card = tomllib.loads(path.read_text())
        family = FAMILIES.get(card["method"].get("sampler"))
        if family is None or family.module is None or family.sampler in found:
            continue
        name, variant = next(iter(card["variants"].items()))
        variant["network"] |= family.tiny
        variant = {key: value for key, value in variant.items() if key not in ("manifest", "claims")}
        variant["presets"] = {variant["default_preset"]: variant["presets"][variant["default_preset"]]}
        found[family.sampler] = {"method": card["method"], "variants": {name: variant}}
    return tuple(found.values())


def card(attempt: Attempt) -> list[str]:
    """A card, checked by itself or beside the others."""
    rng, folder, _ = attempt
    sound = rng.choice(cards())
    name = sound["method"]["id"]
    path = folder / f"{name}.toml"
    path.write_bytes(document(sound, toml, rng))
    return ["validate", str(path)]


def preset(attempt: Attempt) -> list[str]:
    """Settings of a run that no sampler has."""
    rng = attempt.rng
    key = rng.choice(("steps", "cfg", "mode", "rtol", "path", "dtype", "weights", "compile", "integrator", "stpes", ""))
    values = (*map(str, (odd(rng), odd(rng))), "nan", "1e999", "-1", "[1]", "{", "9" * 5000, "[" * 5000, "\udcff", "é=")
    text = rng.choice((f"{key}={rng.choice(values)}", f"{key}", "=", f"{rng.choice(values)}=3"))
    return attempt.world.arguments("run", "tiny", "-m", "tiny@ode2", "--dry-run", f"--set={text}")


@cache
def _suites() -> tuple[dict[str, Any], ...]:
    chosen = ("quick", "emoji32", "recon-imagenet256", "t2i-prompts", "imagenet256-10k")
    return tuple(tomllib.loads((SUITES / f"{name}.toml").read_text()) for name in chosen)


def suite(attempt: Attempt) -> list[str]:
    """A suite, shown or planned."""
    rng, folder, world = attempt
    sound = rng.choice((*_suites(), tomllib.loads((world.suites / "tiny.toml").read_text())))
    path = folder / f"{sound['id']}.toml"
    path.write_bytes(document(sound, toml, rng))
    if rng.random() < 0.7:
        return ["show", "suite", str(path)]
    return world.arguments("run", path, "-m", "tiny", "--dry-run")


@cache
def _decoders() -> tuple[dict[str, Any], ...]:
    return tuple(tomllib.loads(path.read_text()) for path in sorted((REGISTRY / "decoders").glob("*.toml")))


def decoder(attempt: Attempt) -> list[str]:
    """A decoder's file."""
    rng, folder, _ = attempt
    sound = rng.choice(_decoders())
    path = folder / "decoders" / f"{sound['id']}.toml"
    path.parent.mkdir()
    path.write_bytes(document({**sound, "manifest": "none"}, toml, rng))
    return ["validate", sound["id"], "--registry", str(folder)]


@cache
def _tables() -> dict[str, list[list[str]]]:
    paths = sorted((REGISTRY / "published").glob("*.csv"))
    return {path.name: list(csv.reader(path.read_text().splitlines()))[:6] for path in paths}


def figures(attempt: Attempt) -> list[str]:
    """A file of published figures."""
    rng, folder, _ = attempt
    name = rng.choice(("figures-few-step.csv", "figures-tokens.csv", "fdr6.csv"))
    path = folder / "published" / name
    path.parent.mkdir()
    path.write_bytes(_table(_tables()[name], rng))
    return ["show", "published", "none", "--registry", str(folder)]


def _table(sound: list[list[str]], rng: Random) -> bytes:
    rows = [list(row) for row in sound]
    if rng.random() < 0.4:
        return damaged(_csv(rows), rng)
    row = rng.choice(rows)
    match rng.randrange(5):
        case 0:
            row[rng.randrange(len(row))] = str(odd(rng))
        case 1:
            del row[rng.randrange(len(row))]
        case 2:
            rows.append(row)
        case 3:
            row.append(str(odd(rng)))
        case _:
            row[rng.randrange(len(row))] = rng.choice(('"', "a" * 200_000, "\0", "\r", "nan", "9" * 5000))
    return _csv(rows)


def _csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_NONE, quotechar=None, escapechar="\\").writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


_PROMPTS = {
    "x.csv": b"file_name,prompt,category\na.png,a red cube,shape\nb.png,a dog,animal\nc.png,two cats,animal\n",
    "x.jsonl": b'{"file_name": "a.png", "prompt": "a cube"}\n{"file_name": "b.png", "prompt": "dog"}\n{"prompt": 3}\n',
    "x.txt": b"a red cube\na dog\ntwo cats\n",
}


_HOSTILE_LINES = (
    b"",
    b"\n",
    b"\xff\xfe",
    b"\0\n",
    b'"\n',
    b"[" * 50_000,
    b'{"prompt": ' + b"9" * 5000 + b"}",
    b"a" * 200_000,
)


def prompts(attempt: Attempt) -> list[str]:
    """A file of prompts."""
    rng, folder, world = attempt
    name = rng.choice(list(_PROMPTS))
    path = folder / name
    lines = _PROMPTS[name].splitlines(keepends=True)
    lines.insert(rng.randint(0, len(lines)), rng.choice(_HOSTILE_LINES))
    path.write_bytes(damaged(_PROMPTS[name], rng) if rng.random() < 0.6 else b"".join(lines))
    options = ["--prompts", str(path), "--no-record", "--cache", str(world.cache)]
    return ["score", str(sound(world)), *options]


_QUERIES = (
    "select * from leaderboard",
    "select suite, count(*) from runs group by all order by 2 desc limit 3",
    "from measurements where metric = 'fd@inception-tf' and value < 1e3",
    "with best as (select run, min(value) v from leaderboard group by run) select * from best natural join runs",
    "describe runs; show tables",
    "select column_name, comment from duckdb_columns() where table_name = 'runs'",
)
_FORBIDDEN = (
    "copy runs to '/tmp/out.csv'",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from read_text('/etc/passwd')",
    "select * from glob('/*')",
    "attach '/tmp/other.duckdb'",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "pragma database_list; drop table runs",
    "delete from runs",
    "create table t as select 1",
    "create or replace view leaderboard as select 1",
    "update runs set n = 3",
    "export database '/tmp/out'",
    "import database '/tmp/out'",
    "checkpoint",
    "vacuum",
    "select getenv('HOME')",
    "call pragma_version(); copy (select 1) to '/tmp/x'",
    "select * from read_parquet('https://example.org/x.parquet')",
    "explain analyze copy runs to '/tmp/out.csv'",
    "prepare p as select ?; execute p",
    "select 1; select ;",
)


def query(attempt: Attempt) -> list[str]:
    """SQL that is none, or that reads or writes what is not the store's."""
    rng, folder, world = attempt
    if rng.random() < 0.4:
        text = rng.choice(_FORBIDDEN)
    else:
        text = damaged(rng.choice(_QUERIES).encode(), rng).decode("utf-8", "surrogateescape")
    world.results.mkdir(exist_ok=True)
    if rng.random() < 0.5:
        path = folder / "q.sql"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return ["sql", "--file", str(path), "--results", str(world.results)]
    return ["sql", text.replace("\0", " "), "--results", str(world.results)]
