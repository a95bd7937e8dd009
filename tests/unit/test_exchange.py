"""`genbench store export` and `genbench store merge`: records travel unchanged, and once."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from genbench.cli.main import run
from genbench.store import Store
from genbench.store.exchange import Merged, merge

if TYPE_CHECKING:
    from tests.unit.conftest import Add

FD = "fd@inception-tf"


@pytest.fixture
def results(tmp_path: Path, add: Add) -> Path:
    """Two records, one of them with a preview, of names that need quoting."""
    folder = tmp_path / "it's here"
    add(folder, 1, 'toy@"quoted", it\'s', {FD: (10.0, 0.5)})
    add(folder, 2, "toy@b", {FD: (12.0, None)}).with_suffix(".png").write_bytes(b"picture")
    return folder


def answers(results: Path) -> list[Any]:
    with Store.open(results) as store:
        return [store.query(f"FROM {table} ORDER BY ALL").rows for table in ("runs", "measurements", "leaderboard")]


def test_every_table_and_view_is_exported(results: Path, tmp_path: Path) -> None:
    for form in ("parquet", "csv"):
        assert run(["store", "export", str(tmp_path / form), "--format", form, "--results", str(results)]) == 0
    with Store.open(results) as store:
        tables = store.tables()
        expected = store.query("SELECT run, value, stderr, created FROM leaderboard ORDER BY ALL").rows
    for form in ("parquet", "csv"):
        names = {file.name for file in (tmp_path / form).iterdir()}
        assert names == {"records.parquet", *(f"{table}.{form}" for table in tables)}
    found = duckdb.read_parquet(str(tmp_path / "parquet" / "leaderboard.parquet"))
    assert found.select("run, value, stderr, created").order("ALL").fetchall() == expected
    with (tmp_path / "csv" / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["run"], row["value"], row["stderr"]) for row in rows} == {
        ('toy@"quoted", it\'s', "10.0", "0.5"),
        ("toy@b", "12.0", ""),
    }


def test_an_export_can_be_repeated(results: Path, tmp_path: Path, add: Add) -> None:
    export = ["store", "export", str(tmp_path / "out"), "--results", str(results)]
    assert run(export) == 0
    add(results, 3, "toy@c", {FD: (1.0, 0.1)})
    assert run(export) == 0
    assert len(duckdb.read_parquet(str(tmp_path / "out" / "runs.parquet")).fetchall()) == 3


def folder_of(results: Path, tmp_path: Path) -> Path:
    return results


def archive_of(results: Path, tmp_path: Path) -> Path:
    assert run(["store", "export", str(tmp_path / "out"), "--results", str(results)]) == 0
    return tmp_path / "out" / "records.parquet"


@pytest.mark.parametrize("source", [folder_of, archive_of])
def test_merging_is_complete_exact_and_idempotent(
    results: Path, tmp_path: Path, add: Add, source: Callable[[Path, Path], Path]
) -> None:
    here = tmp_path / "here"
    add(here, 7, "toy@mine", {FD: (1.0, 0.1)})
    other = source(results, tmp_path)
    assert merge(here, [other]) == Merged(2, 0, ())
    assert merge(here, [other, other]) == Merged(0, 4, ())
    for path in results.glob("*/*/*.json"):
        assert (here / path.relative_to(results)).read_bytes() == path.read_bytes()
    alone = answers(results)[0]
    assert [row for row in answers(here)[0] if row in alone] == alone
    assert len(answers(here)[2]) == 3


def test_the_order_of_sources_does_not_matter(results: Path, tmp_path: Path, add: Add) -> None:
    more = tmp_path / "more"
    add(more, 7, "toy@b", {FD: (1.0, 0.1)}, block=1)
    merge(tmp_path / "one", [results, more])
    merge(tmp_path / "two", [more, results])
    assert answers(tmp_path / "one") == answers(tmp_path / "two")


def test_previews_come_along_and_single_records_can_be_named(results: Path, tmp_path: Path) -> None:
    (record,) = results.glob("quick/toy@b/*.json")
    assert merge(tmp_path / "here", [record]).added == 1
    assert (tmp_path / "here" / record.relative_to(results)).with_suffix(".png").read_bytes() == b"picture"


def test_edited_and_conflicting_records_are_left_out_and_named(
    results: Path, tmp_path: Path, add: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    add(here, 2, "toy@b", {FD: (99.0, None)})
    (edited,) = results.glob('quick/toy@["]*/*.json')
    edited.write_text(edited.read_text().replace("10.0", "1.0"))
    assert run(["store", "merge", str(results), "--results", str(here)]) == 1
    said = capsys.readouterr().err
    assert f"left out: {edited}: was changed after it was written" in said
    assert "has the id of" in said
    assert "0 records added, 0 there already, 2 left out" in said


@pytest.mark.parametrize("content", [b"\xff\xfe not UTF-8", b"not JSON", None])
def test_a_file_that_is_no_record_is_left_out_and_the_others_are_added(
    results: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = results / "quick" / "a" / "broken.json"
    path.parent.mkdir()
    if content is None:
        path.symlink_to("absent")
    else:
        path.write_bytes(content)
    for source in (results, path) if content else (results,):
        merged = merge(tmp_path / "into" / source.name, [source])
        assert (merged.added, merged.present) == (2 if source is results else 0, 0)
        (told,) = merged.left_out
        assert told.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none", None, "no such file or folder"),
        ("genbench.duckdb", b"x", "not a source of records"),
        ("wrong.parquet", b"x", "not a Parquet file of records"),
    ],
)
def test_what_holds_no_records_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run(["store", "merge", str(tmp_path / name), "--results", str(tmp_path / "here")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "here").exists()


def test_a_folder_without_records_and_a_table_without_them(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["store", "merge", str(tmp_path / "empty"), "--results", str(tmp_path / "here")]) == 2
    assert "holds no records" in capsys.readouterr().err
    runs = archive_of(results, tmp_path).with_name("runs.parquet")
    assert run(["store", "merge", str(runs), "--results", str(tmp_path / "here")]) == 2
    assert "not a Parquet file of records" in capsys.readouterr().err


def test_an_export_of_nothing_has_every_table(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    assert run(["store", "export", str(tmp_path / "out"), "--results", str(tmp_path / "results")]) == 0
    assert duckdb.read_parquet(str(tmp_path / "out" / "records.parquet")).fetchall() == []
    assert duckdb.read_parquet(str(tmp_path / "out" / "runs.parquet")).fetchall() == []
