"""Commands that say what there is: `list` and `show`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from genbench.cli.options import CacheOption, RegistryOption, ResultsOption, SuitesOption
from genbench.cli.output import print_cells, print_rows
from genbench.cli.store_commands import FormatOption, open_store
from genbench.errors import UsageError, unknown
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.report.tables import Format


class Kind(StrEnum):
    """What can be listed."""

    METHODS = "methods"
    SUITES = "suites"
    METRICS = "metrics"
    SPACES = "spaces"
    RUNS = "runs"
    PUBLISHED = "published"


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.METHODS,
    *,
    form: FormatOption = Format.TABLE,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
    results: ResultsOption = None,
) -> None:
    """List methods (with their presets), suites, metrics, feature spaces, runs with records, or published figures.

    Methods that genbench cannot run are in `list published`: images that their authors' code made can be scored.
    """
    rows: list[tuple[Any, ...]]
    if kind is Kind.METHODS:
        columns, rows = _methods(registry)
    elif kind is Kind.SUITES:
        columns, rows = _suites(suites)
    elif kind is Kind.METRICS:
        columns, rows = _metrics()
    elif kind is Kind.SPACES:
        columns, rows = _spaces()
    elif kind is Kind.PUBLISHED:
        columns, rows = _published(registry)
    else:
        columns, rows = _runs(results, registry, suites)
    print_rows(columns, rows, form)


def _methods(registry: Path | None) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    from genbench.cards import load_cards, variants

    known = variants(load_cards(data_folders("registry", registry)))
    rows = [
        (f"{name}@{preset}", card.method.name, variant.dataset, variant.resolution, preset == variant.default_preset)
        for name, (card, variant) in known.items()
        for preset in variant.presets
    ]
    return ("run", "method", "dataset", "resolution", "default"), rows


def _suites(suites: Path | None) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    from genbench.suites import load_suite, suite_files

    loaded = [load_suite(path) for path in suite_files(data_folders("suites", suites)).values()]
    rows = [
        (s.id, s.dataset, s.resolution, s.images, getattr(s, "blocks", 1), getattr(s, "labels", None), s.title)
        for s in loaded
    ]
    return ("suite", "dataset", "resolution", "images", "blocks", "labels", "title"), rows


def _metrics() -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    from genbench.metrics.catalog import METRICS

    rows = [(m.name, m.id, m.statistic.direction, m.statistic.title) for m in METRICS]
    return ("metric", "id", "better", "what"), rows


def _spaces() -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    from genbench.features.spaces import SPACES

    return ("space", "width", "summary"), [(s.name, s.width, s.summary) for s in SPACES.values()]


def _published(registry: Path | None) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    from genbench.cards import load_cards
    from genbench.published import load_figures
    from genbench.report.literature import OVERVIEW, overview

    folders = data_folders("registry", registry)
    return OVERVIEW, overview(load_figures(folders), load_cards(folders))


def _runs(
    results: Path | None, registry: Path | None, suites: Path | None
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    with open_store(results, registry, suites) as store:
        answer = store.query("SELECT suite, run, precision, block, n, created, record_id FROM runs ORDER BY ALL")
    return answer.columns, answer.rows


def show(
    kind: Annotated[str, typer.Argument(help="method, suite, metric, space, run, published, or environment.")],
    name: Annotated[str | None, typer.Argument(help="Which one; `genbench list` has the names.")] = None,
    *,
    form: Annotated[Format, typer.Option("--format", help="How published figures are printed.")] = Format.TABLE,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
    results: ResultsOption = None,
    cache: CacheOption = None,
) -> None:
    """Show everything about one method, suite, metric, feature space or run, or about this environment, as JSON.

    `show published METHOD` is a table of what the literature prints of a method; csv and json give every column.
    """
    known = ("method", "suite", "metric", "space", "run", "published", "environment")
    if kind not in known:
        raise unknown("thing to show", kind, known)
    if kind == "environment":
        if name is not None:
            raise UsageError(f"there is one environment, and none named {name!r}", hint="`genbench show environment`")
        _print(_environment(registry, suites, results, cache))
        return
    if name is None:
        lister = "published" if kind == "published" else f"{kind}s"
        raise UsageError(f"which {kind}?", hint=f"`genbench list {lister}` has the names")
    if kind == "method":
        _print(_method(name, registry))
    elif kind == "suite":
        from genbench.suites import find_any_suite

        _print(find_any_suite(name, data_folders("suites", suites)).model_dump(mode="json"))
    elif kind == "metric":
        _print(_metric(name))
    elif kind == "space":
        _print(_space(name))
    elif kind == "published":
        _print_published(name, registry, form)
    else:
        _print(_run(name, results))


def _print_published(name: str, registry: Path | None, form: Format) -> None:
    from genbench.cards import load_cards
    from genbench.published import Figure, figures_of, load_figures
    from genbench.report import literature

    folders = data_folders("registry", registry)
    figures = figures_of(name, load_figures(folders))
    if form in {Format.CSV, Format.JSON}:
        columns = tuple(Figure.model_fields)
        print_rows(columns, [tuple(figure.model_dump().values()) for figure in figures], form)
    else:
        notes = literature.notes(load_cards(folders).get(name))
        print_cells(literature.HEADINGS, literature.cells(figures), form, notes=notes)


def _print(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _method(name: str, registry: Path | None) -> dict[str, Any]:
    from genbench.cards import load_cards, variants

    cards = load_cards(data_folders("registry", registry))
    if name in cards:
        return cards[name].model_dump(mode="json", exclude_none=True)
    known = variants(cards)
    if name not in known:
        raise unknown("method", name, {*cards, *known}, lister="genbench list methods")
    card, variant = known[name]
    return {
        "method": card.method.model_dump(mode="json", exclude_none=True),
        "variant": name,
        **variant.model_dump(mode="json", exclude_none=True),
    }


def _metric(name: str) -> dict[str, Any]:
    from genbench.features import spaces
    from genbench.metrics.catalog import parse

    metric = parse(name)
    statistic = metric.statistic
    return {
        "metric": metric.name,
        "id": metric.id,
        "statistic": statistic.title,
        "source": statistic.source,
        "version": statistic.version,
        "better": statistic.direction,
        "stderr": statistic.stderr,
        "bias": statistic.bias,
        "cost": statistic.cost,
        "reference_needs": sorted(statistic.needs),
        "spaces": [spaces.get(space).name for space in metric.spaces],
    }


def _space(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from genbench.features import spaces

    space = spaces.get(name)
    return {**asdict(space), "width": space.width, "digest": space.digest}


def _run(name: str, results: Path | None) -> dict[str, Any]:
    from genbench.records import read_record, record_files

    folder = results_folder(results)
    files = {path.stem: path for path in record_files(folder)}
    newest = {path.parent.name: path for path in files.values()}
    path = files.get(name) or newest.get(name)
    if path is None:
        raise unknown("run or record", name, {*newest, *files}, where=str(folder), lister="genbench list runs")
    return read_record(path).model_dump(mode="json")


def _environment(
    registry: Path | None, suites: Path | None, results: Path | None, cache: Path | None
) -> dict[str, Any]:
    import torch

    from genbench import provenance

    devices = ["cpu", *(f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))]
    return {
        **provenance.collect("cpu").model_dump(mode="json", exclude={"argv", "device"}),
        "devices": devices,
        "registry": [str(folder) for folder in data_folders("registry", registry)],
        "suites": [str(folder) for folder in data_folders("suites", suites)],
        "results": str(results_folder(results).resolve()),
        "cache": str(cache_folder(cache)),
    }
