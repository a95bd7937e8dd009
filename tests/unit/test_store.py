"""The store gives the same answers whatever the order, the repetition, the processes and the accidents."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.cards import decoder_files, load_cards
from genbench.errors import StoreError, UsageError
from genbench.paths import data_folders
from genbench.provenance import Provenance
from genbench.published import load_figures
from genbench.records import (
    Costs,
    ImageFacts,
    MeasurementFacts,
    PartFacts,
    Record,
    ReferenceFacts,
    RunFacts,
    SuiteFacts,
    record_files,
    write_record,
)
from genbench.store import Store, ingest
from genbench.store.ddl import FILES
from genbench.store.sources import Sources
from genbench.suites import suite_files

START = datetime(2025, 1, 1, tzinfo=UTC)
REPOSITORY = Path(__file__).parents[2]


def make_record(
    number: int,
    *,
    run: str | None = "toy@ode",
    run_digest: str = "r1",
    suite: str | None = "quick",
    suite_digest: str = "s1",
    block: int = 0,
    n: int = 256,
    limited: bool = False,
    values: dict[str, tuple[float, float | None]] | None = None,
    **changes: Any,
) -> Record:
    """Record `number`, written `number` minutes after the first."""
    values = values or {"fd@toy": (10.0 + number, 0.5)}
    variant, _, preset = (run or "").partition("@")
    record = Record(
        id=f"20250101T000000Z-{number:08x}",
        created=START + timedelta(minutes=number),
        kind="run" if run else "score",
        limited=limited,
        block=block,
        suite=SuiteFacts(id=suite, digest=suite_digest) if suite else None,
        run=RunFacts(
            name=run,
            method="toy",
            variant=variant,
            preset=preset,
            digest=run_digest,
            given={"steps": 5},
            settings={"steps": 5, "shift": 1.0},
            weights_sha256=None,
        )
        if run
        else None,
        images=ImageFacts(source="sampler" if run else "pictures", digest="i1", n=n, first_seed=0, labels="uniform"),
        reference=ReferenceFacts(name="toy", sha256={"toy": "00"}, n={"toy": 1000}),
        spaces={"toy": "space"},
        measurements=tuple(
            MeasurementFacts(
                metric=metric,
                statistic=metric.partition("@")[0],
                space=metric.partition("@")[2],
                version=1,
                direction="higher" if metric.startswith("precision") else "lower",
                value=value,
                stderr=stderr,
                n=n,
                n_reference=1000,
            )
            for metric, (value, stderr) in values.items()
        ),
        costs=Costs(nfe=10, seconds_per_image=0.25, wall_seconds=3.0),
        provenance=Provenance(
            genbench="0",
            python="3",
            packages={"numpy": "2"},
            commit=None,
            dirty=None,
            platform="p",
            processor="c",
            cores=2,
            threads=1,
            device="cpu",
            tf32=False,
            deterministic=True,
            argv=["genbench"],
        ),
    )
    return record.model_copy(update=changes)


def answers(store: Store) -> list[list[tuple[Any, ...]]]:
    """Everything that can be asked, in a fixed order."""
    return [
        store.query(f"SELECT * FROM {table} ORDER BY ALL").rows
        for table in (
            "runs",
            "measurements",
            "measurement_parts",
            "class_contributions",
            "costs",
            "methods",
            "variants",
            "suites",
            "counted",
            "leaderboard",
            "comparable",
            "pareto",
        )
    ]


def board(results: Path, columns: str = "run, value") -> list[tuple[Any, ...]]:
    with Store.open(results) as store:
        return store.query(f"SELECT {columns} FROM leaderboard ORDER BY ALL").rows


def count(results: Path) -> int:
    with Store.open(results) as store:
        return int(store.query("SELECT count(*) FROM runs").rows[0][0])


def test_records_become_rows(tmp_path: Path) -> None:
    path = write_record(make_record(1, values={"fd@toy": (10.25, 0.5), "kd@toy": (0.01, None)}), tmp_path)
    with Store.open(tmp_path) as store:
        run = store.query("SELECT record_id, created, run, preset, settings, argv, record_path, n FROM runs").rows
        measured = store.query("SELECT position, metric, space_digest, value, stderr FROM measurements").rows
        costs = store.query("SELECT nfe, parameters, seconds_per_image FROM costs").rows
    assert run == [
        (
            "20250101T000000Z-00000001",
            datetime(2025, 1, 1, 0, 1),
            "toy@ode",
            "ode",
            {"steps": 5, "shift": 1.0},
            ["genbench"],
            path.relative_to(tmp_path).as_posix(),
            256,
        )
    ]
    assert sorted(measured) == [(0, "fd@toy", "space", 10.25, 0.5), (1, "kd@toy", "space", 0.01, None)]
    assert costs == [(10, None, 0.25)]


def test_a_value_over_several_spaces_has_their_digests_and_its_parts(tmp_path: Path) -> None:
    parts = [("toy", 1.5, 0.25, 2.0), ("wide", 2.5, None, 4.0)]
    record = make_record(
        1,
        values={"fdr@toy+wide": (2.0, 0.5), "fd@lost": (1.0, None)},
        spaces={"toy": "t1", "wide": "w1"},
        parts=tuple(
            PartFacts(metric="fdr@toy+wide", part=part, value=value, stderr=stderr, n=256, denominator=denominator)
            for part, value, stderr, denominator in parts
        ),
    )
    write_record(record, tmp_path)
    with Store.open(tmp_path) as store:
        digests = store.query("SELECT metric, space_digest FROM measurements").rows
        stored = store.query("SELECT part, value, stderr, denominator FROM measurement_parts ORDER BY part").rows
    assert sorted(digests) == [("fd@lost", None), ("fdr@toy+wide", "t1+w1")]
    assert stored == parts


def test_every_table_view_and_column_says_what_it_is(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        columns = store.query("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").rows
        bare = store.query("SELECT column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL").rows
        tables = store.query("SELECT table_name FROM duckdb_tables() WHERE comment IS NULL").rows
        views = store.query("SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL").rows
        assert {"runs", "measurements", "costs", "methods", "variants", "suites", "leaderboard"} <= set(store.tables())
    assert len(columns) > 100
    assert bare == tables == views == []


def test_the_digest_of_the_schema_says_which_files_it_covers(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        ((said,),) = store.query("SELECT comment FROM duckdb_columns() WHERE column_name = 'schema_digest'").rows
    assert re.findall(r"\w+\.sql", said) == list(FILES)


def test_cards_and_suites_become_rows(tmp_path: Path) -> None:
    with Store.open(tmp_path, registry=[REPOSITORY / "registry"]) as store:
        assert ("sit-emoji32", "sit", 32) in store.query("SELECT variant, method, resolution FROM variants").rows
        presets = store.query("SELECT presets, default_preset FROM variants WHERE variant = 'sit-emoji32'").rows
    assert presets[0][1] in presets[0][0]


def test_a_changed_card_or_suite_replaces_the_old_one(tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    results = tmp_path / "results"
    suites.mkdir()
    results.mkdir()
    suite = (
        'id = "tiny"\ntitle = "{}"\ndataset = "d"\nresolution = 32\nreference = "r"\nimages = 10\n'
        'labels = "uniform"\nmetrics = ["fid", "kid"]\nruns = ["*"]\n'
    )
    (suites / "tiny.toml").write_text(suite.format("first"))
    with Store.open(results, suites=[suites]) as store:
        assert store.query("SELECT suite, title, metrics FROM suites").rows == [("tiny", "first", ["fid", "kid"])]
    (suites / "tiny.toml").write_text(suite.format("the second"))
    with Store.open(results, suites=[suites]) as store:
        assert store.query("SELECT title FROM suites").rows == [("the second",)]
    (suites / "tiny.toml").unlink()
    with Store.open(results, suites=[suites]) as store:
        assert store.query("SELECT title FROM suites").rows == []


def test_broken_cards_and_taken_variants_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "registry"
    results = tmp_path / "results"
    registry.mkdir()
    results.mkdir()
    card = (REPOSITORY / "registry" / "sit.toml").read_text()
    (registry / "sit.toml").write_text(card)
    (registry / "twin.toml").write_text(card.replace('id = "sit"', 'id = "twin"', 1))
    (registry / "broken.toml").write_text("method = 1")
    with Store.open(results, registry=[registry]) as store:
        assert store.query("SELECT method FROM methods").rows == [("sit",)]
    said = capsys.readouterr().err
    assert "broken.toml: left out" in said
    assert "twin.toml: left out: variant 'sit-" in said


def test_the_scan_finds_what_record_files_finds(tmp_path: Path) -> None:
    write_record(make_record(1), tmp_path)
    write_record(make_record(2, run=None, suite=None), tmp_path)
    for extra in ("loose.json", "quick/loose.json", "quick/toy@ode/.hidden.json", "quick/toy@ode/a/b.json"):
        (tmp_path / extra).parent.mkdir(exist_ok=True)
        (tmp_path / extra).write_text("{}")
    found = {key.path for key in Sources(tmp_path, (), ()).scan()}
    assert found == {path.relative_to(tmp_path).as_posix() for path in record_files(tmp_path)}
    assert len(found) == 2


def test_an_editors_lock_beside_a_card_is_no_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a link that leads nowhere."""
    registry, suites = tmp_path / "registry", tmp_path / "suites"
    for folder in (registry, registry / "unavailable", registry / "decoders", registry / "published", suites):
        folder.mkdir()
        for name in (".#a.toml", ".#a.csv", ".#figures-a.csv", "b.toml"):
            (folder / name).symlink_to("somebody@machine.1234:1")
    write_record(make_record(1), tmp_path / "results")
    with Store.open(tmp_path / "results", registry=[registry], suites=[suites]) as store:
        assert store.query("SELECT kind FROM files").rows == [("record",)]
    assert load_cards([registry]) == decoder_files([registry]) == suite_files([suites]) == {}
    assert load_figures([registry]) == []
    assert capsys.readouterr().err == ""


RECORDS = [
    make_record(1),
    make_record(2, block=1, values={"fd@toy": (11.1, 0.3)}),
    make_record(3, block=2, values={"fd@toy": (0.1, 0.7), "precision@toy": (0.5, 0.01)}),
    make_record(4, values={"fd@toy": (9.7, None)}),
    make_record(5, run="toy@sde", values={"fd@toy": (1 / 3, 0.1)}),
    make_record(6, suite_digest="s2"),
    make_record(7, run=None, suite=None),
    make_record(8, limited=True, n=16),
]


@cache
def answers_at_once() -> list[list[tuple[Any, ...]]]:
    """What a store says that finds all `RECORDS` when it is made."""
    with tempfile.TemporaryDirectory() as folder:
        for record in RECORDS:
            write_record(record, Path(folder))
        with Store.open(Path(folder)) as store:
            return answers(store)


@settings(max_examples=4, deadline=None)
@given(st.permutations(RECORDS), st.sets(st.integers(0, len(RECORDS) - 1), max_size=2))
def test_order_and_repetition_of_ingest_do_not_matter(order: list[Record], looks: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for index, record in enumerate(order):
            write_record(record, Path(folder))
            if index in looks:
                Store.open(Path(folder)).close()
        with Store.open(Path(folder)) as store:
            assert answers(store) == answers_at_once()
        with Store.rebuild(Path(folder)) as store:
            assert answers(store) == answers_at_once()


def test_leaderboard_averages_the_latest_record_of_each_block(tmp_path: Path) -> None:
    fd = {0: (10.0, 0.3), 1: (12.0, 0.4), 2: (14.5, 1.2)}
    write_record(make_record(1, values={"fd@toy": (99.0, 9.0)}), tmp_path)  # block 0, superseded
    for block, measured in fd.items():
        write_record(make_record(2 + block, block=block, values={"fd@toy": measured}), tmp_path)
    write_record(make_record(9, run="toy@sde", values={"fd@toy": (11.0, 0.5)}), tmp_path)
    rows = board(tmp_path, "run, value, stderr, n_blocks, seed_spread, rank, nfe, seconds_per_image, is_current")
    (ode, sde) = rows
    # Expected: mean and sample deviation by the statistics module; root of the summed squares over three by hand.
    assert ode[:2] == ("toy@ode", pytest.approx(statistics.mean(v for v, _ in fd.values()), rel=1e-15))
    assert ode[2] == pytest.approx(math.sqrt(0.09 + 0.16 + 1.44) / 3, rel=1e-15)
    assert ode[3:] == (3, pytest.approx(statistics.stdev(v for v, _ in fd.values())), 2, 10, 0.25, True)
    assert sde == ("toy@sde", 11.0, 0.5, 1, None, 1, 10, 0.25, True)


def test_leaderboard_keeps_apart_what_cannot_be_compared(tmp_path: Path) -> None:
    write_record(make_record(1, run="old@ode", suite_digest="s1"), tmp_path)
    write_record(make_record(2, run="new@ode", suite_digest="s2"), tmp_path)
    write_record(make_record(3, run="new@few", suite_digest="s2", n=100), tmp_path)
    write_record(make_record(4, run="new@smoke", suite_digest="s2", limited=True), tmp_path)
    write_record(make_record(5, run=None, suite=None), tmp_path)
    write_record(make_record(6, run=None, suite_digest="s2"), tmp_path)
    rows = board(tmp_path, "run, suite_digest, is_current, n, rank")
    assert rows == [
        ("new@few", "s2", True, 100, 1),
        ("new@ode", "s2", True, 256, 1),
        ("old@ode", "s1", False, 256, 1),
        ("pictures", "s2", True, 256, 2),
    ]


def test_blocks_of_older_weights_are_not_averaged_with_newer_ones(tmp_path: Path) -> None:
    for block in range(3):
        write_record(make_record(block, block=block, run_digest="old", values={"fd@toy": (100.0, 1.0)}), tmp_path)
    write_record(make_record(9, block=1, run_digest="new", values={"fd@toy": (7.0, 1.0)}), tmp_path)
    assert board(tmp_path, "run_digest, n_blocks, value") == [("new", 1, 7.0)]


def test_rank_follows_the_direction(tmp_path: Path) -> None:
    for number, precision in enumerate([0.2, 0.9, 0.5]):
        write_record(make_record(number, run=f"toy@p{number}", values={"precision@toy": (precision, 0.1)}), tmp_path)
    assert board(tmp_path, "rank, value") == [(1, 0.9), (2, 0.5), (3, 0.2)]


def test_a_missing_standard_error_is_not_taken_for_zero(tmp_path: Path) -> None:
    write_record(make_record(1, values={"fd@toy": (1.0, 0.5)}), tmp_path)
    write_record(make_record(2, block=1, values={"fd@toy": (1.0, None)}), tmp_path)
    assert board(tmp_path, "stderr, n_blocks") == [(None, 2)]


def test_changed_moved_and_vanished_files(tmp_path: Path) -> None:
    first = write_record(make_record(1), tmp_path)
    second = write_record(make_record(2, run="toy@sde"), tmp_path)
    assert count(tmp_path) == 2
    second.unlink()
    assert board(tmp_path) == [("toy@ode", 11.0)]
    write_record(make_record(1, values={"fd@toy": (123.0, 0.5)}), tmp_path)
    assert board(tmp_path) == [("toy@ode", 123.0)]
    elsewhere = tmp_path / "quick" / "moved" / first.name
    elsewhere.parent.mkdir()
    first.rename(elsewhere)
    assert board(tmp_path) == [("toy@ode", 123.0)]


def test_a_record_in_two_files_counts_once_until_both_are_gone(tmp_path: Path) -> None:
    original = write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    copy = tmp_path / "a" / "copy" / original.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(original.read_bytes())
    assert count(tmp_path) == 1
    copy.unlink()
    assert count(tmp_path) == 1
    copy.write_bytes(original.read_bytes())
    Store.open(tmp_path).close()
    original.unlink()
    assert count(tmp_path) == 1
    copy.unlink()
    assert count(tmp_path) == 0


def test_two_records_with_one_id_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(make_record(1), tmp_path)
    write_record(make_record(1, run="a@first", values={"fd@toy": (1.0, None)}), tmp_path)
    assert board(tmp_path) == [("a@first", 1.0)]
    assert "has the id of quick/a@first" in capsys.readouterr().err


def test_an_edited_or_unreadable_record_is_left_out_and_named_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = write_record(make_record(1, run="toy@edited"), tmp_path)
    data = json.loads(edited.read_text())
    data["measurements"][0]["value"] = 0.001
    edited.write_text(json.dumps(data))
    write_record(make_record(2), tmp_path)
    broken = tmp_path / "quick" / "toy@ode" / "broken.json"
    broken.write_text('{"schema_version": 1')
    for _ in range(2):
        assert board(tmp_path) == [("toy@ode", 12.0)]
        said = capsys.readouterr().err
        assert f"{edited}: left out: was changed after it was written" in said
        assert f"{broken}: left out: not a genbench record" in said
    broken.unlink()
    edited.write_text(json.dumps(json.loads(edited.read_text()), indent=1).replace("0.001", "11.0"))
    assert board(tmp_path) == [("toy@edited", 11.0), ("toy@ode", 12.0)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("steps", ["NaN", '"\\ud800"'])
def test_settings_that_no_digest_can_cover(tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: str) -> None:
    path = write_record(make_record(1, run="toy@odd"), tmp_path)
    path.write_text(path.read_text().replace('"steps": 5', f'"steps": {steps}', 1))
    write_record(make_record(2), tmp_path)
    assert board(tmp_path) == [("toy@ode", 12.0)]
    assert f"{path}: left out" in capsys.readouterr().err


def test_many_left_out_files_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "quick" / "toy@ode"
    folder.mkdir(parents=True)
    for number in range(8):
        (folder / f"{number}.json").write_text("[]")
    Store.open(tmp_path).close()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 6
    assert "3 more files are left out" in said[-1]


def test_odd_names(tmp_path: Path) -> None:
    names = ["a@b+steps=5", 'it\'s@"quoted"', "ünïcødé@日本語🙂", "drop table runs;--@x", "%_@[*]", "pipe|@back\\slash"]
    for number, name in enumerate(names):
        write_record(make_record(number, run=name), tmp_path)
    assert [run for run, _ in board(tmp_path, "run, value")] == sorted(names)
    with Store.rebuild(tmp_path) as store:
        for number, name in enumerate(names):
            assert store.query("SELECT value FROM leaderboard WHERE run = ?", [name]).rows == [(10.0 + number,)]


def corrupt(kind: str, file: Path) -> None:
    whole = file.read_bytes()
    match kind:
        case "empty":
            file.write_bytes(b"")
        case "text":
            file.write_text("these are not the tables\n" * 100)
        case "half":
            file.write_bytes(whole[: len(whole) // 2])
        case "header":
            file.write_bytes(whole[:5000])
        case "flipped":
            middle = len(whole) // 2
            file.write_bytes(b"".join([whole[:12288], bytes(255 - b for b in whole[12288:middle]), whole[middle:]]))
        case "foreign":
            file.unlink()
            with duckdb.connect(str(file)) as connection:
                connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")


@pytest.mark.parametrize("kind", ["empty", "text", "half", "header", "flipped", "foreign"])
def test_a_file_that_is_no_store_is_rebuilt_kept_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    for number in range(3):
        write_record(make_record(number, block=number), tmp_path)
    with Store.open(tmp_path) as store:
        expected = answers(store)
    corrupt(kind, tmp_path / "genbench.duckdb")
    before = (tmp_path / "genbench.duckdb").read_bytes()
    capsys.readouterr()
    with Store.open(tmp_path) as store:
        assert answers(store) == expected
    assert "rebuilt from the records; the old file is kept as genbench-old-1.duckdb" in capsys.readouterr().err
    assert (tmp_path / "genbench-old-1.duckdb").read_bytes() == before
    with Store.open(tmp_path) as store:
        assert answers(store) == expected
    assert capsys.readouterr().err == ""


def test_a_store_of_another_version_is_rebuilt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    with duckdb.connect(str(tmp_path / "genbench.duckdb")) as connection:
        connection.execute("UPDATE store_info SET schema_version = 999")
    assert count(tmp_path) == 1
    assert "made by another version of genbench; rebuilt" in capsys.readouterr().err
    assert not list(tmp_path.glob("*-old-*"))


def test_the_log_of_a_replaced_store_is_not_replayed(tmp_path: Path) -> None:
    write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    code = """
import duckdb
connection = duckdb.connect(str(results / "genbench.duckdb"))
connection.execute("DELETE FROM runs")
connection.execute("UPDATE store_info SET schema_version = 999")
os._exit(0)  # leaves a .wal behind
"""
    python(code, tmp_path).communicate(timeout=60)
    assert (tmp_path / "genbench.duckdb.wal").exists()
    assert count(tmp_path) == 1


def test_the_log_of_another_programs_database_is_kept_with_it(tmp_path: Path) -> None:
    write_record(make_record(1), tmp_path)
    code = """
import duckdb
connection = duckdb.connect(str(results / "genbench.duckdb"))
connection.execute("CREATE TABLE early AS SELECT 1; CHECKPOINT; CREATE TABLE late AS SELECT 42")
os._exit(0)  # killed: the second table is in the .wal alone
"""
    python(code, tmp_path).communicate(timeout=60)
    assert (tmp_path / "genbench.duckdb.wal").exists()
    (tmp_path / "genbench-old-1.duckdb.wal").write_bytes(b"of another one")
    assert count(tmp_path) == 1
    assert not (tmp_path / "genbench.duckdb.wal").exists()
    assert (tmp_path / "genbench-old-1.duckdb.wal").read_bytes() == b"of another one"
    with duckdb.connect(str(tmp_path / "genbench-old-2.duckdb")) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("early",), ("late",)]


def python(code: str, results: Path) -> subprocess.Popen[str]:
    """Another process; `code` finds the results folder in `results`."""
    prelude = "import os, signal, sys; from pathlib import Path; results = Path(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code, str(results)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_processes_ingest_at_once(tmp_path: Path) -> None:
    for number in range(60):
        write_record(make_record(number, run=f"toy@{number}"), tmp_path)
    code = """
from genbench.store import Store
import genbench.records
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    with Store.open(results) as store:
        print(store.query("SELECT count(*), count(DISTINCT record_id) FROM runs").rows[0])
"""
    processes = [python(code, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["(60, 60)\n" * 3] * 2
    assert [process.returncode for process in processes] == [0, 0]
    assert count(tmp_path) == 60


def holder(results: Path) -> subprocess.Popen[str]:
    """A process that holds the store's file as a DuckDB shell would, until its input closes."""
    process = python(
        "import duckdb; connection = duckdb.connect(str(results / 'genbench.duckdb'))\n"
        "print('held', flush=True); sys.stdin.read()",
        results,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_locked_store_is_waited_for_and_then_named(tmp_path: Path) -> None:
    write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    with holder(tmp_path) as process:
        started = time.monotonic()
        with pytest.raises(
            StoreError, match=r"genbench\.duckdb: still in use after 0\.[3-9] s, by another process: "
        ) as e:
            Store.open(tmp_path, timeout=0.3)
        assert time.monotonic() - started < 5
        assert str(process.pid) in str(e.value)
        process.communicate("")
    assert count(tmp_path) == 1


def test_a_store_that_this_process_left_open_is_named(tmp_path: Path) -> None:
    with Store.open(tmp_path):
        write_record(make_record(1), tmp_path)
        with pytest.raises(StoreError, match="by another Store of this process"):
            Store.open(tmp_path, timeout=0.05)


def test_a_lock_that_ends_is_only_a_delay(tmp_path: Path) -> None:
    write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    write_record(make_record(2, run="toy@late"), tmp_path)
    with holder(tmp_path) as process:
        threading.Timer(0.4, process.communicate, [""]).start()
        with Store.open(tmp_path, timeout=30) as store:
            assert store.query("SELECT count(*) FROM runs").rows == [(2,)]


def test_killed_while_ingesting_and_opened_again(tmp_path: Path) -> None:
    for number in range(30):
        write_record(make_record(number, run=f"toy@{number}"), tmp_path)
    Store.open(tmp_path).close()
    for path in record_files(tmp_path):
        os.utime(path, ns=(1, 1))  # every file counts as changed
    code = """
from genbench.store import Store, ingest
ingest.BATCH = 10
opened = 0
def die(event, arguments):
    global opened
    if event == "open" and str(arguments[0]).endswith(".json"):
        opened += 1
        if opened == 15:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
Store.open(results)
"""
    worker = python(code, tmp_path)
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    with duckdb.connect(str(tmp_path / "genbench.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(10,)]
    assert count(tmp_path) == 30


def test_what_the_store_cannot_hold_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    before = (tmp_path / "genbench.duckdb").read_bytes()
    write_record(make_record(2), tmp_path)

    def refuse(*_: object) -> None:
        raise duckdb.ConversionException("Conversion Error: out of range\n\nLINE 1: ...")

    monkeypatch.setattr(ingest, "catch_up", refuse)
    for make in (Store.open, Store.rebuild):
        with pytest.raises(StoreError, match=r"cannot be built \(Conversion Error: out of range\)") as caught:
            make(tmp_path)
        assert "take away those that were added last" in caught.value.hint
    assert (tmp_path / "genbench.duckdb").read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*.duckdb*")) == ["genbench.duckdb", "genbench.duckdb.lock"]


def test_leftovers_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".genbench-0badcafe.duckdb").write_text("half")
    (tmp_path / ".genbench-0badcafe.duckdb.wal").write_text("half")
    Store.open(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["genbench.duckdb", "genbench.duckdb.lock"]


def test_read_only_takes_the_store_as_it_stands(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        Store.open(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []
    write_record(make_record(1), tmp_path)
    Store.open(tmp_path).close()
    write_record(make_record(2, run="toy@late"), tmp_path)
    with Store.open(tmp_path, read_only=True) as store:
        assert store.query("SELECT count(*) FROM runs").rows == [(1,)]


def test_no_folder_of_results(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no folder of results") as error:
        Store.open(tmp_path / "nowhere")
    assert "genbench run quick" in error.value.hint
    assert not (tmp_path / "nowhere").exists()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "genbench.duckdb.lock").mkdir()  # as good as no permission, also for root
    with pytest.raises(StoreError, match="the store cannot be written"):
        Store.open(tmp_path)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("results")) as store:
        yield store


@pytest.mark.parametrize(
    ("sql", "message", "hint"),
    [
        ("selct 1", "syntax error", "tables and views: "),
        ("select stder from measurements", "stder", "did you mean stderr?"),
        ("select m.valu from measurements m", "valu", "did you mean value?"),
        (
            "from ruins",
            'Table with name ruins does not exist! Did you mean "runs"?',
            "tables and views: ",
        ),
        ("  -- nothing", "the query is empty", "from leaderboard"),
        ("delete from runs", "read-only", "SQL only reads the store"),
        ("copy runs to 'out.csv'", "disabled", "SQL only reads the store"),
        ("select * from read_text('/etc/hostname')", "disabled", "SQL only reads the store"),
        ("attach '/nowhere/other.duckdb'", "disabled", "SQL only reads the store"),
        ("set enable_external_access = true", "", "SQL only reads the store"),
        ("install httpfs", "", ""),
        ("from sql", "Table with name sql does not exist", "tables and views"),  # no Python variables either
        ("select interval '100000000 years'", "beyond what Python holds", "column::VARCHAR"),
        ("select [interval '100000000 years']", "beyond what Python holds", "column::VARCHAR"),
        ("select (repeat('[', 20000) || repeat(']', 20000))::json", "beyond what Python holds", "column::VARCHAR"),
        ("select repeat('1', 5000)::json", "beyond what Python holds", "column::VARCHAR"),
    ],
)
def test_sql_that_is_wrong_or_not_allowed(empty_store: Store, sql: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        empty_store.query(sql)
    assert empty_store.query("SELECT 1").rows == [(1,)]
    assert message in str(error.value)
    assert hint in error.value.hint
    assert "\n" not in str(error.value)


def test_the_store_loads_no_heavy_library(tmp_path: Path) -> None:
    write_record(make_record(1), tmp_path)
    code = """
from genbench.store import Store
with Store.open(results) as store:
    store.query("SELECT * FROM leaderboard")
print([m for m in ("torch", "numpy", "pandas", "pyarrow", "matplotlib") if m in sys.modules])
"""
    assert python(code, tmp_path).communicate(timeout=60)[0] == "[]\n"


def test_packaged_folders_make_a_store_without_complaints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path, registry=data_folders("registry", None), suites=data_folders("suites", None)) as store:
        assert store.query("SELECT count(*) > 0 FROM methods").rows == [(True,)]
    assert capsys.readouterr().err == ""
