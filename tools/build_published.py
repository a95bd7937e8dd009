"""Normalise collected tables of published figures:  uv run python -m tools.build_published FOLDER

FOLDER holds the tables as they were typed from papers, repositories and pages: ``published_dit.csv``,
``published_ar.csv``, ``published_fewstep.csv`` (a row a table row), ``fdr6_published.csv``, ``epfid_published.csv``,
``irepa_encoders.csv``, ``irepa_scatter_digitized.csv`` and ``measured_cost_fewstep.csv``. What comes out lies in
``registry/published/``: stable method ids, genbench's metric names, a row a number, read back by the strict readers of
`genbench.published`. It ran once; corrections are made in ``registry/published/`` by hand.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from genbench.published import OUTSIDE, read_rows, row_model
from tools.published_names import (
    DATASETS,
    LABELS,
    METHODS,
    OTHER,
    OWN_WORDS,
    PROTOCOLS,
    VARIANT_METHODS,
    VARIANT_REFERENCES,
    Component,
)

REGISTRY = Path(__file__).parent.parent / "registry"
EVIDENCE = {
    "rerun": ["rerun"],
    "secondary": ["secondary", "third-party", "aggregator", "cites", "as quoted", "listing", "quoting", "as listed"],
    "issue": ["issue"],
    "repository": ["readme", "repo", "config", "comment in", "project page", "project site"],
    "abstract": ["abstract"],
}
"""What the words of a source or variant say that it is, first match first; the text of a paper is what remains."""

Source = dict[str, str]
Row = dict[str, Any]

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_MODELS = re.compile(r"(\S+) / (\S+)")
_BITS = re.compile(r"([\d.]+)/([\d.]+)")
_RECONSTRUCTION = frozenset({"rfid", "psnr", "ssim", "lpips"})
_NO_PROTOCOL = dict.fromkeys(("n", "labels", "evaluator", "reference"))
"""A cost, or a change, is measured otherwise than the quality of generated images."""
_NO_GENERATOR = dict.fromkeys(("guidance", "sampler", "nfe"))
"""What a tokenizer reconstructs does not depend on the generator of the row."""
_UNCITED = re.compile(
    r"\s*\((?:lib(?:rary)? (?:ids?|text)|id \d+|pages search|see md)[^()]*\)|,? ?\((?:as read )?see md\)"
    r"|;? ?(?:params )?via lib id \d+| ?\(?lib(?:rary)? ids? [\d, ]+\d\)?| read in an earlier search"
)


def figures(table: str, rows: Iterable[Source]) -> Iterator[Row]:
    """The figures of one collected table."""
    for row in (single for printed in rows for single in _unfolded(printed)):
        common = {**_common(table, row), **_settings(row)}
        image = common["conditioning"] == "image"
        for column in ("fid", "sfid", "is", "precision", "recall"):
            if row[column]:
                metric = "rfid" if image and column == "fid" else column
                yield {**common, "metric": metric, **_value(row[column])}
        yield from _others(common, row)


def _unfolded(row: Source) -> Iterator[Source]:
    """``MAGE-B / MAGE-L`` with one quantity and two values is two rows."""
    values, models = row["other_value"].split("; "), _MODELS.search(row["variant"])
    if ";" in row["other_metric"] or len(values) == 1 or models is None:
        yield row
        return
    for value, model in zip(values, models.groups(), strict=True):
        yield {**row, "variant": row["variant"].replace(models[0], model), "other_value": value}


def _common(table: str, row: Source) -> Row:
    """What the figures of a table row share."""
    note = [row["note"]] if row.get("note") else []
    dataset, conditioning, n = DATASETS[row["dataset"]]
    lowered = f"{row['variant']} {row['guidance']}".lower()
    if dataset == "imagenet" and ("uncond" in lowered or row["method"] in {"MAGE", "ADDP"}):
        conditioning = "none"
    resolution = row["resolution"]
    if resolution == "384->256":
        resolution = "256"
        note.append("sampled at 384 px, resized to 256 px")
    if row["epochs"] and not _NUMBER.fullmatch(row["epochs"]):
        note.append(f"epochs printed as {row['epochs']}")
    if row["nfe"] and not row["nfe"].isdigit():
        note.append(f"NFE {row['nfe']}")
    method = _method(table, row)
    common: Row = {
        "method": method,
        "system": row["method"],
        "variant": row["variant"],
        "dataset": dataset,
        "conditioning": conditioning,
        "resolution": resolution,
        "n": n,
        "guidance": row["guidance"].strip("'"),
        "sampler": row["sampler"],
        "nfe": row["nfe"] if row["nfe"].isdigit() else "",
        "parameters": f"{float(row['params_m']) * 1e6:.0f}" if row["params_m"] else "",
        "epochs": _total(row["epochs"]),
        "iterations": row["iterations"],
        "evidence": _evidence(method, row),
        "source": _cited(row["source"]),
    }
    common |= _protocol(method, common)
    common["labels"] = _labels(method, common, f"{row['variant']} {row['source']}")
    if "10k images" in row["source"]:
        common["n"] = 10_000
    for part, reference in VARIANT_REFERENCES.items():
        if part in row["variant"]:
            common["reference"] = reference
    return {**common, "note": "; ".join(note)}


def _method(table: str, row: Source) -> str:
    name = row["method"]
    for part, method in VARIANT_METHODS.get(name, {}).items():
        if part in row["variant"]:
            return method
    return METHODS.get((table, name)) or METHODS.get(name) or re.sub(r"[ /]+", "-", name.lower())


def _total(epochs: str) -> str:
    """``200 RDM + 800 MAGE`` is 1000, ``180(170+10)`` is 180."""
    numbers = _NUMBER.findall(epochs.partition("(")[0].replace("+", " "))
    return f"{sum(map(float, numbers)):g}" if numbers else ""


def _evidence(method: str, row: Source) -> str:
    text = f"{row['source']} {row['variant']}".lower()
    kind = next((kind for kind, words in EVIDENCE.items() if any(word in text for word in words)), "paper")
    if kind not in {"paper", "repository"} or _of_the_authors(method, row):
        return kind
    return "rerun" if "re-evaluation" in text or "re-sampled" in text else "secondary"


def _of_the_authors(method: str, row: Source) -> bool:
    """Whether the source is called after the method: ``LTH14/mar`` is MAR's own, ``REPA-E paper`` is not REPA's."""
    names = {method, row["method"].partition(" (")[0], OWN_WORDS.get(method, method)}
    patterns = [r"[\W_]*".join(re.escape(part) for part in re.split(r"[\W_]+", name) if part) for name in names]
    own = any(re.search(rf"(?<![a-z0-9])(?:{p})(?!-?[a-z0-9+])", row["source"], re.IGNORECASE) for p in patterns)
    return own or "abstract" in row["source"] or method == "imagenet-val"


def _cited(source: str) -> str:
    text = _UNCITED.sub("", source)
    text = text.replace("from seed abstract", "the paper's abstract").replace("seed abstract", "the paper's abstract")
    text = text.replace("figure seen in earlier search result, source id not kept", "a figure, not named")
    text = re.sub(r"\s+", " ", re.sub(r" +([;,])", r"\1", text)).strip(" ;,:")
    text = text.replace("secondary, secondary", "secondary").replace("secondary: table in", "secondary: a table")
    return "secondary, not named" if text == "secondary" else text


def _protocol(method: str, common: Row) -> Row:
    """How the authors measured, where they state it and the number is theirs."""
    if common["evidence"] not in {"paper", "abstract", "repository"} or common["conditioning"] == "image":
        return {}
    return PROTOCOLS.get((method, common["dataset"], common["resolution"]), {})


def _labels(method: str, common: Row, told: str) -> str:
    """How classes were drawn: what the row tells, else what the authors do where the number is theirs."""
    if "class-balanced" in told or "random labels" in told:
        return "balanced" if "class-balanced" in told else "uniform"
    theirs = common["evidence"] in {"paper", "abstract", "repository"} and common["conditioning"] == "class"
    return LABELS.get(method, "") if theirs and common["dataset"] == "imagenet" else ""


def _value(text: str) -> Row:
    """A number, or a limit: ``<2`` and ``3-4`` (at least 3)."""
    if text.startswith("<"):
        return {"value": text[1:], "bound": "<"}
    low, dash, _ = text.rstrip("x%").partition("-") if text[0] != "-" else (text.rstrip("x%"), "", "")
    return {"value": low, "bound": ">=" if dash else ""}


def _parts(row: Source) -> list[tuple[Component, str]]:
    """What ``other_metric`` and ``other_value`` hold: names and values that ``;`` separates."""
    names, values = row["other_metric"].split(";"), row["other_value"].split(";")
    pairs = [(name.strip(), value.strip()) for name, value in zip(names, values, strict=True)]
    return [(OTHER[name], value) for name, value in pairs if value]


def _settings(row: Source) -> Row:
    """The parts that say how the figures of the row came about."""
    settings: Row = {}
    for component, value in _parts(row):
        if component.metric == "bits":
            bits = _BITS.fullmatch(value)
            settings["weight_bits"], settings["activation_bits"] = bits.groups() if bits else (value, "")
        elif component.metric == "reference":
            settings |= {"evaluator": "torch-fidelity", "reference": "imagenet-val"}
    return settings


def _others(common: Row, row: Source) -> Iterator[Row]:
    """The parts that are figures."""
    for component, printed in _parts(row):
        if component.metric not in {"bits", "reference"}:
            for number in printed.split(" -> "):
                yield _other(common, component, number, printed)


def _other(common: Row, component: Component, number: str, printed: str) -> Row:
    value = _value(number)
    if component.scale != 1:
        value["value"] = f"{float(value['value']) * component.scale:.10g}"
    arrow = f"printed as {printed}" if "->" in printed else ""
    told = "; ".join(filter(None, [common["note"], component.note, arrow]))
    variant = f"{common['variant']}{component.suffix}"
    row = {**common, "metric": component.metric, **value, **component.bits, "variant": variant, "note": told}
    if component.metric in OUTSIDE:
        return row | _NO_PROTOCOL
    if component.metric in _RECONSTRUCTION and common["conditioning"] != "image":
        return row | _NO_PROTOCOL | _NO_GENERATOR | {"conditioning": "image"}
    return row


def fdr6(rows: Iterable[Source]) -> Iterator[Row]:
    """The table of FDr^6."""
    own = {"fd-loss": "paper", "imagenet-val": "paper", "raev2": "repository"}
    for row in rows:
        fid, _, told = row["fid"].partition(" ")
        method = METHODS.get(row["method"]) or METHODS[row["method"].partition(",")[0].partition(" (")[0]]
        yield {
            "method": method,
            "system": row["method"],
            "inception": row["fdr_Inception"],
            "convnext": row["fdr_ConvNeXt"],
            "dinov2": row["fdr_DINOv2"],
            "mae": row["fdr_MAE"],
            "siglip2": row["fdr_SigLIP2"],
            "clip": row["fdr_CLIP"],
            "fdr6": row["fdr6"],
            "fid": fid,
            "inception_score": row["is"],
            "n": row["n_samples"],
            "dataset": "imagenet",
            "resolution": "256",
            "evidence": own.get(method, "secondary"),
            "source": row["source"],
            "note": "the FID is the one that the source calls reported" if told else "",
        }


def epochs(rows: Iterable[Source]) -> Iterator[Row]:
    """The table of EP_FID@2."""
    for row in rows:
        printed = row["epochs_to_unguided_gFID_le_2"]
        yield {
            "method": METHODS.get(row["method"]) or METHODS[row["method"].partition(" (")[0]],
            "system": row["method"],
            "total_epochs": row["total_epochs"],
            "epochs": printed.lstrip(">") if printed.lstrip(">").isdigit() else "",
            "bound": ">" if printed.startswith(">") else "",
            "fid": row["gFID_reported"],
            "source": row["source"],
        }


def encoders(rows: Iterable[Source]) -> Iterator[Row]:
    """iREPA's tables of encoders."""
    printed = {"table": "table", "table-in-figure": "table in a figure", "text": "text"}
    for row in rows:
        yield {
            "encoder": row["encoder"],
            "code_name": row["code_name"],
            "linear_probe": row["lp_acc_pct"],
            **{name: row[name] for name in ("lds", "cds", "srss", "rmsc")},
            "fid": row["gfid"],
            "sfid": row["sfid"],
            "inception_score": row["is"],
            "precision": row["prec"],
            "recall": row["rec"],
            "cmmd": row["cmmd"],
            "generator": row["gen_model"],
            "iterations": row["train_steps"],
            "alignment": row["align_method"],
            "guidance": "" if row["guidance"] == "none" else row["guidance"],
            "printed": printed[row["value_type"]],
            "source": row["source"],
            "note": row["note"],
        }


def scatter(rows: Iterable[Source]) -> Iterator[Row]:
    """The digitised points of iREPA's study."""
    for row in rows:
        yield {
            "point": row["point"],
            "encoder": row["encoder_if_identified"],
            "identified_by": row["identification_basis"],
            "linear_probe": row["lp_acc_pct"],
            **{name: row[name] for name in ("lds", "cds", "srss", "rmsc")},
            "fid": row["gfid"],
            "overlapping": row["overlap_flag"],
            "generator": row["gen_model"],
            "iterations": row["train_steps"],
            "source": row["source"].partition("; overlap_flag")[0],
        }


def costs(rows: Iterable[Source]) -> Iterator[Row]:
    """Parameters and multiply-accumulates of networks; ``same`` refers to the row before."""
    counted = ""
    for row in rows:
        counted = row["how"] if row["how"] != "same" else counted
        yield {
            "network": row["network"],
            "input": row["input"],
            "parameters": f"{float(row['params_m']) * 1e6:.0f}",
            "macs": f"{float(row['gmac_per_forward']) * 1e9:.0f}",
            "counted_on": counted,
            "note": row["note"],
        }


TABLES: dict[str, tuple[str, Callable[[Iterable[Source]], Iterator[Row]]]] = {
    "figures-transformers.csv": ("published_dit.csv", lambda rows: figures("dit", rows)),
    "figures-tokens.csv": ("published_ar.csv", lambda rows: figures("ar", rows)),
    "figures-few-step.csv": ("published_fewstep.csv", lambda rows: figures("fewstep", rows)),
    "fdr6.csv": ("fdr6_published.csv", fdr6),
    "epochs-to-fid2.csv": ("epfid_published.csv", epochs),
    "irepa-encoders.csv": ("irepa_encoders.csv", encoders),
    "irepa-scatter.csv": ("irepa_scatter_digitized.csv", scatter),
    "network-costs.csv": ("measured_cost_fewstep.csv", costs),
}


def write(path: Path, rows: Iterable[Row]) -> int:
    """Write rows in the columns of the file's reader, each once, and read them back; returns their number."""
    model = row_model(path)
    columns = list(model.model_fields)
    once = dict.fromkeys(tuple(str(row.get(column) or "").strip() for column in columns) for row in rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(once)
    return len(read_rows(model, path))


if __name__ == "__main__":
    for name, (collected, normalise) in TABLES.items():
        with (Path(sys.argv[1]) / collected).open(encoding="utf-8", newline="") as file:
            print(f"{name}: {write(REGISTRY / 'published' / name, normalise(csv.DictReader(file)))} rows")
