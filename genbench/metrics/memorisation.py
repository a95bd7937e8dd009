"""Is the training set given back? AuthPct and C_T; and realism, which asks the same distances for quality.

The reference is the training set. C_T compares with held-out real images.
"""

from __future__ import annotations

import numpy as np
import torch

from genbench.errors import FeatureError
from genbench.metrics.balls import IMPROVED
from genbench.metrics.clusters import nearest_centres, principal_components
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, Float64, check_features, check_width
from genbench.metrics.neighbours import Bools, nearest
from genbench.metrics.precision_recall import proportion_stderr

_ROWS = 512
_TOO_FEW = 20


def authentic(generated: Features, training: Features, *, device: str = "cpu") -> Bools:
    """(N,): whether an image is farther from its nearest training image than that one is from its own nearest.

    Its share is AuthPct (Alaa et al. 2022; Stein et al. 2023).
    Raises `FeatureError` for features that are too few, not finite or of different widths.
    """
    found = nearest(generated, 1, among=training, device=device)
    own = nearest(training, 1, device=device).squares[:, 0]
    farther: Bools = found.squares[:, 0] > own[found.indices[:, 0]]
    return farther


def realism(generated: Features, reference: Features, *, k: int = IMPROVED.k, device: str = "cpu") -> Float64:
    """(N,): the greatest ratio of a reference ball's radius to the image's distance from its centre.

    Realism of Kynkäänniemi et al. 2019. Balls of at least the median radius are left out. 1 and more is inside of a
    ball; infinite at distance 0, and where a reference in float16, as files hold it, is no farther than its rounding.
    Raises `FeatureError` where no ball is left (all radii alike), and for features as `nearest` does.
    """
    check_features(generated, "generated features", at_least=1)
    check_width(generated.shape[1], reference.shape[1])
    radii = nearest(reference, k, device=device).squares[:, -1]
    small = radii < np.median(radii)
    if not small.any():
        raise FeatureError(
            "reference features: no neighbour ball is smaller than the median one",
            hint="the reference holds too many duplicates for realism; take precision",
        )
    centres = reference[small].astype(np.float64)
    log_radii = torch.from_numpy(np.log(np.maximum(radii[small], np.finfo(np.float64).tiny))).to(device)
    points = torch.from_numpy(centres).to(device)
    roundings = _squared_roundings(centres)
    limits = torch.from_numpy(roundings).to(device)
    best = np.empty(len(generated))
    for start in range(0, len(generated), _ROWS):
        rows = torch.from_numpy(generated[start : start + _ROWS].astype(np.float64)).to(device)
        distances = torch.cdist(rows, points).square()
        nearness = (log_radii - distances.log()).masked_fill_(distances <= limits, torch.inf)
        at = nearness.argmax(dim=1).cpu().numpy()
        squares = np.square(rows.cpu().numpy() - centres[at]).sum(axis=1)
        squares[squares <= roundings[at]] = 0
        with np.errstate(divide="ignore"):
            best[start : start + _ROWS] = np.sqrt(radii[small][at] / squares)
    return best


def _squared_roundings(points: Float64) -> Float64:
    """(M,): how far float16 may have moved each of (M, d) points, squared; 0 where they are not all float16 numbers."""
    with np.errstate(over="ignore"):
        halves = points.astype(np.float16)
    if not np.array_equal(halves, points):
        return np.zeros(len(points))
    moved: Float64 = np.square(np.spacing(np.abs(halves)).astype(np.float64) / 2).sum(axis=1)
    return moved


def copying_score(
    generated: Features, training: Features, held_out: Features, *, cells: int = 3, components: int = 64
) -> float:
    """C_T (Meehan et al. 2020): far below 0 where generated images are nearer the training set than held-out ones are.

    In up to 64 principal components of the training set, cut into 3 cells by k-means (seeded), each image's distance to
    the nearest training image of its cell; in each cell the z-score of the Mann-Whitney U of generated against held-out
    distances; their mean by the cell's share of held-out images. Cells with 20 generated images or fewer, or with no
    held-out one, are left out. Settings, and the bound of 20 that is itself left out, are those of dgm-eval and fld.
    Raises `FeatureError` if no cell is left, and for features that are too few, not finite or of different widths.
    """
    sides = {"generated": generated, "training": training, "held-out": held_out}
    for name, side in sides.items():
        check_features(side, f"{name} features", at_least=cells if name == "training" else 2)
        check_width(side.shape[1], training.shape[1])
    project = principal_components(training, components)
    projected = {name: project(side) for name, side in sides.items()}
    centres = nearest_centres(projected["training"], cells)
    cell_of = {name: centres(side) for name, side in projected.items()}
    scores, weights = [], []
    for cell in range(cells):
        inside = {name: projected[name][cell_of[name] == cell] for name in sides}
        if len(inside["generated"]) <= _TOO_FEW or not len(inside["held-out"]) or not len(inside["training"]):
            continue
        distances = [
            nearest(inside[name], 1, among=inside["training"]).squares[:, 0] for name in ("generated", "held-out")
        ]
        scores.append(_mann_whitney_z(*distances))
        weights.append(len(inside["held-out"]))
    if not scores:
        raise FeatureError(
            f"C_T: no cell holds more than {_TOO_FEW} of {len(generated)} generated images and a held-out one",
            hint="generate more images",
        )
    return float(np.average(scores, weights=weights))


def _mann_whitney_z(x: Float64, y: Float64) -> float:
    """z of how often an x is above a y, ties counting half; no correction of the variance for ties.

    The continuity correction is that of Meehan et al.'s code: half a pair upwards, whichever side the value is of.
    """
    ordered = np.sort(y)
    below = np.searchsorted(ordered, x, "left").sum() + np.searchsorted(ordered, x, "right").sum()
    n, m = len(x), len(y)
    return float((below / 2 - n * m / 2 + 0.5) / (n * m * (n + m + 1) / 12) ** 0.5)


def measure_authpct(comparison: Comparison) -> Measurement:
    """The `authpct` statistic, in percent."""
    training = comparison.reference_features
    found = authentic(comparison.features, training, device=comparison.device)
    return Measurement(100 * float(found.mean()), 100 * proportion_stderr(found), len(found), len(training))


def measure_realism(comparison: Comparison) -> Measurement:
    """The `realism` statistic: the mean over images.

    Raises `FeatureError` for an image that is a reference image, whose realism is infinite.
    """
    reference = comparison.reference_features
    found = realism(comparison.features, reference, device=comparison.device)
    if not np.isfinite(found).all():
        raise FeatureError(
            f"generated image {int(np.isinf(found).argmax())} has the features of a reference image: its realism is "
            "infinite",
            hint="look for copies of the reference with authpct, or take precision",
        )
    stderr = float(found.std(ddof=1)) / len(found) ** 0.5
    return Measurement(float(found.mean()), stderr, len(found), len(reference))


def measure_c_t(comparison: Comparison) -> Measurement:
    """The `c-t` statistic."""
    training = comparison.reference_features
    value = copying_score(comparison.features, training, comparison.held_out_features)
    return Measurement(value, None, len(comparison.features), len(training))
