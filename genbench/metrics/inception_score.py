"""IS, the Inception Score (Salimans et al. 2016): exp of the mean KL divergence of p(y|x) to p(y), of class scores.

Peers split the images and average the score of the splits. In the order of the files, a set sorted by class has splits
of few classes, and a score that is several times too low; so `is` takes a fixed random order, that of torch-fidelity.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, Float64, check_features

_SEED = 2020
_ADM_CHUNK = 5000


class InceptionScore(NamedTuple):
    """The mean over splits, its standard error, and the splits."""

    value: float
    """Between 1 and the number of classes."""
    stderr: float | None
    """From the influence of each image on its split's score; None where a split is of one image."""
    spread: float
    """Standard deviation over splits, divided by their number: what peers print after the ±."""
    splits: Float64
    """(S,): the score of each."""


def inception_score(logits: Features, *, splits: int = 10) -> InceptionScore:
    """IS of class scores (N, C), without bias and before the softmax, N >= `splits`; arithmetic in float64.

    Images are taken in the order of ``RandomState(2020).permutation(N)``, split s being those from ⌊sN/S⌋ up to
    ⌊(s+1)N/S⌋, as in torch-fidelity. Raises `FeatureError` for scores that are too few or not finite.
    """
    check_features(logits, "logits", at_least=1)
    n = len(logits)
    if not 1 <= splits <= n:
        raise FeatureError(
            f"logits: {n} image(s) cannot be split into {splits}", hint=f"generate at least {max(splits, 1)} images"
        )
    # The legacy generator is the convention; its stream is frozen.
    order = np.random.RandomState(_SEED).permutation(n)
    bounds = [s * n // splits for s in range(splits + 1)]
    return _score([logits[order[start:stop]] for start, stop in pairwise(bounds)])


def inception_score_in_order(logits: Features, *, chunk: int = _ADM_CHUNK) -> InceptionScore:
    """IS of class scores (N, C) in chunks of the order given, the last one as short as it comes: the ADM evaluator's.

    Images sorted by class score far too low. Raises `FeatureError` for scores that are not finite or of no image.
    """
    check_features(logits, "logits", at_least=1)
    return _score([logits[start : start + chunk] for start in range(0, len(logits), chunk)])


def _score(splits: Sequence[Features]) -> InceptionScore:
    divergences = [_divergences(split) for split in splits]
    scores = np.array([np.exp(kl.mean()) for kl in divergences])
    stderr = None
    if min(map(len, divergences)) > 1:
        # d log(score) by the weight of image i is KL_i less its mean, p(y) moving with it included.
        errors = [score * kl.std(ddof=1) / len(kl) ** 0.5 for score, kl in zip(scores, divergences, strict=True)]
        stderr = float(np.linalg.norm(errors)) / len(errors)
    return InceptionScore(float(scores.mean()), stderr, float(scores.std()), scores)


def _divergences(logits: Features) -> Float64:
    """(N,): KL of each image's class probabilities to their mean."""
    log_p = torch.from_numpy(logits.astype(np.float64)).log_softmax(dim=1)
    p = log_p.exp()
    # 0·log 0 is 0: a class that no image shows has a mean of 0.
    divergences: Float64 = ((p * log_p).sum(dim=1) - torch.special.xlogy(p, p.mean(dim=0)).sum(dim=1)).numpy()
    return divergences


def measure_is(comparison: Comparison) -> Measurement:
    """The `is` statistic."""
    score = inception_score(comparison.features)
    return Measurement(score.value, score.stderr, len(comparison.features), 0, score.spread)


def measure_is_adm(comparison: Comparison) -> Measurement:
    """The `is-adm` statistic."""
    score = inception_score_in_order(comparison.features)
    return Measurement(score.value, score.stderr, len(comparison.features), 0, score.spread)
