"""`genbench leaderboard`, `genbench sql` and `genbench store rebuild`, from records to text."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner, Result

from genbench.cli import leaderboard_command, sql_command, store_commands
from genbench.errors import GenbenchError, StoreError, UsageError
from genbench.report.leaderboard import leaderboard
from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add


SUITE = (
    'id = "quick"\ntitle = "t"\ndataset = "d"\nresolution = 32\nreference = "r"\nimages = 10\n'
    'labels = "uniform"\nmetrics = ["fid"]\nruns = ["*"]\n'
)


@pytest.fixture
def results(tmp_path: Path, add: Add) -> Path:
    """Two runs; the worse one came first, so that sorting shows."""
    add(tmp_path, 0, "toy@sde", {"fd@inception-tf": (31.25, 1.5), "precision@inception-tf": (0.625, 0.03125)})
    add(tmp_path, 1, "toy@ode", {"fd@inception-tf": (20.123456789, 0.987654321), "precision@inception-tf": (0.5, None)})
    return tmp_path


def call(*arguments: str, text: str | None = None) -> Result:
    app = typer.Typer()
    app.command()(sql_command.sql)
    app.command()(leaderboard_command.leaderboard)
    app.add_typer(store_commands.store_app, name="store")
    return CliRunner().invoke(app, list(arguments), input=text)


def failure(*arguments: str) -> GenbenchError:
    error = call(*arguments).exception
    assert isinstance(error, GenbenchError)
    return error


def test_wide_table_and_what_it_does_not_prove(results: Path) -> None:
    out = call("leaderboard", "quick", "--results", str(results)).stdout
    assert out.startswith(
        "rank  run             FID ↓    Precision ↑    n  protocol            NFE  s/image  digest        date\n"
        "----  -------  ------------  -------------  ---  ------------------  ---  -------  ------------  ----------\n"
        "   1  toy@ode  20.12 ± 0.99            0.5  256  quick 555555555555   50    0.012  aaaaaaaaaaaa  2025-01-02\n"
        "   2  toy@sde    31.2 ± 1.5  0.625 ± 0.031  256  quick 555555555555   50    0.012  aaaaaaaaaaaa  2025-01-01\n"
        "\n"
    )
    assert "Compare only rows with the same protocol and n" in out
    assert "± is one standard error" in out
    assert "FID at n = 256 in 2,048 dimensions is biased upwards, and strongly so" in out


def test_markdown(results: Path) -> None:
    lines = call("leaderboard", "quick", "--results", str(results), "--format", "markdown").stdout.splitlines()
    assert lines[0].startswith("| rank | run     |")
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[2].startswith("|    1 | toy@ode | 20.12 ± 0.99 |")
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
    assert "toy@sde" in lines[2]
    assert lines[3].split()[0] == "toy@ode", "without a standard error there is no rank"


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
    assert [(row[1], row[3]) for row in board.cells] == [("toy@big", "5000"), ("toy@ode", "256"), ("toy@sde", "256")]
    # Mean 21.06 of 20.12 and 22, standard error √(0.9877² + 1²) / 2, sample deviation (22 - 20.123) / √2.
    assert [row[2] for row in board.cells] == ["5.00 ± 0.10", "21.06 ± 0.70 (s 1.3)", "31.2 ± 1.5"]
    notes = " ".join(board.notes)
    assert "means over 1 to 2 seed blocks" in notes
    assert "s is the sample standard deviation of the blocks' values" in notes
    assert "FID at n = 256 and 5,000 is biased" in notes


def test_seed_blocks_that_lack_are_told(results: Path, add: Add) -> None:
    suites = results / "suites"
    suites.mkdir()
    file = suites / "quick.toml"

    def told() -> list[str]:
        with Store.open(results, suites=[suites]) as store:
            return [note for note in leaderboard(store, "quick").notes if "Seed blocks measured" in note]

    file.write_text(SUITE)
    assert told() == [], "the suite asks for one"
    file.write_text(SUITE + "blocks = 3\n")
    assert told() == ["Seed blocks measured: 1 of suite quick's 3."]
    values = {"fd@inception-tf": (20.0, 1.0), "precision@inception-tf": (0.5, None)}
    for number, run in enumerate(("toy@ode", "toy@sde")):
        add(results, 10 + number, run, values, block=1)
        add(results, 20 + number, run, values, block=2)
        expected = "Seed blocks measured: 1 to 3 of suite quick's 3, run by run in column n_blocks of `--format csv`."
        assert told() == ([] if number else [expected])


def test_columns_with_a_spread_are_aligned_as_numbers(results: Path, add: Add) -> None:
    add(results, 2, "toy@ode", {"fd@inception-tf": (22.0, 1.0)}, block=1)
    lines = call("leaderboard", "quick", "--results", str(results), "--metric", "fid").stdout.splitlines()
    assert lines[2].startswith("   1  toy@ode  21.06 ± 0.70 (s 1.3)  ")
    assert lines[3].startswith("   2  toy@sde            31.2 ± 1.5  ")


def test_fast_and_exact_results_never_stand_in_one_table(results: Path, add: Add) -> None:
    options: dict[str, Any] = {"suite_digest": "f" * 64, "precision": "fast"}
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
    assert [row[1] for row in board.cells] == ["toy@new"]
    assert "Not shown: 2 runs measured before suite quick changed (1 older digest)" in board.notes[-1]


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
    (suites / "quick.toml").write_text(SUITE)
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


def test_a_suite_of_reconstructions_is_measured_by_another_command(tmp_path: Path, add: Add) -> None:
    suites, folder = tmp_path / "suites", tmp_path / "results"
    suites.mkdir()
    folder.mkdir()
    (suites / "recon.toml").write_text(
        'id = "recon"\ntitle = "t"\nkind = "reconstruction"\ndataset = "d"\nresolution = 32\ncrop = "adm"\n'
        'images = 10\nmetrics = ["psnr"]\nruns = ["*"]\n'
    )
    places = ("--results", str(folder), "--suites", str(suites))
    assert failure("leaderboard", "recon", *places).hint == "`genbench reconstruct recon ORIGINALS`"
    fast = failure("leaderboard", "recon", *places, "--precision", "fast")
    assert fast.hint == "`genbench reconstruct recon ORIGINALS --precision fast`"
    add(folder, 1, "vae", {"psnr@pixels": (20.0, 1.0)}, suite="recon", suite_digest="6" * 64)
    add(folder, 2, "other", {"psnr@pixels": (20.0, 1.0)}, suite="recon", suite_digest="7" * 64)
    assert "`genbench reconstruct recon ORIGINALS` repeats them" in call("leaderboard", "recon", *places).stdout


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
        "import sys; from genbench.cli.sql_command import sql\n"
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


def test_runs_that_are_not_told_from_the_best_share_its_rank(results: Path, add: Add) -> None:
    add(results, 2, "toy@twin", {"fd@inception-tf": (21.0, 1.0)})
    with Store.open(results) as store:
        board = leaderboard(store, "quick")
    assert [row[:2] for row in board.cells] == [("1", "toy@ode"), ("1", "toy@twin"), ("3", "toy@sde")]


def test_runs_of_two_ranks_may_be_tied_and_the_notes_say_so(results: Path, add: Add) -> None:
    add(results, 2, "toy@between", {"fd@inception-tf": (25.0, 3.0)})
    with Store.open(results) as store:
        board = leaderboard(store, "quick")
    # 2.58 errors are 8.1 from 20.1 and 8.6 from 31.2: it is told from neither of the two, which are told apart.
    assert [row[:2] for row in board.cells] == [("1", "toy@ode"), ("1", "toy@between"), ("2", "toy@sde")]
    assert "Runs of one rank are not told apart; neighbouring ranks may be tied too." in " ".join(board.notes)


def test_several_suites_stand_in_one_table_and_are_ranked_apart(results: Path, add: Add) -> None:
    add(results, 2, "toy@ode", {"kd@inception-tf": (0.5, 0.1)}, suite="long", suite_digest="7" * 64, n=5000)
    out = call("leaderboard", "long", "quick", "--results", str(results)).stdout.splitlines()
    # FID and KID both come first in their suites; FID precedes by name.
    assert out[0].split()[:6] == ["rank", "run", "FID", "↓", "KID", "↓"]
    assert [line.split()[:2] for line in out[2:5]] == [["1", "toy@ode"], ["1", "toy@ode"], ["2", "toy@sde"]]
    assert "long 777777777777" in out[2]
    assert "quick 555555555555" in out[3]


FIGURES = """\
method,system,variant,dataset,conditioning,resolution,metric,value,bound,n,evaluator,reference,guidance,sampler,nfe,\
parameters,epochs,iterations,weight_bits,activation_bits,evidence,source,note
dit,DiT,XL,d,class,32,fid,2.27,,50000,adm,,cfg 1.5,DDPM,250,,,,,,paper,DiT Table 2,
dit,DiT,XL,d,class,32,precision,0.83,,50000,adm,,cfg 1.5,DDPM,250,,,,,,paper,DiT Table 2,
dit,DiT,XL,other,class,32,fid,1.11,,50000,adm,,cfg 1.5,DDPM,250,,,,,,paper,DiT Table 2,
"""


def test_published_figures_stand_below_without_a_rank(results: Path) -> None:
    registry, suites = results / "registry", results / "suites"
    (registry / "published").mkdir(parents=True)
    suites.mkdir()
    (registry / "published" / "figures-mine.csv").write_text(FIGURES)
    (suites / "quick.toml").write_text(SUITE)
    folders = ("--results", str(results), "--registry", str(registry), "--suites", str(suites))
    lines = call("leaderboard", "quick", "--with-published", "--format", "markdown", *folders).stdout.splitlines()
    assert [cell.strip() for cell in lines[4].strip("|").split("|")] == [
        "†",
        "DiT XL cfg 1.5 DDPM",
        "2.27",
        "0.83",
        "50000",
        "published (adm)",
        "250",
        "",
        "",
        "",
    ]
    assert any(line.startswith("† published figures") for line in lines)
    assert "1.11" not in "".join(lines)
    assert "DiT" not in call("leaderboard", "quick", *folders).stdout


def test_the_table_is_put_between_its_markers_and_nowhere_else(results: Path) -> None:
    page = results / "README.md"
    page.write_bytes(
        b"before\r\n<!-- genbench leaderboard quick -->\r\nstale\r\n<!-- genbench leaderboard end -->\r\nafter\r\n"
    )
    arguments = ("leaderboard", "quick", "--inject", str(page), "--results", str(results))
    done = call(*arguments)
    assert done.stdout == ""
    assert "leaderboard of quick replaced" in done.stderr
    text = page.read_bytes()
    assert text.startswith(b"before\r\n<!-- genbench leaderboard quick -->\r\n| rank |")
    assert text.endswith(b"\r\n<!-- genbench leaderboard end -->\r\nafter\r\n")
    assert b"stale" not in text
    assert "is up to date" in call(*arguments).stderr
    assert page.read_bytes() == text


def test_chosen_metrics_are_kept_in_the_marker_and_chosen_again(results: Path) -> None:
    page = results / "README.md"
    page.write_text("<!-- genbench leaderboard quick -->\n<!-- genbench leaderboard end -->\n")
    arguments = ("leaderboard", "quick", "--inject", str(page), "--results", str(results))
    call(*arguments, "--metric", "precision", "--metric", "fid")
    text = page.read_text()
    marker, heading, *_ = text.splitlines()
    assert marker == "<!-- genbench leaderboard quick metric=precision,fid -->"
    assert heading.index("Precision") < heading.index("FID")
    assert "is up to date" in call(*arguments).stderr
    assert page.read_text() == text
    call(*arguments, "--metric", "fid")
    marker, heading, *_ = page.read_text().splitlines()
    assert marker == "<!-- genbench leaderboard quick metric=fid -->"
    assert "Precision" not in heading
    page.write_text(page.read_text().replace(" metric=fid", " metric=kid"))
    assert "no metric named 'kd@inception-tf'" in str(failure(*arguments))
    page.write_text(page.read_text().replace(" metric=kid", ""))
    call(*arguments)
    assert page.read_text().splitlines()[0] == "<!-- genbench leaderboard quick -->", "all again"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no markers", "the markers of this leaderboard are missing"),
        ("<!-- genbench leaderboard quick -->", "the markers of this leaderboard are missing"),
        ("<!-- genbench leaderboard long -->\n<!-- genbench leaderboard end -->", "are missing"),
        ("<!-- genbench leaderboard quick -->\n<!-- genbench leaderboard end -->\n" * 2, "are twice"),
        (
            "<!-- genbench leaderboard quick -->\n<!-- genbench leaderboard end -->\n"
            "<!-- genbench leaderboard quick metric=fid -->\n<!-- genbench leaderboard end -->\n",
            "are twice",
        ),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_without_its_markers_is_left_alone(results: Path, text: str | None, message: str) -> None:
    page = results / "README.md"
    if text is not None:
        page.write_text(text)
    error = failure("leaderboard", "quick", "--inject", str(page), "--results", str(results))
    assert message in str(error)
    assert error.exit_code == 2
    if text is None:
        assert not page.exists()
    else:
        assert page.read_text() == text
        assert "<!-- genbench leaderboard quick -->" in error.hint


def test_sql_from_a_file_and_from_standard_input(results: Path) -> None:
    file = results / "query.sql"
    file.write_text("-- how many\nselect count(*) as runs from runs\n")
    options = ("--results", str(results), "--format", "csv")
    assert call("sql", "--file", str(file), *options).stdout.split() == ["runs", "2"]
    assert call("sql", "--file", "-", *options, text="select 3 as x").stdout.split() == ["x", "3"]
    assert "not both" in str(failure("sql", "select 1", "--file", str(file), *options))
    assert "No such file" in str(failure("sql", "--file", str(results / "none.sql"), *options))


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_sql_that_gives_deep_nesting(results: Path, form: str) -> None:
    deep = "(repeat('[', 500) || repeat(']', 500))::json"
    options = ("--results", str(results), "--format", form)
    error = failure("sql", f"select {deep} as x", *options)
    assert "nested too deeply to be shown" in str(error)
    assert "[" * 500 in call("sql", f"select {deep}::varchar as x", *options).stdout.replace("\\", "")


def test_without_sql_duckdbs_shell_opens_the_store_read_only(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = results / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    error = failure("sql", "--results", str(results))
    assert "DuckDB's shell is not installed" in str(error)
    shell = folder / "duckdb"
    shell.write_text('#!/bin/sh\necho "$@" > "$0.called"\nexit 7\n')
    shell.chmod(0o755)
    call("sql", "--results", str(results))
    read_only, command, *settings, file = (folder / "duckdb.called").read_text().split()
    assert (read_only, command, file) == ("-readonly", "-cmd", str(results / "genbench.duckdb"))
    assert " ".join(settings[:4]) == "SET enable_external_access = false;"
    assert " ".join(settings[-4:]) == "SET lock_configuration = true;"
