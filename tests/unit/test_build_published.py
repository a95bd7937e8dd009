"""Collected rows as figures: each case is the form of a row of the collected tables, with its numbers changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genbench.published import EpochsRow, FdrRow, Figure, read_rows
from tools.build_published import epochs, fdr6, figures, write

COLUMNS = [
    *("method", "variant", "dataset", "resolution", "params_m", "epochs", "iterations", "guidance", "sampler", "nfe"),
    *("fid", "sfid", "is", "precision", "recall", "other_metric", "other_value", "source"),
]


def normalised(table: str = "dit", **given: str) -> list[dict[str, Any]]:
    """What a collected row becomes, without the columns that stay empty."""
    row = dict.fromkeys(COLUMNS, "") | {"method": "DiT", "dataset": "ImageNet", "resolution": "256"} | given
    return [
        {key: value for key, value in figure.items() if value not in {"", None}} for figure in figures(table, [row])
    ]


def test_a_row_is_a_figure_a_number() -> None:
    rows = normalised(
        variant="DiT-XL/2", params_m="675", nfe="250", fid="2.27", recall="0.57", source="DiT paper Table 2"
    )
    assert [(row["metric"], row["value"]) for row in rows] == [("fid", "2.27"), ("recall", "0.57")]
    assert rows[0] | {"metric": "", "value": ""} == rows[1] | {"metric": "", "value": ""}
    assert rows[0]["parameters"] == "675000000"
    assert (rows[0]["n"], rows[0]["labels"], rows[0]["reference"]) == (50_000, "uniform", "adm-imagenet256")


@pytest.mark.parametrize(
    ("method", "source", "evidence"),
    [
        ("DiT", "DiT paper Table 2", "paper"),
        ("REPA", "REPA-E paper v3 Table 4", "secondary"),
        ("MAR", "README LTH14/mar@fe470ac2", "repository"),
        ("M-VAR", "README OliverRensu/MVAR@80768a1f", "repository"),
        ("EDM", "comment in NVlabs/edm2 generate_images.py", "secondary"),
        ("SiT", "RAEv2 project site table", "secondary"),
        ("MAR", "from seed abstract", "abstract"),
        ("VAR", "issue FoundationVision/VAR#69", "issue"),
        ("VAR", "rerun: a table", "rerun"),
        ("VAR", "secondary: VAR paper Table 3 as quoted (lib id 1)", "secondary"),
    ],
)
def test_what_a_source_is(method: str, source: str, evidence: str) -> None:
    (row,) = normalised(method=method, fid="2", source=source)
    assert row["evidence"] == evidence


def test_the_protocol_is_told_of_the_authors_own_figures_alone() -> None:
    (own,), (quoted,) = (normalised(method="REPA", fid="2", source=source) for source in ("REPA paper", "DDT paper"))
    assert (own["n"], own["evaluator"], own["labels"]) == (50_000, "adm", "uniform")
    assert not {"n", "evaluator", "reference", "labels"} & quoted.keys()


def test_measured_again_by_others() -> None:
    (row,) = normalised(method="REPA", variant="x (class-balanced re-evaluation)", fid="2", source="REPA-E paper v3")
    assert (row["evidence"], row["labels"]) == ("rerun", "balanced")


@pytest.mark.parametrize(
    ("source", "cited"),
    [
        ("paper text: LlamaGen Table 8 (lib id 61356756115)", "paper text: LlamaGen Table 8"),
        ("sCM paper 2410.11081 Table 1/2 (library id 1), secondary", "sCM paper 2410.11081 Table 1/2, secondary"),
        ("secondary: lib id 61337113719", "secondary, not named"),
        ("seed abstract; README", "the paper's abstract; README"),
    ],
)
def test_sources_keep_what_anybody_can_look_up(source: str, cited: str) -> None:
    assert normalised(fid="2", source=source)[0]["source"] == cited


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("speedup", "6.3x", ["speedup 6.3"]),
        ("model size/memory reduction x", "3-4", ["size-saving >=3"]),
        ("gap_vs_DD1; train_speedup", "-67%; 12.3x", ["fid-reduction-pct 67", "training-speedup 12.3"]),
        (
            "codebook_usage_pct before->after",
            "31.85 -> 97.07",
            ["codebook-usage-pct 31.85", "codebook-usage-pct 97.07"],
        ),
        ("latency_ms_per_img", "38", ["seconds-per-image 0.038"]),
        ("BOPs_T_per_step;speedup", "57.30;", ["bops-t-per-step 57.30"]),
    ],
)
def test_other_quantities(name: str, value: str, expected: list[str]) -> None:
    rows = normalised("fewstep", other_metric=name, other_value=value, source="DiT")
    assert [f"{row['metric']} {row.get('bound', '')}{row['value']}" for row in rows] == expected


def test_bits_are_facts_of_the_other_figures() -> None:
    fid, size = normalised(
        "fewstep", fid="<4", other_metric="W/A bits;model_size_MB", other_value="4/8;339", source="x"
    )
    assert (fid["value"], fid["bound"], fid["weight_bits"], fid["activation_bits"]) == ("4", "<", "4", "8")
    assert (size["metric"], size["value"], size["weight_bits"]) == ("model-size-mb", "339", "4")


def test_epochs_and_evaluations_that_are_no_numbers_are_noted() -> None:
    (row,) = normalised("ar", epochs="200 RDM + 800 MAGE", nfe="8-128", fid="3", source="x")
    assert (row["epochs"], row["note"]) == ("1000", "epochs printed as 200 RDM + 800 MAGE; NFE 8-128")
    assert "nfe" not in row
    assert normalised("ar", epochs="180(170+10)", fid="3", source="x")[0]["epochs"] == "180"


def test_reconstructions_have_an_rfid_and_no_generator() -> None:
    (row,) = normalised("ar", dataset="ImageNet-1k val (reconstruction)", fid="2.19", source="DiT paper")
    assert (row["metric"], row["conditioning"]) == ("rfid", "image")
    fid, rfid = normalised(guidance="cfg 2", fid="2", other_metric="rFID", other_value="0.5", source="DiT paper")
    assert (fid["guidance"], fid["evaluator"]) == ("cfg 2", "adm")
    assert not {"guidance", "evaluator", "n"} & rfid.keys()


def test_a_quantity_that_nobody_named_is_no_figure() -> None:
    with pytest.raises(KeyError, match="beauty"):
        normalised(other_metric="beauty", other_value="1", source="x")


def test_tables_of_their_own_are_read_back(tmp_path: Path) -> None:
    spaces = [f"fdr_{space}" for space in ("Inception", "ConvNeXt", "DINOv2", "MAE", "SigLIP2", "CLIP")]
    common = dict.fromkeys([*spaces, "fdr6"], "2.00") | {"is": "", "n_samples": "50000", "source": "FD-loss paper"}
    fids = {"SiT-XL/2": "2.12", "RAEv2 (K=7), 80 epochs": "1.06 (gFID reported)"}
    rows = [{**common, "method": method, "fid": fid} for method, fid in fids.items()]
    assert write(tmp_path / "fdr6.csv", fdr6(rows)) == 2
    told = {row.method: (row.fid, row.evidence) for row in read_rows(FdrRow, tmp_path / "fdr6.csv")}
    assert told == {"sit": (2.12, "secondary"), "raev2": (1.06, "repository")}
    printed = [
        {
            "method": "REG",
            "total_epochs": "800",
            "gFID_reported": "1.5",
            "source": "x",
            "epochs_to_unguided_gFID_le_2": text,
        }
        for text in (">800", "560", "(not given)")
    ]
    write(tmp_path / "epochs-to-fid2.csv", epochs(printed))
    found = [(row.epochs, row.bound) for row in read_rows(EpochsRow, tmp_path / "epochs-to-fid2.csv")]
    assert found == [(800, ">"), (560, None), (None, None)]


def test_the_same_figure_twice_is_written_once(tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS, "") | {"method": "DiT", "dataset": "ImageNet", "fid": "2", "source": "DiT paper"}
    assert write(tmp_path / "figures-x.csv", figures("dit", [row, row])) == 1
    assert read_rows(Figure, tmp_path / "figures-x.csv")[0].method == "dit"
