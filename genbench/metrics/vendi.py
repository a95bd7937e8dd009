"""The Vendi score (Friedman & Dieng 2023): how many unlike images a set amounts to, by the spectrum of similarities.

With the cosine kernel the N×N matrix K/N has the eigenvalues of the d×d matrix XᵀX/N, and the smaller one is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, check_features, unit_length
from genbench.metrics.per_class import rows_of_classes


class VendiScore(NamedTuple):
    """exp of the Shannon entropy of the eigenvalues of K/N."""

    value: float
    """From 1, all alike, to min(N, d)."""
    stderr: float
    """From the influence of each image on the entropy: first order, some 0.8 of the true one where N < d.

    The score of few images is low, which is not in it: compare equal N only."""


def vendi_score(features: Features) -> VendiScore:
    """Vendi score of order 1 of features (N, d), cosine kernel, N >= 2; needs no reference; in float64.

    Raises `FeatureError` for features that are too few, not finite, or zero in all of a row.
    """
    check_features(features, "features")
    x = torch.from_numpy(unit_length(features, "features"))
    n, d = x.shape
    if n > d:
        values, vectors = torch.linalg.eigh(x.T @ x / n)
        shares = (x @ vectors).square()
    else:
        values, vectors = torch.linalg.eigh(x @ x.T / n)
        shares = vectors.square() * values.clamp(min=0) * n
    keep = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    logs = values[keep].log()
    entropy = -float(values[keep] @ logs)
    # The entropy moves by -xᵢᵀ (log ρ) xᵢ less its mean, the entropy itself.
    influence = -(shares[:, keep] @ logs) - entropy
    score = float(np.exp(entropy))
    return VendiScore(score, score * float(influence.std(correction=1)) / n**0.5)


def measure_vendi(comparison: Comparison) -> Measurement:
    """The `vendi` statistic."""
    score = vendi_score(comparison.features)
    return Measurement(score.value, score.stderr, len(comparison.features), 0)


def measure_vendi_per_class(comparison: Comparison) -> Measurement:
    """The `vendi-per-class` statistic: the mean over classes."""
    rows = rows_of_classes(comparison.classes, "generated", at_least=2)
    scores = [vendi_score(comparison.features[of_class]) for of_class in rows.values()]
    stderr = float(np.linalg.norm([score.stderr for score in scores])) / len(scores)
    return Measurement(float(np.mean([score.value for score in scores])), stderr, len(comparison.features), 0)
