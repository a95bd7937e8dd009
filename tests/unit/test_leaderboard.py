"""`genbench leaderboard`, `genbench sql` and `genbench store rebuild`, from records to text."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner, Result

from genbench.cli import store_commands
from genbench.errors import GenbenchError, StoreError, UsageError
from genbench.report.leaderboard import leaderboard
from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add


@pytest.fixture
def results(tmp_path: Path, add: Add) -> Path:
    """Two runs; the worse one came first, so that sorting shows."""
    add(tmp_path, 0, "toy@sde", {"fd@inception-tf": (31.25, 1.5), "precision@inception-tf": (0.625, 0.03125)})
    add(tmp_path, 1, "toy@ode", {"fd@inception-tf": (20.123456789, 0.987654321), "precision@inception-tf": (0.5, None)})
    return tmp_path


def call(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(store_commands.sql)
    app.command()(store_commands.leaderboard)
    app.add_typer(store_commands.store_app, name="store")
    return CliRunner().invoke(app, list(arguments))


def failure(*arguments: str) -> GenbenchError:
    error = call(*arguments).exception
    assert isinstance(error, GenbenchError)
    return error


def test_wide_table_and_what_it_does_not_prove(results: Path) -> None:
    out = call("leaderboard", "quick", "--results", str(results)).stdout
    assert out.startswith(
        "run             FID ↓    Precision ↑    n  NFE  s/image  date        digest\n"
        "-------  ------------  -------------  ---  ---  -------  ----------  ------------\n"
        "toy@ode  20.12 ± 0.99            0.5  256   50    0.012  2025-01-02  aaaaaaaaaaaa\n"
        "toy@sde    31.2 ± 1.5  0.625 ± 0.031  256   50    0.012  2025-01-01  aaaaaaaaaaaa\n"
        "\n"
    )
    assert "compare only rows with the same n" in out
    assert "± is one standard error" in out
    assert "FID at n = 256 in 2,048 dimensions is biased upwards, and strongly so" in out


def test_markdown(results: Path) -> None:
    lines = call("leaderboard", "quick", "--results", str(results), "--format", "markdown").stdout.splitlines()
    assert lines[0].startswith("| run     |")
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[2].startswith("| toy@ode | 20.12 ± 0.99 |")
    assert any("biased upwards" in line for line in lines[4:])


def test_csv_and_json_give_every_digit_under_the_names_of_the_view(results: Path) -> None:
    text = call("leaderboard", "quick", "--results", str(results), "--format", "csv").stdout_bytes.decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    objects = json.loads(call("leaderboard", "quick", "--results", str(results), "--format", "json").stdout)
    with Store.open(results) as store:
        columns = store.query("SELECT * FROM leaderboard").columns
    assert tuple(rows[0]) == tuple(objects[0]) == columns
    assert [(o["run"], o["metric"]) for o in objects] == [
        ("toy@ode", "fd@inception-tf"),
        ("toy@ode", "precision@inception-tf"),
        ("toy@sde", "fd@inception-tf"),
        ("toy@sde", "precision@inception-tf"),
    ]
    assert float(rows[0]["value"]) == objects[0]["value"] == 20.123456789
    assert rows[1]["stderr"] == ""
    assert objects[1]["stderr"] is None


def test_metrics_are_chosen_by_alias_and_sort_the_table(results: Path) -> None:
    out = call("leaderboard", "quick", "--results", str(results), "--metric", "precision", "--metric", "fid").stdout
    lines = out.splitlines()
    assert lines[0].index("Precision") < lines[0].index("FID")
    assert [line.split()[0] for line in lines[2:4]] == ["toy@sde", "toy@ode"]


def test_a_metric_that_was_not_measured(results: Path) -> None:
    error = failure("leaderboard", "quick", "--results", str(results), "--metric", "kid")
    assert isinstance(error, UsageError)
    assert str(error) == "no metric named 'kd@inception-tf' in the results of suite quick"
    assert "fd@inception-tf" in error.hint


def test_several_blocks_and_counts(results: Path, add: Add) -> None:
    add(results, 2, "toy@ode", {"fd@inception-tf": (22.0, 1.0)}, block=1)
    add(results, 3, "toy@big", {"fd@inception-tf": (5.0, 0.1)}, n=5000)
    with Store.open(results) as store:
        board = leaderboard(store, "quick", metrics=["fid"])
    assert [(row[0], row[2]) for row in board.cells] == [("toy@big", "5000"), ("toy@ode", "256"), ("toy@sde", "256")]
    # Mean 21.06 of 20.12 and 22, standard error √(0.9877² + 1²) / 2, sample deviation (22 - 20.123) / √2.
    assert [row[1] for row in board.cells] == ["5.00 ± 0.10", "21.06 ± 0.70 (s 1.3)", "31.2 ± 1.5"]
    notes = " ".join(board.notes)
    assert "means over 1 to 2 seed blocks" in notes
    assert "s is the sample standard deviation of the blocks' values" in notes
    assert "FID at n = 256 and 5,000 is biased" in notes


def test_columns_with_a_spread_are_aligned_as_numbers(results: Path, add: Add) -> None:
    add(results, 2, "toy@ode", {"fd@inception-tf": (22.0, 1.0)}, block=1)
    lines = call("leaderboard", "quick", "--results", str(results), "--metric", "fid").stdout.splitlines()
    assert lines[2].startswith("toy@ode  21.06 ± 0.70 (s 1.3)  ")
    assert lines[3].startswith("toy@sde            31.2 ± 1.5  ")


def test_fast_and_exact_results_never_stand_in_one_table(results: Path, add: Add) -> None:
    options = {"suite_digest": "f" * 64, "precision": "fast"}
    add(results, 7, "toy@ode", {"fd@inception-tf": (20.5, 1.0)}, deviation=-0.375, **options)
    add(results, 8, "toy@sde", {"fd@inception-tf": (31.5, 1.5)}, deviation=0.25, **options)
    exact = call("leaderboard", "quick", "--results", str(results)).stdout
    assert "20.12 ± 0.99" in exact
    assert "20.5" not in exact
    assert "Not shown: 2 runs measured fast; `genbench leaderboard quick --precision fast`." in exact
    fast = call("leaderboard", "quick", "--results", str(results), "--precision", "fast").stdout
    assert "20.5 ± 1.0" in fast
    assert "20.12" not in fast
    assert "Largest difference from exact, on the first images of a block: FID 0.38 (128 images)." in fast
    assert "Not shown: 2 runs measured exact; `genbench leaderboard quick`." in fast


def test_no_fast_results_say_where_the_exact_ones_are(results: Path) -> None:
    error = failure("leaderboard", "quick", "--results", str(results), "--precision", "fast")
    assert str(error) == f"{results}: no results of suite quick from fast features"
    assert error.hint == (
        "`genbench run quick --precision fast`, or `genbench leaderboard quick` for what was measured exact"
    )


def test_results_of_the_suite_as_it_was_are_mentioned_only(results: Path, add: Add) -> None:
    add(results, 9, "toy@new", {"fd@inception-tf": (5.0, 0.1)}, suite_digest="6" * 64)
    with Store.open(results) as store:
        board = leaderboard(store, "quick")
    assert [row[0] for row in board.cells] == ["toy@new"]
    assert "Not shown: 2 runs measured before the suite changed (1 older digest)" in board.notes[-1]


def test_a_metric_that_this_version_does_not_know_keeps_its_id(results: Path, add: Add) -> None:
    add(results, 2, "toy@ode", {"novelty@mars": (1.0, None)})
    with Store.open(results) as store:
        assert "novelty@mars ↓" in leaderboard(store, "quick").headings


def test_unknown_suite_names_the_nearest(results: Path) -> None:
    error = failure("leaderboard", "quik", "--results", str(results))
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert error.hint == "did you mean quick?"


def test_no_results_say_which_command_makes_some(tmp_path: Path, add: Add) -> None:
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "quick.toml").write_text(
        'id = "quick"\ntitle = "t"\ndataset = "d"\nresolution = 32\nreference = "r"\nimages = 10\n'
        'labels = "uniform"\nmetrics = ["fid"]\nruns = ["*"]\n'
    )
    folder = tmp_path / "results"
    error = failure("leaderboard", "quick", "--results", str(folder), "--suites", str(suites))
    assert isinstance(error, StoreError)
    assert "`genbench run quick`" in error.hint
    folder.mkdir()
    error = failure("leaderboard", "quick", "--results", str(folder), "--suites", str(suites))
    assert (str(error), error.hint, error.exit_code) == (
        f"{folder}: no results of suite quick",
        "`genbench run quick`",
        2,
    )
    add(folder, 1, "toy@ode", {"fd@inception-tf": (1.0, None)}, limited=True)
    error = failure("leaderboard", "quick", "--results", str(folder), "--suites", str(suites))
    assert "(1 made with --limit do not count)" in str(error)


def test_sql(results: Path) -> None:
    query = "select run, value, stderr, run_digest from leaderboard where metric = 'fd@inception-tf' order by rank"
    table = call("sql", query, "--results", str(results)).stdout.splitlines()
    assert table[0].split() == ["run", "value", "±", "stderr", "run_digest"]
    assert table[2].split() == ["toy@ode", "20.12", "±", "0.99", "aaaaaaaaaaaa"]
    rows = json.loads(call("sql", query, "--results", str(results), "--format", "json").stdout)
    assert rows[0] == {"run": "toy@ode", "value": 20.123456789, "stderr": 0.987654321, "run_digest": "a" * 64}


def test_rebuild_says_what_it_found(results: Path) -> None:
    Store.open(results).close()
    before = (results / "genbench.duckdb").stat().st_ino
    done = call("store", "rebuild", "--results", str(results))
    assert done.stdout == ""
    assert f"{results / 'genbench.duckdb'}: 2 records" in done.stderr
    assert (results / "genbench.duckdb").stat().st_ino != before


def test_sql_loads_neither_torch_nor_the_record_reader(results: Path) -> None:
    """Half a second for a process leaves no room for them once the store is up to date."""
    Store.open(results).close()
    code = (
        "import sys; from genbench.cli.store_commands import sql\n"
        "sql('select 1')\n"
        "print([m for m in ('torch', 'numpy', 'pandas', 'genbench.records', 'rich') if m in sys.modules])"
    )
    environment = {**os.environ, "GENBENCH_RESULTS": str(results)}
    folder = results / "elsewhere"
    folder.mkdir()
    for expected in (None, "[]"):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=folder
        )
        assert expected in (None, done.stdout.splitlines()[-1])
