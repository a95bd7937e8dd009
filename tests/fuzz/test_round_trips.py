"""What is sound comes back as it was, whatever it holds and in whatever order it was written."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbench import console
from genbench.cards import MethodCard, load_card
from genbench.images import npy
from genbench.images.sources import open_source
from genbench.images.spans import FileSpan
from genbench.prompts import read_prompts
from genbench.records import Record, read_record, write_record
from genbench.suites import Suite, load_suite
from tests.fuzz.containers import encoded, tar_of, zip_of
from tests.fuzz.mutations import toml
from tests.fuzz.results import RECORD

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,12}", fullmatch=True)
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=20)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | WHOLE | NUMBERS | LINES
PROMPTS = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1).filter(str.strip)


@st.composite
def methods(draw: st.DrawFn) -> dict[str, Any]:
    presets = draw(st.dictionaries(NAMES, st.dictionaries(NAMES, SCALARS, max_size=4), min_size=1, max_size=3))
    variant = {
        "summary": draw(LINES),
        "dataset": draw(LINES),
        "resolution": draw(st.integers(1, 2**63 - 1)),
        "classes": draw(st.integers(0, 2**63 - 1)),
        "quantise": draw(st.sampled_from(("round", "half", "truncate"))),
        "network": draw(st.dictionaries(NAMES, SCALARS | st.lists(WHOLE, max_size=3), max_size=3)),
        "presets": presets,
        "default_preset": draw(st.sampled_from(sorted(presets))),
        "claims": [{"metric": "fid", "value": draw(NUMBERS), "source": draw(LINES)}],
    }
    method = {"id": draw(NAMES), "name": draw(LINES), "title": draw(LINES), "sampler": "sit"}
    return {"method": method, "variants": {draw(NAMES): variant}}


@given(data=methods())
def test_a_card_is_read_as_it_was_written(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("card") / f"{data['method']['id']}.toml"
    path.write_bytes(toml(data))
    card = load_card(path)
    assert card == MethodCard.model_validate(data)
    path.write_bytes(toml(card.model_dump(mode="json", exclude_none=True)))
    assert load_card(path) == card


@given(
    data=st.fixed_dictionaries(
        {
            "id": NAMES,
            "title": LINES,
            "dataset": LINES,
            "resolution": st.integers(1, 2**63 - 1),
            "metrics": st.lists(LINES, min_size=1, max_size=4),
            "images": st.integers(2, 10**6),
            "blocks": st.integers(1, 1000),
            "first_seed": st.integers(0, 2**62),
            "labels": st.sampled_from(("balanced", "uniform", "empirical")),
            "runs": st.lists(LINES, min_size=1, max_size=4),
        }
    )
)
def test_a_suite_is_read_as_it_was_written(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("suite") / f"{data['id']}.toml"
    path.write_bytes(toml(data))
    suite = load_suite(path)
    assert suite == Suite.model_validate(data)
    path.write_bytes(toml(dict(reversed(suite.model_dump(mode="json", exclude_none=True).items()))))
    assert load_suite(path) == suite


@given(
    value=NUMBERS,
    stderr=st.none() | NUMBERS,
    n=WHOLE,
    settings=st.dictionaries(LINES, SCALARS | st.none()),
    source=LINES,
    created=st.datetimes(timezones=st.just(UTC)),
)
def test_a_record_is_read_to_the_last_digit(
    value: float,
    stderr: float | None,
    n: int,
    settings: dict[str, Any],
    source: str,
    created: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    [measurement] = RECORD["measurements"]
    data = RECORD | {
        "created": created,
        "measurements": [measurement | {"value": value, "stderr": stderr, "n": n}],
        "run": RECORD["run"] | {"settings": settings},
        "images": RECORD["images"] | {"source": source},
    }
    written = Record.model_validate(data)
    path = write_record(written, tmp_path_factory.mktemp("record"))
    assert read_record(path) == written.sealed()
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert read_record(path) == written.sealed()


@given(rows=st.lists(st.tuples(NAMES, PROMPTS, PROMPTS), min_size=1, max_size=6, unique_by=lambda row: row[0]))
def test_prompts_are_the_same_from_either_kind_of_table(
    rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("prompts")
    columns = ("file_name", "prompt", "category")
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
    (folder / "x.csv").write_bytes(out.getvalue().encode())
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    (folder / "x.jsonl").write_text("\n".join(lines))
    table, objects = read_prompts(folder / "x.csv"), read_prompts(folder / "x.jsonl")
    assert table.rows == objects.rows
    assert table.digest == objects.digest
    assert [row.text for row in table.rows] == [prompt.strip() for _, prompt, _ in rows]


@given(names=st.lists(NAMES.map("{}.png".format), min_size=1, max_size=6, unique=True), data=st.data())
def test_the_order_in_an_archive_says_nothing(
    names: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    digests = set()
    for name, pack in (("x.zip", zip_of), ("x.tar", tar_of), ("y.zip", zip_of), ("y.tar", tar_of)):
        order = data.draw(st.permutations(names))
        (folder / name).write_bytes(pack(dict.fromkeys(order, encoded())))
        source = open_source(folder / name, workers=1)
        assert list(source.names) == sorted(names)
        digests.add(source.digest)
    assert len(digests) == 1


@given(
    shape=st.lists(st.integers(0, 2**40), max_size=5).map(tuple),
    dtype=st.sampled_from(("u1", "<f8", ">f4", "<f2", "O", "?", "<U7", "<c16", "<M8[s]")).map(np.dtype),
    fortran=st.booleans(),
)
def test_the_header_of_an_array_is_read_as_numpy_wrote_it(
    shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path: Path = tmp_path_factory.mktemp("npy") / "x.npy"
    with path.open("wb") as file:
        said = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": fortran, "shape": shape}
        np.lib.format.write_array_header_1_0(file, said)
        written = file.tell()
    assert npy.read_header(path, FileSpan(path)) == (dtype, shape, fortran, written)


@given(text=st.text())
def test_a_message_is_one_line_that_a_terminal_shows(text: str) -> None:
    shown = console.one_line(text)
    assert shown.isprintable()
    assert len((shown + "|").splitlines()) == 1
    assert (shown == text) == text.isprintable()
