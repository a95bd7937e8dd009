"""Records: immutable, versioned, complete or absent."""

import json
import os
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genbench import records
from genbench.digest import digest
from genbench.errors import StoreError
from genbench.provenance import Provenance
from genbench.records import (
    SCHEMA_VERSION,
    Costs,
    ImageFacts,
    MeasurementFacts,
    Record,
    ReferenceFacts,
    RunFacts,
    SuiteFacts,
    check_writable,
    new_id,
    read_record,
    record_files,
    write_record,
)

RECORD = Record(
    id="20260101T000000Z-00000001",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    kind="run",
    limited=False,
    block=0,
    suite=SuiteFacts(id="quick", digest="5" * 64),
    run=RunFacts(
        name="sit-emoji32@ode25",
        method="sit",
        variant="sit-emoji32",
        preset="ode25",
        digest="7" * 64,
        given={"steps": 26},
        settings={"steps": 26, "cfg": 1.0, "cfg_channels": None},
        weights_sha256="8" * 64,
    ),
    images=ImageFacts(source="sampler", digest="9" * 64, n=256, first_seed=0, labels="empirical"),
    reference=ReferenceFacts(name="emoji32-train", sha256={"inception-tf": "a" * 64}, n={"inception-tf": 3404}),
    spaces={"inception-tf": "b" * 64},
    measurements=(
        MeasurementFacts(
            metric="fd@inception-tf",
            statistic="fd",
            space="inception-tf",
            version=1,
            direction="lower",
            value=0.1 + 0.2,
            stderr=None,
            n=256,
            n_reference=3404,
        ),
    ),
    costs=Costs(wall_seconds=1.5),
    provenance=Provenance(
        genbench="0",
        python="3",
        packages={"torch": "2.6.0+cpu"},
        commit=None,
        dirty=None,
        platform="p",
        processor="é",
        cores=1,
        threads=1,
        device="cpu",
        tf32=False,
        deterministic=True,
        argv=["genbench"],
    ),
)


def test_what_was_written_is_read_to_the_last_digit(tmp_path):
    path = write_record(RECORD, tmp_path)
    assert path == tmp_path / "quick" / "sit-emoji32@ode25" / "20260101T000000Z-00000001.json"
    found = read_record(path)
    assert found == RECORD.sealed()
    assert found.measurements[0].value == 0.1 + 0.2
    assert found.schema_version == SCHEMA_VERSION
    assert list(record_files(tmp_path)) == [path]


def test_a_score_lies_under_what_was_scored():
    score = RECORD.model_copy(update={"kind": "score", "suite": None, "run": None})
    assert str(score.folder) == "score/sampler"
    elsewhere = score.model_copy(update={"images": ImageFacts(source="/data/my set/", digest="0", n=2)})
    assert str(elsewhere.folder) == "score/my set"
    assert str(score.model_copy(update={"images": ImageFacts(source="/", digest="0", n=2)}).folder) == "score/images"


def paths_of(value, path=()):
    """The place of every plain value in a JSON document."""
    if isinstance(value, dict):
        return [place for key in value for place in paths_of(value[key], (*path, key))]
    if isinstance(value, list):
        return [place for i, item in enumerate(value) for place in paths_of(item, (*path, i))]
    return [path]


DOCUMENT = json.loads(json.dumps(RECORD.sealed().model_dump(mode="json")))


@given(st.sampled_from([path for path in paths_of(DOCUMENT) if path != ("digest",)]))
def test_an_edit_of_any_value_is_noticed(tmp_path_factory, place):
    """Whatever the new value is, the record is refused: by its digest, or because it is none any more."""
    data = json.loads(json.dumps(DOCUMENT))
    *tables, key = place
    target = data
    for table in tables:
        target = target[table]
    old = target[key]
    target[key] = {bool: lambda: not old, int: lambda: old + 1, float: lambda: old + 0.5, str: lambda: old + "x"}.get(
        type(old), lambda: "x"
    )()
    path = tmp_path_factory.mktemp("edited") / "r.json"
    path.write_text(json.dumps(data))
    with pytest.raises(StoreError, match=r"was changed after|not a genbench record|newer than"):
        read_record(path)


def test_a_record_of_version_1_is_read(tmp_path):
    # As the first version wrote it: without the fields that came later, its digest over what is there.
    later = {"held_out", "precision", "contributions", "influence"}
    data = {key: value for key, value in DOCUMENT.items() if key not in {*later, "digest"}} | {"schema_version": 1}
    data["measurements"] = [
        {key: value for key, value in m.items() if key not in {"spread", "deviation", "deviation_n"}}
        for m in data["measurements"]
    ]
    data["costs"] = {"wall_seconds": 1.5}
    data["provenance"] = {key: value for key, value in data["provenance"].items() if key != "engine"}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data | {"digest": digest(data)}))
    record = read_record(path)
    assert (record.schema_version, record.precision, record.contributions) == (1, "exact", ())
    assert record.measurements == RECORD.measurements
    assert (record.costs, record.provenance) == (RECORD.costs, RECORD.provenance)
    path.write_text(json.dumps(data | {"digest": digest(data), "block": 1}))
    with pytest.raises(StoreError, match="was changed after"):
        read_record(path)


def test_formatting_is_no_edit(tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(dict(reversed(DOCUMENT.items()))))
    assert read_record(path) == RECORD.sealed()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (None, "cannot be read", "mode"),
        ("", "not a genbench record", "restore it from git"),
        ("[1]", "not a genbench record", "restore it from git"),
        ('{"schema_version": 1}', "not a genbench record", "restore it from git"),
        (json.dumps({**DOCUMENT, "schema_version": 99, "new": 1}), "record schema 99 is newer", "upgrade genbench"),
        (json.dumps({**DOCUMENT, "digest": "0" * 64}), "was changed after it was written", "restore it from git"),
        (json.dumps({**DOCUMENT, "extra": 1}), "not a genbench record", "restore it from git"),
        ("\udcff", "not a genbench record", "restore it from git"),
    ],
)
def test_what_is_no_record_is_named(tmp_path, text, message, hint):
    path = tmp_path / "r.json"
    if text is not None:
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(StoreError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert hint in caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measurement_that_is_no_number_makes_no_record(value):
    with pytest.raises(ValidationError, match="finite"):
        MeasurementFacts.model_validate({**DOCUMENT["measurements"][0], "value": value})


@pytest.mark.parametrize(
    "name",
    [
        "../home/id_ed25519",
        "../x.parquet",
        "features/../../x.parquet",
        "features/x/..\\..\\x.parquet",
        "/etc/x.parquet",
        "weights/x.parquet",
        "features/x.safetensors",
        "features",
        "features/x\0.parquet",
        "",
    ],
)
def test_a_record_names_no_file_but_a_table_below_the_features(name):
    with pytest.raises(ValidationError, match="names no table below the features"):
        Record.model_validate({**DOCUMENT, "influence": name})
    inside = "features/0a/influence/0-256-1b.parquet"
    assert Record.model_validate({**DOCUMENT, "influence": inside}).influence == inside


def test_a_record_is_frozen_and_measures_something():
    with pytest.raises(ValidationError, match="frozen"):
        RECORD.block = 1
    with pytest.raises(ValidationError, match="at least 1 item"):
        Record.model_validate({**DOCUMENT, "measurements": []})


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"the record cannot be written \(No space left on device\)") as caught:
        write_record(RECORD, tmp_path)
    assert "the same command continues" in caught.value.hint
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_names_are_of_their_time_and_of_nothing_else():
    made = [new_id() for _ in range(200)]
    assert len({name for _, name in made}) == 200
    for created, name in made:
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", name)
        assert name.startswith(f"{created:%Y%m%dT%H%M%SZ}")
        assert (created.tzinfo, created.microsecond) == (UTC, 0)


def test_results_are_tried_before_anything_is_spent(tmp_path):
    results = tmp_path / "new" / "results"
    check_writable(results)
    assert list(results.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="results cannot be written") as caught:
        check_writable(tmp_path / "file")
    assert "--results" in caught.value.hint


def test_only_records_are_listed_in_order(tmp_path):
    for name in ("b/run/2.json", "a/run/2.json", "a/run/1.json", "a/run/.hidden.json", "a/top.json", "a/run/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [str(path.relative_to(tmp_path)) for path in record_files(tmp_path)]
    assert found == ["a/run/1.json", "a/run/2.json", "b/run/2.json"]
    assert list(record_files(tmp_path / "absent")) == []


@pytest.mark.parametrize(
    "model", [m for m in vars(records).values() if isinstance(m, type) and m.__module__ == records.__name__]
)
def test_records_refuse_unknown_keys(model):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"no such key": 1})
