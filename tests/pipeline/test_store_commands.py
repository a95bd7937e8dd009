"""`sql`, `leaderboard`, `list runs`, `show`, `store rebuild`: records that `run` wrote, whatever befell the store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.conftest import Answer, Measured, World

VALUES = "SELECT run, metric, value, stderr FROM measurements JOIN runs USING (record_id) ORDER BY ALL"


@pytest.mark.parametrize("content", [b"no database", b"", b"\0" * 20_000])
def test_a_store_that_is_no_database_is_rebuilt_from_the_records(measured_copy: World, content: bytes) -> None:
    expected = measured_copy.rows(VALUES)
    assert len(expected) == 12
    store = measured_copy.results / "genbench.duckdb"
    store.write_bytes(content)
    answer = measured_copy.sql(VALUES, "--format", "json").ok()
    assert json.loads(answer.out) == expected
    assert f"warning: {store}: " in answer.err
    assert "rebuilt from the records" in answer.err
    assert (store.with_name("genbench-old-1.duckdb")).read_bytes() == content


def test_a_store_that_was_deleted_is_made_again(measured_copy: World, genbench: Callable[..., Answer]) -> None:
    expected = measured_copy.rows(VALUES)
    (measured_copy.results / "genbench.duckdb").unlink()
    assert measured_copy.rows(VALUES) == expected
    folders = ("--results", measured_copy.results, "--registry", measured_copy.registry)
    rebuilt = genbench("store", "rebuild", *folders, "--suites", measured_copy.suites).ok()
    assert "3 records" in rebuilt.err
    assert measured_copy.rows(VALUES) == expected


def test_a_store_in_use_is_waited_for(measured_copy: World) -> None:
    store = measured_copy.results / "genbench.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        release = threading.Timer(2.5, holder.stdin.close)
        release.start()
        answer = measured_copy.sql("SELECT count(*) AS n FROM runs", "--format", "csv").ok()
        release.join()
    assert answer.out.split() == ["n", "3"]
    assert time.monotonic() - started > 2
    assert f"waiting for {store}: in use by another process" in answer.err


@pytest.mark.parametrize(
    ("query", "error", "hint"),
    [
        ("selec 1", "syntax error", "tables and views: "),
        ("select vlaue from measurements", "vlaue", "did you mean value?"),
        ("from leaderbord", "leaderbord", "leaderboard"),
        ("", "the query is empty", "from leaderboard"),
        ("drop table runs", "", "SQL only reads the store"),
        ("from read_csv('/etc/passwd')", "", "SQL only reads the store"),
    ],
)
def test_sql_that_cannot_be_answered(measured: Measured, query: str, error: str, hint: str) -> None:
    before = measured.world.state()
    said, advised = measured.world.sql(query).problem(2)
    assert error in said
    assert hint in advised
    assert measured.world.state() == before


def test_a_record_that_was_edited_is_left_out_and_told(measured_copy: World) -> None:
    record = measured_copy.records()[0]
    path = measured_copy.results / record.folder / f"{record.id}.json"
    path.write_text(path.read_text().replace('"value": ', '"value": 1', 1))
    answer = measured_copy.sql("SELECT count(*) AS n FROM runs", "--format", "csv").ok()
    assert answer.out.split() == ["n", "2"]
    assert f"warning: {path}: left out: was changed after it was written" in answer.err


def test_list_and_show_runs(measured: Measured, genbench: Callable[..., Answer]) -> None:
    results = ("--results", measured.world.results)
    folders = ("--registry", measured.world.registry, "--suites", measured.world.suites)
    listed = json.loads(genbench("list", "runs", "--format", "json", *results, *folders).ok().out)
    assert [(row["suite"], row["run"], row["precision"], row["n"]) for row in listed] == [
        ("tiny", run, "exact", 24) for run in ("tiny@ode2", "tiny@ode3-cfg2", "tiny@sde2")
    ]
    by_id = json.loads(genbench("show", "run", listed[0]["record_id"], *results).ok().out)
    by_name = json.loads(genbench("show", "run", "tiny@ode2", *results).ok().out)
    assert by_id == by_name
    assert by_id["run"]["name"] == "tiny@ode2"
    said, advised = genbench("show", "run", "tiny@ode", *results).problem(2)
    assert "no run or record named 'tiny@ode'" in said
    assert "tiny@ode2" in advised


@pytest.mark.parametrize("form", ["markdown", "csv", "json"])
def test_the_leaderboard_in_other_formats(measured: Measured, genbench: Callable[..., Answer], form: str) -> None:
    world = measured.world
    folders = ("--results", world.results, "--registry", world.registry, "--suites", world.suites)
    out = genbench("leaderboard", "tiny", "--format", form, *folders).ok().out
    assert all(run in out for run in ("tiny@ode2", "tiny@ode3-cfg2", "tiny@sde2"))
    said, advised = genbench("leaderboard", "tinny", *folders).problem(2)
    assert "no suite named 'tinny'" in said
    assert advised == "did you mean tiny?"
