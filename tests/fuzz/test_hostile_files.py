"""Files of others that lie about where they belong, what they run, or what a terminal should do."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import BaseModel

from genbench.errors import StoreError
from genbench.records import Record, read_record
from tests.fuzz.containers import encoded, zip_of
from tests.fuzz.results import RECORD, record_text, sealed, sound_record, table_of
from tests.fuzz.tensors import trap
from tests.pipeline.conftest import call


def changed(place: str, value: Any) -> str:
    """A record with one other value, sealed as if it had always been there."""
    data = json.loads(json.dumps(sound_record()))
    *tables, key = place.split(".")
    target = data
    for table in tables:
        target = target[table]
    target[key] = value
    return json.dumps(sealed(data))


ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "id": ("../x", "../../../x", "/tmp/x", "a/b", "x\0"),
    "suite.id": ("..", "../..", "/tmp", "", "a/b", "a\nb"),
    "run.name": ("..", "../..", "/tmp/x", ".", "", "a/b", "\x1b[2J"),
}


@pytest.mark.parametrize(("place", "name"), [(place, name) for place, names in ELSEWHERE.items() for name in names])
def test_a_merged_record_cannot_choose_a_place_outside_the_results(place: str, name: str, tmp_path: Path) -> None:
    inside = tmp_path / "deep" / "down" / "results"
    inside.mkdir(parents=True)
    (tmp_path / "x.parquet").write_bytes(table_of([changed(place, name)]))
    before = sorted(tmp_path.rglob("*"))
    answer = call("store", "merge", tmp_path / "x.parquet", "--results", inside)
    assert answer.code == 1
    assert "left out" in answer.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_merged_record_cannot_have_a_file_of_its_reader_opened(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "id_ed25519").write_text("private")
    (tmp_path / "x.parquet").write_bytes(table_of([changed("influence", "../home/id_ed25519")]))
    answer = call("store", "merge", tmp_path / "x.parquet", "--results", tmp_path / "results")
    assert answer.code == 1
    assert "left out" in answer.err
    assert not list((tmp_path / "results").rglob("*.json"))


@pytest.mark.parametrize("source", ["..", "a/..", "a\0b", "\x1b[2J", "/"])
def test_a_score_of_a_strange_source_lies_below_the_results(source: str, tmp_path: Path) -> None:
    data = json.loads(changed("images.source", source)) | {"kind": "score", "suite": None, "run": None}
    (tmp_path / "x.json").write_text(json.dumps(sealed(data)))
    results = tmp_path / "results"
    assert call("store", "merge", tmp_path / "x.json", "--results", results).code == 0
    assert [path.relative_to(results).parts[:2] for path in results.rglob("*.json")] == [("score", "images")]


def test_a_folder_of_malformed_records_is_a_store_of_the_sound_ones(tmp_path: Path) -> None:
    sound = 0
    for number in range(60):
        path = tmp_path / "tiny" / f"run{number}" / f"{number}.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(record_text(Random(f"store:{number}")))
        try:
            read_record(path)
            sound += 1
        except StoreError:
            pass
    question = "select count(*) filter (problem is null) sound, count(*) total from files where kind = 'record'"
    answer = call("sql", question, "--results", tmp_path, "--format", "json").ok()
    assert json.loads(answer.out) == [{"sound": sound, "total": 60}]
    assert 0 < sound < 60


def with_every_number(model: BaseModel, number: int) -> dict[str, Any]:
    """What a model holds, with another value for every whole number that it may have, but the version of its format."""
    data = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if field.annotation in (int, int | None) and name != "schema_version":
            data[name] = number
        elif isinstance(value, BaseModel):
            data[name] = with_every_number(value, number)
        elif isinstance(value, tuple):
            data[name] = [with_every_number(item, number) if isinstance(item, BaseModel) else item for item in value]
    return data


@pytest.mark.parametrize("number", [-(2**63), 2**31, 2**63 - 1])
def test_numbers_that_a_record_may_have_fit_the_store(number: int, tmp_path: Path) -> None:
    path = tmp_path / "tiny" / "tiny@ode2" / "r.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(sealed(with_every_number(Record.model_validate(RECORD), number))))
    question = "select block, workers, label, version from runs join costs using (record_id) "
    joins = "join measurements using (record_id) join class_contributions using (record_id)"
    answer = call("sql", question + joins, "--results", tmp_path, "--format", "json").ok()
    assert json.loads(answer.out) == [dict.fromkeys(("block", "workers", "label", "version"), number)]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(trap(marker), protocol))
    call("weights", "convert", tmp_path / "x.pkl", tmp_path / "out.safetensors").problem(2)
    assert not marker.exists()


def test_what_files_are_called_does_not_command_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zip_of({"a.png": encoded(), "b\x1b[2J\r\nhint: all is well\u202e.png": b"no picture"}))
    error, hint = call("score", path, "--reference", path, "--no-record", "--cache", tmp_path / "cache").problem(2)
    assert "\\x1b[2J\\r\\nhint: all is well\\u202e.png" in error
    assert hint.startswith("remove it, or convert it")


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {"a": [-1]}}',
        b"[" * 50_000,
        b"\xff",
    ],
)
def test_a_malformed_manifest_is_a_failed_check(manifest: bytes, tmp_path: Path) -> None:
    (tmp_path / "decoders").mkdir()
    (tmp_path / "manifests").mkdir()
    (tmp_path / "decoders" / "x.toml").write_text(
        'id = "x"\ntitle = "x"\nmanifest = "m"\n[network]\nwidths = [32]\nlatent_channels = 4\n'
    )
    (tmp_path / "manifests" / "m.json").write_bytes(manifest)
    answer = call("validate", "x", "--registry", tmp_path, "--format", "json")
    assert answer.code == 1
    [row] = json.loads(answer.out)
    assert row["result"] == "FAIL"
    assert "m.json" in row["detail"]
