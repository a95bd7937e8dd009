"""Figures of the report: what the store is asked, and what is drawn of the answer."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from genbench.records import ContributionFacts
from genbench.report.figures import agreement, classes, correlogram, quality_cost, sample_size, training
from genbench.report.figures.canvas import DARK, LETTERS, LIGHT, NAMED, SERIES, WIDTH, Ink, plain_ticks, render
from genbench.report.figures.chart import Chart, Scope, literal, records
from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add

FD = "fd@inception-tf"
RUNS = ("toy@ode", "toy@sde", "toy@far")


@pytest.fixture
def results(tmp_path: Path, add: Add) -> Path:
    """Three runs of two metrics, one of them also on fewer images, with contributions of two classes."""
    fids, precisions = (20.0, 30.0, 40.0), (0.5, 0.7, 0.5)
    for number, (run, fid, precision) in enumerate(zip(RUNS, fids, precisions, strict=True)):
        contributions = tuple(
            ContributionFacts(metric=FD, label=label, name=name, n=128, contribution=value, stderr=1.0)
            for label, name, value in ((0, "cat", fid), (1, "dog", -fid))
        )
        add(
            tmp_path,
            number,
            run,
            {FD: (fid, 1.0), "precision@inception-tf": (precision, 0.1)},
            contributions=contributions,
            costs={"nfe": 10 * (3 - number)},
        )
    add(tmp_path, 9, "toy@ode", {FD: (35.0, 2.0)}, n=64, limited=True)
    return tmp_path


SCOPE = Scope("quick", "exact", FD, FD, 256)


def ask(chart: Chart, results: Path, scope: Scope = SCOPE) -> list[dict[str, Any]]:
    with Store.open(results) as store:
        return [dict(row) for row in records(store.query(scope.fill(chart.sql)))]


def words(chart: Chart, rows: list[dict[str, Any]], runs: tuple[str, ...] = RUNS) -> list[str]:
    """What is written in a figure: outlined letters are preceded by a comment with the text."""
    drawing = render(chart.draw, rows, Ink(LIGHT, runs))
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    comments = ET.fromstring(drawing.svg, parser).iter(ET.Comment)  # type: ignore[arg-type]
    return [str(comment.text).strip() for comment in comments]


def test_text_becomes_a_literal_of_sql() -> None:
    scope = SCOPE._replace(suite="it's {n}")
    assert scope.fill("\nSELECT {suite}, {n}\n") == "SELECT 'it''s {n}', 256"
    assert literal("''") == "''''''"


def test_the_best_runs_have_a_look_of_their_own() -> None:
    ink = Ink(LIGHT, tuple(f"toy@{number}" for number in range(NAMED + 2)))
    own = [ink.style(run) for run in ink.runs[:NAMED]]
    first = own[:SERIES]
    assert len({style.color for style in first}) == len({style.marker for style in first}) == SERIES
    assert len({(style.color, style.marker) for style in own}) == len({(s.color, s.line) for s in own}) == NAMED
    assert ink.style(ink.runs[NAMED]) == ink.style(ink.runs[NAMED + 1]) == ink.style("unknown")


def test_prominent_runs_are_named_wherever_they_stand() -> None:
    runs = tuple(f"toy@{number}" for number in range(NAMED + 2))
    ink = Ink(LIGHT, runs, prominent=frozenset(runs[-1:]))
    assert (ink.label(runs[-1]), ink.label(runs[-2])) == ("17", "other runs")
    assert ink.style(runs[-1]) not in [ink.style(run) for run in runs[:-1]]
    assert ink.style(runs[0]) == Ink(LIGHT, runs).style(runs[0])


@pytest.mark.parametrize(
    ("runs", "name"),
    [(("toy@ode", "toy@sde"), "ode"), (("toy@ode", "other@sde"), "toy@ode"), (("toy@ode",), "toy@ode")],
)
def test_the_variant_is_left_out_where_all_runs_have_the_same(runs: tuple[str, ...], name: str) -> None:
    assert Ink(LIGHT, runs).name("toy@ode") == name


def test_names_that_are_long_keep_their_end() -> None:
    path = "/a/very/long/path/to/a/folder/below/other/folders/of/images"
    assert len(Ink(LIGHT, (path,)).name(path)) == LETTERS
    assert path.endswith(Ink(LIGHT, (path,)).name(path).removeprefix("…"))


def test_agreement_is_spearmans_rank_correlation_with_ties(results: Path) -> None:
    rows = ask(agreement.CHART, results)
    # Two runs share a precision: scipy gives ties their mean rank. Higher precision is better, hence its sign.
    expected = spearmanr([20.0, 30.0, 40.0], [-0.5, -0.7, -0.5]).statistic
    values = {(row["metric"], row["other"]): row["spearman"] for row in rows}
    assert values[FD, "precision@inception-tf"] == pytest.approx(expected)
    assert values[FD, FD] == pytest.approx(1)
    assert {row["runs"] for row in rows} == {3}
    assert agreement.CHART.enough(rows)
    assert "+1.00" in words(agreement.CHART, rows)


def test_a_metric_that_is_the_same_for_every_run_agrees_with_none(tmp_path: Path, add: Add) -> None:
    for number, run in enumerate(RUNS):
        add(tmp_path, number, run, {FD: (number, 1.0), "precision@inception-tf": (0.5, 0.1)})
    rows = ask(agreement.CHART, tmp_path)
    assert len(rows) == 4
    assert "nan" not in words(agreement.CHART, rows)
    assert words(agreement.CHART, rows).count("+1.00") == 1


def test_agreement_of_two_runs_says_nothing(tmp_path: Path, add: Add) -> None:
    for number in range(2):
        add(tmp_path, number, RUNS[number], {FD: (number, 1.0), "precision@inception-tf": (number, 0.1)})
    rows = ask(agreement.CHART, tmp_path)
    assert not agreement.CHART.enough(rows)


def test_the_distance_against_images_has_smoke_runs_too(results: Path) -> None:
    rows = ask(sample_size.CHART, results)
    assert [(row["run"], row["n"], row["value"]) for row in rows] == [("toy@ode", 64, 35.0), ("toy@ode", 256, 20.0)]
    assert {"64", "256", "ode"} <= set(words(sample_size.CHART, rows))


def test_blocks_are_averaged(tmp_path: Path, add: Add) -> None:
    for block, value in enumerate((10.0, 14.0)):
        add(tmp_path, block, "toy@ode", {FD: (value, 3.0)}, block=block)
    assert ask(sample_size.CHART, tmp_path) == [], "one number of images is no curve"
    add(tmp_path, 2, "toy@ode", {FD: (20.0, 3.0)}, n=64, limited=True)
    _, row = ask(sample_size.CHART, tmp_path)
    assert (row["value"], row["blocks"]) == (12.0, 2)
    assert row["stderr"] == pytest.approx(math.sqrt(18) / 2)


def test_only_the_best_runs_have_their_classes_in_the_report(tmp_path: Path, add: Add) -> None:
    contribution = ContributionFacts(metric=FD, label=0, name="cat", n=128, contribution=1.0, stderr=None)
    for number in range(26):
        add(tmp_path, number, f"toy@{number}", {FD: (number, 1.0)}, contributions=(contribution,))
    assert {row["run"] for row in ask(classes.CHART, tmp_path)} == {f"toy@{number}" for number in range(24)}


def test_values_over_a_decade_are_drawn_on_a_logarithmic_axis() -> None:
    rows = [
        {"run": run, "metric": FD, "cost_kind": "nfe", "device": None, "cost": cost, "value": value, "stderr": 0.1}
        | {"on_front": True}
        for run, cost, value in zip(RUNS, (1, 25, 250), (2.0, 40.0, 300.0), strict=True)
    ]
    assert {"1", "25", "250", "2", "40", "300"} <= set(words(quality_cost.CHART, rows))


def test_quality_and_cost(results: Path) -> None:
    rows = ask(quality_cost.CHART, results)
    fronts = {row["run"]: row["on_front"] for row in rows if row["cost_kind"] == "nfe"}
    assert fronts == dict.fromkeys(RUNS, True), "each is better and dearer than the next"
    assert {"ode", "sde", "far", "FID"} <= set(words(quality_cost.CHART, rows))


def test_a_run_on_the_front_is_named_however_many_are_better() -> None:
    """The cheapest run may be the worst."""
    runs = tuple(f"toy@{number}" for number in range(NAMED + 4))
    rows = [
        {"run": run, "metric": FD, "cost_kind": "nfe", "device": None, "cost": 100 - place, "value": 1.0 + place}
        | {"stderr": 0.1, "on_front": place in {0, len(runs) - 1}}
        for place, run in enumerate(runs)
    ]
    written = words(quality_cost.CHART, rows, runs)
    assert str(len(runs) - 1) in written
    assert str(len(runs) - 2) not in written
    assert written.count("other runs") == 1


def test_a_legend_does_not_cut_the_names_of_runs() -> None:
    runs = ("lightningdit-emoji32@ode25-cfg2", "sit@ode")
    rows = [{"run": run, "metric": FD, "n": n, "value": 1.0, "stderr": 0.1} for run in runs for n in (64, 256)]
    assert set(runs) <= set(words(sample_size.CHART, rows, runs))


def test_runs_without_a_name_share_an_entry_of_the_legend() -> None:
    runs = tuple(f"toy@{number}" for number in range(NAMED + 3))
    rows = [{"run": run, "metric": FD, "n": n, "value": 1.0, "stderr": 0.1} for run in runs for n in (64, 256)]
    written = words(sample_size.CHART, rows, runs)
    assert written.count("other runs") == 1
    assert [text for text in written if text.isdigit() and int(text) < 20] == [str(n) for n in range(NAMED)]


def test_class_contributions_are_written_into_cells(results: Path) -> None:
    rows = ask(classes.CHART, results)
    assert {(row["run"], row["class"], row["contribution"]) for row in rows} >= {
        ("toy@far", "cat", 40.0),
        ("toy@ode", "dog", -20.0),
    }
    written = words(classes.CHART, rows)
    assert {"cat", "dog", "+40", "\N{MINUS SIGN}20"} <= set(written)
    assert written[-3:] == ["\N{MINUS SIGN}40", "0", "+40"], "the scale of the colours"


def test_a_heat_map_is_as_wide_as_its_numbers_need() -> None:
    metrics = [f"fd@a-space-of-a-long-name-{number}" for number in range(12)]
    rows = [{"metric": one, "other": other, "runs": 3, "spearman": 0.25} for one in metrics for other in metrics]
    written = words(agreement.CHART, rows)
    assert written.count("+0.2") == 144
    assert written[-3:] == ["\N{MINUS SIGN}1", "0", "+1"]
    wide, narrow = (render(agreement.draw, part, Ink(LIGHT, RUNS)).width for part in (rows, rows[:2]))
    assert wide > narrow == round(96 * WIDTH)
    many = [{"run": f"toy@{number}", "label": 0, "class": "cat", "contribution": 1234.0} for number in range(60)]
    crowded = Ink(LIGHT, tuple(f"toy@{number}" for number in range(60)))
    assert render(classes.draw, many, crowded).width == narrow, "no width is enough, so no number is written"


def test_of_many_classes_those_that_matter_most_are_drawn() -> None:
    rows = [
        {"run": run, "label": label, "class": f"class {label}", "contribution": float(label if run == RUNS[0] else 0)}
        for label in range(classes.CLASSES + 5)
        for run in RUNS
    ]
    written = words(classes.CHART, rows)
    assert "class 4" not in written
    assert len([text for text in written if text.startswith("class ")]) == classes.CLASSES
    assert "class 5" in written


def test_training_curves_need_checkpoints(results: Path) -> None:
    assert ask(training.CHART, results) == []
    rows = [
        {"training": "t", "variant": f"t-{epochs}", "preset": "ode", "epochs": epochs, "metric": FD}
        | {"value": 50.0 - epochs, "stderr": 1.0}
        for epochs in (10, 20)
    ]
    assert training.CHART.enough(rows)
    assert {"t@ode", "epochs", "FID"} <= set(words(training.CHART, rows))


def test_a_training_curve_has_the_colour_of_its_best_run() -> None:
    runs = tuple(f"{name}-{epochs}@ode" for epochs in (20, 10) for name in "abcdefghij")
    ink = Ink(LIGHT, runs)

    def colours(trainings: str) -> list[str]:
        rows = [
            {"training": name, "variant": f"{name}-{epochs}", "preset": "ode", "epochs": epochs}
            | {"metric": FD, "value": 50.0 - epochs, "stderr": 1.0}
            for name in trainings
            for epochs in (10, 20)
        ]
        figure = training.draw(rows, ink)
        return [container.lines[0].get_color() for container in figure.axes[0].containers]

    assert colours("cba") == [ink.style(f"{name}-20@ode").color for name in "cba"]
    # The first and the ninth run share a colour, of which there is another one left.
    assert colours("ai")[0] == ink.style("a-20@ode").color == ink.style("i-20@ode").color != colours("ai")[1]
    assert len(set(colours("abcdefghij"))) == SERIES


def test_correlograms_are_drawn_against_the_real_one() -> None:
    rows = [
        {"run": run, "distance": distance, "value": 1.0 - distance / 10, "stderr": 0.01}
        for run in (correlogram.REAL, "toy@ode")
        for distance in range(5)
    ]
    chart = Chart("correlogram", "", "", "", correlogram.draw, "")
    assert {"real images", "ode", "less real"} <= set(words(chart, rows))


def test_the_same_rows_give_the_same_file_and_themes_differ(results: Path) -> None:
    rows = ask(quality_cost.CHART, results)
    light, again, dark = (render(quality_cost.draw, rows, Ink(theme, RUNS)) for theme in (LIGHT, LIGHT, DARK))
    assert light == again
    assert LIGHT.series[0] in light.svg.decode()
    assert DARK.series[0] in dark.svg.decode()
    assert LIGHT.series[0] not in dark.svg.decode()
    assert b"<script" not in light.svg
    root = ET.fromstring(light.svg)
    inches = float(root.attrib["width"].removesuffix("pt")) / 72
    assert light.width == pytest.approx(96 * inches, abs=1)


def test_numbers_in_cells_can_be_read_on_every_colour() -> None:
    """WCAG 2 asks for a contrast of 4.5 of small text; colours between the ends are the hardest."""
    from genbench.report.figures.heat import heat_map

    for theme in (LIGHT, DARK):
        values = [step / 4 for step in range(-4, 5)]
        seen: list[Any] = []

        def draw(rows: Any, ink: Ink, values: Any = values, seen: list[Any] = seen) -> Any:
            figure = heat_map([values], ["row"], [str(value) for value in values], ink, limit=1.0, form="+.2f")
            seen.append(figure.axes[0])
            return figure

        render(draw, [], Ink(theme, ()))
        (axis,) = seen
        (image,) = axis.images
        for text, value in zip(axis.texts, values, strict=True):
            behind = image.cmap(image.norm(value))
            assert contrast(text.get_color(), behind) > 4.5, (theme.name, value)


def contrast(one: Any, other: Any) -> float:
    from matplotlib.colors import to_rgb

    def luminance(color: Any) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_numbers_of_a_logarithmic_axis_do_not_stand_in_each_other() -> None:
    axis = Figure().subplots().xaxis
    axis.axes.set_xscale("log")
    plain_ticks(axis, [0.0025, 0.011, 0.09, 0.11, 0.15])
    assert axis.get_majorticklocs().tolist() == [0.0025, 0.011, 0.09, 0.15]
    plain_ticks(axis, [25, 25])
    assert axis.get_majorticklocs().tolist() == [25]
