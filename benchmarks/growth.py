"""Processor seconds and memory of the statistics against the number of images, in one process.

    uv run --extra report python benchmarks/growth.py [--n 1000 10000 50000] [--work …] [--figure growth.svg]

Features are those of `metrics_speed.py`, 2,048 wide, and class scores 1,008 wide. Processor seconds, of all
threads, depend little on what else the machine does. `exponent` is the slope of their logarithm between the two largest
n: 1 is linear in the number of images, 2 quadratic. What compares all pairs, KD and precision and its kin, cannot be
linear; it is measured up to `--pairs` images.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from compare import Cost, measured
from metrics_speed import features

from genbench.metrics.balls import IMPROVED, PRDC
from genbench.metrics.frechet import frechet_distance, frechet_distance_of_moments
from genbench.metrics.inception_score import inception_score
from genbench.metrics.kernel import kernel_distance, kernel_distance_of_subsets
from genbench.metrics.mind import monge_distance
from genbench.metrics.moments import Moments
from genbench.metrics.neighbours import sweep

D = 2048
SCORES = 1008
_BATCH = 2000


class Sides(NamedTuple):
    """Features of as many generated images as of the reference."""

    generated: np.ndarray
    reference: np.ndarray
    moments: Moments
    """Of the reference, its factor computed."""


class Work(NamedTuple):
    """One statistic."""

    name: str
    call: Callable[[Sides], object]
    pairs: bool = False
    """Whether every image is compared with every other."""


def moments_in_batches(sides: Sides) -> float:
    """FD of moments added up batch by batch, the value alone; a run takes the next, of all features at once."""
    total = Moments.from_features(sides.generated[:_BATCH])
    for start in range(_BATCH, len(sides.generated), _BATCH):
        total = total + Moments.from_features(sides.generated[start : start + _BATCH])
    return frechet_distance_of_moments(total, sides.moments)


def scores(sides: Sides) -> float:
    """IS of columns of the features, as wide as class scores."""
    return inception_score(sides.generated[:, :SCORES]).value


WORKS = (
    Work("FD, moments alone", moments_in_batches),
    Work("FD with its standard error", lambda sides: frechet_distance(sides.generated, sides.moments)),
    Work("IS", scores),
    Work("KD, 100 subsets of 1,000", lambda sides: kernel_distance_of_subsets(sides.generated, sides.reference)),
    Work("MIND", lambda sides: monge_distance(sides.generated, sides.reference)),
    Work("KD, all pairs", lambda sides: kernel_distance(sides.generated, sides.reference), pairs=True),
    Work("P/R/D/C", lambda sides: sweep(sides.generated, sides.reference, [IMPROVED, PRDC]), pairs=True),
)


class Point(NamedTuple):
    """One statistic of so many images on each side."""

    work: str
    n: int
    cost: Cost


def points(works: Sequence[Work], sizes: Sequence[int], most_pairs: int) -> Iterator[Point]:
    """Every statistic at every size, the smallest size first."""
    for n in sorted(sizes):
        reference = features(n, D, generated=False)
        moments = Moments.from_features(reference)
        _ = moments.factor
        sides = Sides(features(n, D, generated=True), reference, moments)
        for work in works:
            if work.pairs and n > most_pairs:
                continue
            yield Point(work.name, n, measured(lambda work=work, sides=sides: work.call(sides))[1])


def exponent(curve: Sequence[Point]) -> float:
    """Slope of log processor time against log n between the last two points, NaN for one point."""
    if len(curve) < 2:
        return math.nan
    before, last = curve[-2:]
    return math.log(last.cost.cpu_seconds / before.cost.cpu_seconds) / math.log(last.n / before.n)


def by_work(found: Sequence[Point]) -> dict[str, list[Point]]:
    """Points of each statistic, in the order of n."""
    curves: dict[str, list[Point]] = {}
    for point in found:
        curves.setdefault(point.work, []).append(point)
    return curves


def draw(found: Sequence[Point], path: Path) -> None:
    """Processor seconds and memory against n on logarithmic axes, with lines that are linear and quadratic in n."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "growth"  # the same bytes for the same points
    figure = Figure(figsize=(9, 4), layout="constrained")
    seconds, memory = figure.subplots(1, 2)
    for name, curve in by_work(found).items():
        sizes = [point.n for point in curve]
        (line,) = seconds.plot(sizes, [point.cost.cpu_seconds for point in curve], marker="o", label=name)
        memory.plot(sizes, [max(point.cost.extra_mib, 1) for point in curve], marker="o", color=line.get_color())
    sizes = np.array(sorted({point.n for point in found}))
    start = min(point.cost.cpu_seconds for point in found)
    for power, style in ((1, ":"), (2, "--")):
        seconds.plot(sizes, start * (sizes / sizes[0]) ** power, style, color="grey", label=f"n^{power}")
    seconds.set_ylabel("processor seconds")
    memory.set_ylabel("MiB beyond the features (1 at least)")
    for axis in (seconds, memory):
        axis.set(xscale="log", yscale="log", xlabel="images on each side")
    figure.legend(loc="outside right center", fontsize="small")
    figure.savefig(path, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)


def table(found: Sequence[Point]) -> Iterator[str]:
    """Lines of a Markdown table: a statistic a row, processor seconds and MiB for each n."""
    sizes = sorted({point.n for point in found})
    yield "| statistic | " + " | ".join(f"n = {n:,}" for n in sizes) + " | exponent |"
    yield "|---|" + "--:|" * (len(sizes) + 1)
    for name, curve in by_work(found).items():
        cells = {point.n: f"{point.cost.cpu_seconds:.2f} s, {point.cost.extra_mib:.0f} MiB" for point in curve}
        slope = exponent(curve)
        row = [cells.get(n, "") for n in sizes] + ["" if math.isnan(slope) else f"{slope:.2f}"]
        yield f"| {name} | " + " | ".join(row) + " |"


def main() -> None:
    """Read the options, measure, print the table."""
    names = [work.name for work in WORKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 10_000, 50_000], help="images on each side")
    parser.add_argument("--pairs", type=int, default=10_000, help="most images of what compares all pairs")
    parser.add_argument("--work", nargs="*", choices=names, default=names)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--figure", type=Path, help="draw it, as SVG or PNG by the name")
    parser.add_argument("--json", action="store_true", help="points as JSON lines instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = list(points([work for work in WORKS if work.name in options.work], options.n, options.pairs))
    for point in found if options.json else ():
        print(json.dumps({"work": point.work, "n": point.n, **point.cost._asdict()}))
    for line in () if options.json else table(found):
        print(line)
    if options.figure:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
