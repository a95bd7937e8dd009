"""What makes an encoder a good target of representation alignment: the study of iREPA (Singh et al. 2025,
arXiv:2512.10794, Figure 4), from the digitised points of 27 encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import WIDTH, Ink, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SQL = """
WITH scores AS (
    UNPIVOT (SELECT point, encoder, fid, overlapping, lds, cds, srss, rmsc, linear_probe FROM irepa_scatter)
    ON lds, cds, srss, rmsc, linear_probe INTO NAME measure VALUE score
)
SELECT
    measure,
    point,
    encoder,
    score,
    fid,
    list_contains(overlapping, measure) AS uncertain,
    corr(score, fid) OVER (PARTITION BY measure) AS correlation
FROM scores
ORDER BY point
"""
"""A row a point and measure, with Pearson's correlation of the measure with the FID over all points."""

CORRELATIONS = f"""
SELECT measure, any_value(correlation) AS correlation, count(*) AS encoders
FROM ({SQL})
GROUP BY measure
ORDER BY correlation
"""
"""The study as one query: how each measure of an encoder goes with the FID of the generator aligned to it."""

MEASURES = {
    "lds": "LDS, local against distant similarity",
    "cds": "CDS, decay of similarity with distance",
    "srss": "SRSS, similarity within objects",
    "rmsc": "RMSC, spread of the tokens",
    "linear_probe": "linear probe, % of ImageNet",
}
"""Columns of `irepa_scatter` and what axes call them."""

NAMED = ("PE-Core-G", "PE-Spatial-B", "DINOv2-B")
"""Encoders that the text compares: the first has the better probe, the others the better generator."""


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows of `SQL`; a panel a measure. Hollow points lie on others in the published figure: less certain there."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * WIDTH, 1.3 * WIDTH), layout="constrained")
    *axes, last = figure.subplots(2, 3, sharey=True).flat
    for axis, (measure, label) in zip(axes, MEASURES.items(), strict=True):
        _panel(axis, [row for row in rows if row["measure"] == measure], ink)
        axis.set_xlabel(label)
    last.axis("off")
    last.legend(
        *axes[0].get_legend_handles_labels(), loc="center left", frameon=False, title="encoder", alignment="left"
    )
    figure.supylabel("FID of SiT-XL/2 with REPA, 100,000 iterations, unguided", fontsize="medium")
    return figure


def _panel(axis: Axes, rows: Sequence[Record], ink: Ink) -> None:
    named = dict(zip(NAMED, zip(ink.theme.series[1:], "sD^", strict=False), strict=True))
    others = (ink.theme.series[0], "o")
    for row in rows:
        color, marker = named.get(row["encoder"], others)
        axis.plot(
            row["score"],
            row["fid"],
            linestyle="",
            color=color,
            marker=marker,
            markerfacecolor="none" if row["uncertain"] else color,
            label=row["encoder"] if row["encoder"] in named else "",
        )
    axis.set_title(f"r = {rows[0]['correlation']:.3f}")
