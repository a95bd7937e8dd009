"""The published literature: strict readers, what the files hold, and what the store makes of them."""

from __future__ import annotations

import csv
import itertools
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genbench.cards import load_cards
from genbench.cli import main
from genbench.errors import ConfigError
from genbench.metrics.catalog import ALIASES
from genbench.published import (
    OUTSIDE,
    EncoderRow,
    EpochsRow,
    FdrRow,
    Figure,
    ScatterRow,
    canonical_metric,
    load_figures,
    read_figures,
    read_rows,
    row_model,
)
from genbench.store import Store, ddl

REGISTRY = Path(__file__).parents[2] / "registry"
PUBLISHED = REGISTRY / "published"

ROWS = {
    "figures-transformers.csv": 2087,
    "figures-tokens.csv": 1086,
    "figures-few-step.csv": 936,
    "fdr6.csv": 33,
    "epochs-to-fid2.csv": 8,
    "irepa-encoders.csv": 120,
    "irepa-scatter.csv": 27,
    "network-costs.csv": 29,
}
"""Rows that the normalisation wrote: a change of these files is meant, and is told here."""


@cache
def all_figures() -> tuple[Figure, ...]:
    return tuple(figure for path in sorted(PUBLISHED.glob("figures-*.csv")) for figure in read_figures(path))


def test_every_file_reads_and_has_its_rows() -> None:
    assert {path.name: len(read_rows(row_model(path), path)) for path in PUBLISHED.glob("*.csv")} == ROWS


def test_figures_say_where_they_stand_and_what_they_are() -> None:
    for figure in all_figures():
        metric, _ = canonical_metric(figure.metric)
        assert metric in OUTSIDE or "@" in metric
        assert figure.reference is None or figure.evaluator is not None or "baseline" in figure.reference
        if figure.metric in {"precision", "recall", "ssim"}:
            assert 0 <= figure.value <= 1, figure
        if figure.metric in {"fid", "sfid", "rfid", "psnr"}:
            assert 0 < figure.value < 1000, figure
    sources = " ".join({figure.source for figure in all_figures()})
    assert not re.search(r"\blib(rary)? (id|text)|\bseed abstract|\(\s*\)", sources)


def test_every_system_of_the_literature_has_a_card() -> None:
    methods = {figure.method for figure in load_figures([REGISTRY])}
    methods |= {row.method for row in read_rows(EpochsRow, PUBLISHED / "epochs-to-fid2.csv")}
    # The validation images of ImageNet are measured as if they were generated; nobody generates them.
    assert methods - {"imagenet-val"} <= load_cards([REGISTRY]).keys()


def test_reconstructions_and_generated_images_are_told_apart() -> None:
    for figure in all_figures():
        if figure.metric == "fid":
            assert figure.conditioning != "image", figure
        if figure.metric in {"rfid", "psnr", "ssim", "lpips"}:
            assert figure.conditioning == "image", figure
            assert figure.evaluator is None, figure
        if figure.metric in OUTSIDE:
            assert figure.reference is None, figure


@pytest.mark.parametrize(
    ("method", "metric", "value", "facts"),
    [
        # DiT (arXiv:2212.09748), Table 2.
        ("dit", "fid", 2.27, {"resolution": 256, "guidance": "cfg 1.5", "nfe": 250, "reference": "adm-imagenet256"}),
        # LightningDiT draws classes at random; RAE's authors measured it again, class by class.
        ("lightningdit", "fid", 1.35, {"labels": "uniform"}),
        ("lightningdit", "fid", 1.25, {"labels": "balanced"}),
        # RAE's tokenizer stands under a heading of the collected table, RAEv2's ratios under a metric of their own.
        ("rae", "rfid", 0.16, {"variant": "RAE MAE-B"}),
        ("raev2", "fdr@mae-l", 2.67, {"epochs": 80}),
        # A limit, a range and a percentage are numbers with a bound or a unit.
        ("flextok", "fid", 2, {"bound": "<"}),
        ("mixdq", "size-saving", 3, {"bound": ">="}),
        ("distilled-decoding", "speedup", 217.8, {"bound": None}),
        # BiDM (arXiv:2412.05926): one bit a weight and an activation; milliseconds and microseconds are seconds.
        ("bidm", "fid", 22.74, {"weight_bits": 1, "activation_bits": 1, "dataset": "lsun-bedroom"}),
        ("flowturbo", "seconds-per-image", 0.038, {"variant": "H1P5R3"}),
        # One line of a table, two models.
        ("rcg", "images-per-second", 2.2, {"variant": "RCG throughput MAGE-L"}),
        # The same letters, two papers.
        ("sid", "fid", 1.524, {"resolution": 64}),
        ("simple-diffusion", "fid", 2.44, {"system": "SiD"}),
        # Sampled at 384, scored at 256.
        ("llamagen", "fid", 2.189, {"resolution": 256, "n": 50_000}),
        ("mage", "fid", 11.1, {"conditioning": "none", "evaluator": "torch-fidelity", "reference": "imagenet-val"}),
    ],
)
def test_known_figures(method: str, metric: str, value: float, facts: dict[str, Any]) -> None:
    named = [f for f in all_figures() if (f.method, f.metric) == (method, metric)]
    found = [f for f in named if f.value == pytest.approx(value)]
    assert any(all(getattr(f, name) == fact for name, fact in facts.items()) for f in found), found


def test_figures_use_the_names_of_the_catalog_and_every_other_name_is_used() -> None:
    used = Counter(figure.metric for figure in all_figures())
    assert {"fid", "sfid", "is", "precision", "recall", "rfid", "fd-dinov2", "fdr6"} <= used.keys() & ALIASES.keys()
    assert OUTSIDE.keys() - used.keys() == set()
    assert not OUTSIDE.keys() & ALIASES.keys()


def test_fdr6_rows_are_figures_of_known_metrics_too() -> None:
    rows = {row.system: row for row in read_rows(FdrRow, PUBLISHED / "fdr6.csv")}
    raev2 = {figure.metric: figure.value for figure in rows["RAEv2 (K=7), 80 epochs"].figures()}
    assert raev2 == {
        "fid": 1.06,
        "fdr@inception-tf": 0.64,
        "fdr@convnextv2-b": 0.77,
        "fdr@dinov2-l-fdloss": 1.15,
        "fdr@mae-l": 2.67,
        "fdr@siglip2-so400m": 2.54,
        "fdr@clip-l14": 5.21,
        "fdr6": 2.17,
    }
    assert len(read_figures(PUBLISHED / "fdr6.csv")) == 33 * 9 - 1


def test_epochs_keep_their_bounds() -> None:
    rows = {row.method: (row.epochs, row.bound) for row in read_rows(EpochsRow, PUBLISHED / "epochs-to-fid2.csv")}
    assert rows["raev2"] == (35, None)
    assert rows["sit"] == (800, ">")
    assert rows["ddt"] == (None, None)


def test_encoders_and_points_of_irepa() -> None:
    encoders = read_rows(EncoderRow, PUBLISHED / "irepa-encoders.csv")
    assert Counter(row.alignment for row in encoders)["iREPA w/o conv proj"] == 4
    points = read_rows(ScatterRow, PUBLISHED / "irepa-scatter.csv")
    assert [row.point for row in points] == list(range(27))
    assert [row.fid for row in points] == sorted((row.fid for row in points), reverse=True)
    assert points[6].overlapping == ("cds", "srss")
    assert points[26].encoder == "DINOv2-B"


GOOD = {"method": "dit", "system": "DiT", "metric": "fid", "value": "2.27", "evidence": "paper", "source": "Table 2"}


def write(path: Path, *rows: dict[str, str]) -> Path:
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "2,27"}, r":3: value: .*not '2,27'"),
        ({"value": "nan"}, r":3: value: "),
        ({"metric": "fidd"}, r":3: metric: no metric 'fidd'; did you mean fid"),
        ({"evidence": "hearsay"}, r":3: evidence: "),
        ({"method": "Di T"}, r":3: method: "),
        ({"source": ""}, r":3: key 'source' is missing"),
        ({"n": "0"}, r":3: n: "),
        ({"colour": "red"}, r":2: unknown key 'colour'|:3: unknown key 'colour'"),
        ({}, r":3: repeats line 2"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = write(tmp_path / "figures-mine.csv", GOOD, {**GOOD, **change})
    with pytest.raises(ConfigError, match=re.escape(str(path)) + f"(?:{message})"):
        read_rows(Figure, path)


def test_rows_of_another_width_bad_quotes_and_other_files(tmp_path: Path) -> None:
    path = tmp_path / "figures-mine.csv"
    path.write_text("method,system\na,b,c\n")
    with pytest.raises(ConfigError, match=r"figures-mine\.csv:2: 3 fields, the header names 2 columns"):
        read_rows(Figure, path)
    path.write_text('method,system\n"a"b,c\n')
    with pytest.raises(ConfigError, match=r"figures-mine\.csv:2: not CSV"):
        read_rows(Figure, path)
    for header in ("", "method,method\n"):
        path.write_text(header)
        with pytest.raises(ConfigError, match=r"figures-mine\.csv:1: no header of distinct columns") as caught:
            read_rows(Figure, path)
        assert caught.value.hint == "for example method,system,metric,value,evidence,source"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rows(Figure, path)
    with pytest.raises(ConfigError, match="no such file of published figures"):
        row_model(tmp_path / "numbers.csv")
    with pytest.raises(ConfigError, match="holds no figures"):
        read_figures(tmp_path / "epochs-to-fid2.csv")


def test_what_spreadsheets_add_is_no_error(tmp_path: Path) -> None:
    path = write(tmp_path / "figures-mine.csv", GOOD)
    plain = read_rows(Figure, path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert read_rows(Figure, path) == plain


def test_a_mean_that_is_not_that_of_the_six_is_refused(tmp_path: Path) -> None:
    with (PUBLISHED / "fdr6.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    with pytest.raises(ConfigError, match=r"fdr6\.csv:2: content: fdr6 is 1\.5, the mean of the six is 1\.000"):
        read_rows(FdrRow, write(tmp_path / "fdr6.csv", {**row, "fdr6": "1.5"}))


# The store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("results"), registry=[REGISTRY]) as opened:
        yield opened


def test_published_files_become_tables(store: Store) -> None:
    counts = dict(store.query("SELECT file, count(*) FROM published GROUP BY file").rows)
    assert counts == {**{name: n for name, n in ROWS.items() if name.startswith("figures-")}, "fdr6.csv": 296}
    for table, file in [("published_epochs", "epochs-to-fid2"), ("irepa_encoders",) * 2, ("network_costs",) * 2]:
        name = f"{file.replace('_', '-')}.csv"
        assert store.query(f"SELECT count(*) FROM {table}").rows == [(ROWS[name],)]
    assert store.query(
        "SELECT metric, metric_name, direction FROM published WHERE method = 'dit' AND value = 2.27 LIMIT 1"
    ).rows == [("fd@inception-tf", "fid", "lower")]


def test_the_study_of_irepa_is_one_query(store: Store) -> None:
    answer = store.query(
        "SELECT corr(lds, fid), corr(cds, fid), corr(srss, fid), corr(rmsc, fid), corr(linear_probe, fid), count(*) "
        "FROM irepa_scatter"
    )
    # iREPA (arXiv:2512.10794), Figure 4 prints -0.852, -0.847, -0.885, -0.888 and -0.260; digitised to ±0.002.
    assert answer.rows[0] == pytest.approx((-0.852, -0.847, -0.886, -0.889, -0.260, 27), abs=2e-3)


def test_the_study_as_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    files = [tmp_path / "a.svg", tmp_path / "b.svg", tmp_path / "dark.svg"]
    for file, theme in zip(files, ("light", "light", "dark"), strict=True):
        (tmp_path / "results").mkdir(exist_ok=True)
        arguments = ["study", "irepa", "--svg", str(file), "--theme", theme, "--format", "json"]
        assert main.run([*arguments, "--results", str(tmp_path / "results"), "--registry", str(REGISTRY)]) == 0
        printed = {row["measure"]: row["correlation"] for row in json.loads(capsys.readouterr().out)}
        assert printed == pytest.approx(
            {"lds": -0.852, "cds": -0.847, "srss": -0.886, "rmsc": -0.889, "linear_probe": -0.260}, abs=2e-3
        )
    drawn = [file.read_bytes() for file in files]
    assert drawn[0] == drawn[1] != drawn[2]
    ET.fromstring(drawn[0])
    assert main.run(["study", "--svg", str(tmp_path), "--results", str(tmp_path / "results")]) == 2
    assert "name a file that can be written" in capsys.readouterr().err


def test_a_broken_file_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "registry" / "published"
    folder.mkdir(parents=True)
    (tmp_path / "results").mkdir()
    write(folder / "figures-mine.csv", GOOD)
    write(folder / "figures-worse.csv", {**GOOD, "value": "low"})
    with Store.open(tmp_path / "results", registry=[tmp_path / "registry"]) as store:
        assert store.query("SELECT file, value FROM published").rows == [("figures-mine.csv", 2.27)]
    assert "figures-worse.csv: left out: " in (said := capsys.readouterr().err)
    assert ":2: value: " in said
    write(folder / "figures-worse.csv", {**GOOD, "value": "2.28"})
    with Store.open(tmp_path / "results", registry=[tmp_path / "registry"]) as store:
        assert store.query("SELECT value FROM published ORDER BY value").rows == [(2.27,), (2.28,)]


def test_claims_of_cards_become_rows(store: Store) -> None:
    rows = store.query("SELECT run, metric, value, n FROM claims WHERE variant = 'dit-xl2-256' AND metric_name = 'fid'")
    assert ("dit-xl2-256@ddpm250-cfg1.5", "fd@inception-tf", 2.27, 50_000) in rows.rows


def test_a_claim_of_an_unknown_metric_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = tmp_path / "registry"
    registry.mkdir()
    (tmp_path / "results").mkdir()
    card = (REGISTRY / "dit.toml").read_text().replace('metric = "fid"', 'metric = "fidd"', 1)
    (registry / "dit.toml").write_text(card)
    with Store.open(tmp_path / "results", registry=[registry]) as store:
        assert store.query("SELECT count(*) FROM claims").rows == [(0,)]
    assert "claims.0.metric: no metric 'fidd'; did you mean fid" in capsys.readouterr().err


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute(ddl.script())
        yield opened


def insert(connection: duckdb.DuckDBPyConnection, table: str, **given: Any) -> None:
    """Insert a row; columns that may not be NULL and are not given hold something of their type."""
    needed = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND NOT is_nullable", [table]
    ).fetchall()
    fillers = {"VARCHAR": "x", "JSON": "{}", "TIMESTAMP": "2025-01-01", "VARCHAR[]": []}
    row = {name: fillers.get(kind, 0) for name, kind in needed} | given
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def measure(
    connection: duckdb.DuckDBPyConnection, run: str, value: float, stderr: float | None, *, block: int = 0, n: int = 100
) -> None:
    record = f"{run}-{block}-{n}"
    facts = {"suite": f"of-{n}", "suite_digest": f"d{n}", "run": run, "run_digest": run, "reference": "adm", "n": n}
    insert(connection, "runs", record_id=record, block=block, precision="exact", **facts)
    insert(
        connection, "measurements", record_id=record, metric="fd@a", direction="lower", value=value, stderr=stderr, n=n
    )


def claim(connection: duckdb.DuckDBPyConnection, run: str | None, value: float, **given: Any) -> None:
    insert(connection, "claims", run=run, metric="fd@a", metric_name="fid", value=value, n=100, **given)


def test_verdicts_on_claims(connection: duckdb.DuckDBPyConnection) -> None:
    measure(connection, "near@a", 2.2, 0.1)
    measure(connection, "far@a", 3.0, 0.1)
    measure(connection, "bare@a", 2.0, None)
    measure(connection, "other-n@a", 2.0, 0.1, n=50)
    for run in ("near@a", "far@a", "bare@a", "other-n@a", "nobody@a", None):
        claim(connection, run, 2.0)
    claim(connection, "near@a", 2.1, reference="adm")
    claim(connection, "near@a", 2.3, reference="another")
    rows = connection.execute(
        "SELECT run, claimed, verdict, difference, standard_errors, reference FROM claimed_vs_measured ORDER BY ALL"
    ).fetchall()
    root = 2**0.5 * 0.1  # a claim has the standard error of one block, the measurement that of its one block
    assert rows == [
        ("bare@a", 2.0, "no error bar", 0.0, None, "adm"),
        ("far@a", 2.0, "deviates", 1.0, pytest.approx(1 / root), "adm"),
        ("near@a", 2.0, "reproduced", pytest.approx(0.2), pytest.approx(0.2 / root), "adm"),
        ("near@a", 2.1, "reproduced", pytest.approx(0.1), pytest.approx(0.1 / root), "adm"),
        ("near@a", 2.3, "not measured", None, None, None),
        ("nobody@a", 2.0, "not measured", None, None, None),
        ("other-n@a", 2.0, "not measured", None, None, None),
        (None, 2.0, "not measured", None, None, None),
    ]


def test_blocks_are_averaged_and_the_claim_is_one_of_them(connection: duckdb.DuckDBPyConnection) -> None:
    for block, value in enumerate((2.0, 2.1, 2.2, 2.5)):
        measure(connection, "a@a", value, 0.2, block=block)
    claim(connection, "a@a", 2.0)
    row = connection.execute("SELECT measured, n_blocks, stderr, difference_stderr FROM claimed_vs_measured").fetchone()
    # The mean of four has standard error 0.2/2, the claim 0.2: together √(0.01 + 0.04).
    assert row == pytest.approx((2.2, 4, 0.1, 0.05**0.5))
