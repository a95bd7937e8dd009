"""FLD, the feature likelihood divergence (Jiralerspong et al. 2023): are held-out images likely under generated ones?

A mixture of isotropic Gaussians, one on each generated image, has its widths fitted to the training set. A model that
copies the training set gets narrow Gaussians on it, under which held-out images are unlikely.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, check_features, check_width

_SEED = 2020
_CENTRES = 10_000
_BATCH = 10_000
_EPOCHS = 50
_PATIENCE = 5
_SETTLED = 5e-4
_RATE = 0.5
_BETAS = 0.9, 0.999
_LIMIT = 40.0


class LikelihoodDivergence(NamedTuple):
    """FLD and the two likelihoods that it is the difference of."""

    value: float
    """100 (`nll` - `baseline`); lower is better, below 0 is better than half of the training set."""
    nll: float
    """Negative log-likelihood of held-out images under the generated ones, in nats a feature."""
    baseline: float
    """The same under one half of the training set, its widths fitted to the other half."""


def likelihood_divergence(
    generated: Features, training: Features, held_out: Features, *, device: str = "cpu"
) -> LikelihoodDivergence:
    """FLD of features (N, d), at most 10,000 of them; widths by Adam on the training likelihood, held-out z-scores.

    What the authors' code draws unseeded, the subset of centres and the halves, follows ``RandomState(2020)``. Needs
    4 bytes for every pair of a centre and a training image. Raises `FeatureError` for features that are too few, not
    finite or of different widths.
    """
    sides = {"generated": generated, "training": training, "held-out": held_out}
    for name, side in sides.items():
        check_features(side, f"{name} features", at_least=4 if name == "training" else 2)
        check_width(side.shape[1], training.shape[1])
    mean, std = held_out.mean(axis=0, dtype=np.float64), held_out.std(axis=0, dtype=np.float64)
    # A feature that never varies in held-out images is left at its own scale.
    scale = np.where(std > 0, std, 1.0)
    x, train, test = (torch.from_numpy(((s - mean) / scale).astype(np.float32)).to(device) for s in sides.values())
    rng = np.random.RandomState(_SEED)  # the legacy generator's stream is frozen
    if len(x) > _CENTRES:
        x = x[np.sort(rng.permutation(len(x))[:_CENTRES])]
    halves = np.array_split(rng.permutation(len(train)), 2)
    nll = _Mixture(x, train).nll(test)
    baseline = _Mixture(train[halves[0][:_CENTRES]], train[halves[1]]).nll(test)
    return LikelihoodDivergence(100 * (nll - baseline), nll, baseline)


class _Mixture:
    """Equal isotropic Gaussians on `centres`, and one on the mean of `training`, with widths that fit `training`."""

    def __init__(self, centres: Tensor, training: Tensor) -> None:
        self._centres = torch.cat([centres, training.mean(dim=0, keepdim=True)])
        self._d = centres.shape[1]
        squares = self._squares(training)
        self._log_variances = ((squares.min(dim=0).values + 1e-3) / self._d).log().clamp_(-_LIMIT, _LIMIT)
        self._fit(squares)

    def _squares(self, points: Tensor) -> Tensor:
        return torch.cdist(points, self._centres).square_()

    def _fit(self, squares: Tensor) -> None:
        first, second = torch.zeros_like(self._log_variances), torch.zeros_like(self._log_variances)
        step = 0
        losses: list[float] = []
        for _ in range(_EPOCHS):
            loss = 0.0
            for batch in torch.split(squares, _BATCH):
                logs, gradient = self._logs_and_gradient(batch)
                loss -= float(logs.sum())
                # Adam (Kingma & Ba 2015) with its usual constants; the gradient is known, and torch.optim takes seconds
                # to import.
                step += 1
                first.lerp_(gradient, 1 - _BETAS[0])
                second.lerp_(gradient.square(), 1 - _BETAS[1])
                slope = first / (1 - _BETAS[0] ** step)
                self._log_variances -= _RATE * slope / ((second / (1 - _BETAS[1] ** step)).sqrt() + 1e-8)
                self._log_variances.clamp_(-_LIMIT, _LIMIT)
            losses.append(loss / len(squares) / self._d)
            if len(losses) > _PATIENCE and abs(losses[-1 - _PATIENCE] - losses[-1]) < _SETTLED:
                break

    def _logs_and_gradient(self, squares: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) log-likelihoods, and the gradient of their negative mean by each log-variance over d."""
        logs = self._component_logs(squares)
        totals = logs.logsumexp(dim=1)
        shares = (logs - totals[:, None]).exp_()
        slopes = (self._d - squares * (-self._log_variances).exp()).mul_(shares).mean(dim=0) / 2
        return totals, slopes / self._d

    def _component_logs(self, squares: Tensor) -> Tensor:
        widths = self._log_variances
        constant = self._d / 2 * (math.log(2 * math.pi) + widths) + math.log(len(widths))
        return -squares * (-widths).exp() / 2 - constant

    def nll(self, points: Tensor) -> float:
        """Negative mean log-likelihood of (N, d) points, over d."""
        logs = [self._component_logs(self._squares(part)).logsumexp(dim=1) for part in torch.split(points, _BATCH)]
        return -float(torch.cat(logs).double().mean()) / self._d


def measure_fld(comparison: Comparison) -> Measurement:
    """The `fld` statistic."""
    training = comparison.reference_features
    found = likelihood_divergence(comparison.features, training, comparison.held_out_features, device=comparison.device)
    return Measurement(found.value, None, len(comparison.features), len(training))
