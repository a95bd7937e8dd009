"""FLD, the feature likelihood divergence (Jiralerspong et al. 2023): are held-out images likely under generated ones?

A mixture of isotropic Gaussians, one on each generated image, has its widths fitted to the training set. A model that
copies the training set gets narrow Gaussians on it, under which held-out images are unlikely. The settings are those of
the authors' code, marcojira/fld at ffbbf20.
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
_FEWEST_EPOCHS = 7
_WINDOW = 5
_SETTLED = 5e-4
_RATE = 0.5
_BETAS = 0.9, 0.999
_LIMIT = 40.0
_BACKGROUND = 0.9


class LikelihoodDivergence(NamedTuple):
    """FLD and the two likelihoods that it is the difference of."""

    value: float
    """100 (`nll` - `baseline`); lower is better, below 0 is better than training images for generated ones."""
    nll: float
    """Negative log-likelihood of held-out images under the generated ones, in nats a feature."""
    baseline: float
    """The same under as many training images, at most half of them, their widths fitted to all the others."""


def likelihood_divergence(
    generated: Features, training: Features, held_out: Features, *, device: str = "cpu"
) -> LikelihoodDivergence:
    """FLD of features (N, d), at most 10,000 of them; widths by Adam on the training likelihood, held-out z-scores.

    What the authors' code draws unseeded, the subset of centres and the order of training images, of which the baseline
    takes the first, follows ``RandomState(2020)``. Needs 4 bytes for every pair of a centre and a training image.
    Raises `FeatureError` for features that are too few, not finite or of different widths.
    """
    sides = {"generated": generated, "training": training, "held-out": held_out}
    for name, side in sides.items():
        check_features(side, f"{name} features", at_least=4 if name == "training" else 2)
        check_width(side.shape[1], training.shape[1])
    mean, std = held_out.mean(axis=0, dtype=np.float64), held_out.std(axis=0, dtype=np.float64, ddof=1)
    # A feature that never varies in held-out images is left at its own scale.
    scale = np.where(std > 0, std, 1.0)
    x, train, test = (torch.from_numpy(((s - mean) / scale).astype(np.float32)).to(device) for s in sides.values())
    rng = np.random.RandomState(_SEED)  # the legacy generator's stream is frozen
    if len(x) > _CENTRES:
        x = x[np.sort(rng.permutation(len(x))[:_CENTRES])]
    # Training sets come sorted by class, and batches of one class each would be fitted in turn.
    train = train[rng.permutation(len(train))]
    nll = _Mixture(x, train).nll(test)
    split = min(len(x), len(train) // 2)
    baseline = _Mixture(train[:split], train[split:]).nll(test)
    return LikelihoodDivergence(100 * (nll - baseline), nll, baseline)


class _Mixture:
    """Equal isotropic Gaussians on `centres`, with widths that fit `training`.

    During the fit alone a background takes part: a Gaussian on the mean of `training`, of weight 1 beside the others'
    1/N, to which distances count 0.9 times. Training images far from every centre then widen none.
    """

    def __init__(self, centres: Tensor, training: Tensor) -> None:
        self._centres = centres
        self._d = centres.shape[1]
        squares = _squares(training, torch.cat([centres, training.mean(dim=0, keepdim=True)]))
        starts = ((squares[:, :-1].min(dim=0).values + 1e-3) / self._d).log()
        squares[:, -1] *= _BACKGROUND**2
        self._log_variances = self._fitted(torch.cat([starts, starts.new_zeros(1)]), squares)[:-1]

    def _fitted(self, widths: Tensor, squares: Tensor) -> Tensor:
        """Log-variances (N + 1,) from their starts, the background's last; squared distances (M, N + 1)."""
        first, second = torch.zeros_like(widths), torch.zeros_like(widths)
        step = 0
        losses: list[float] = []
        for _ in range(_EPOCHS):
            batches: list[float] = []
            for batch in torch.split(squares, _BATCH):
                loss, gradient = self._loss_and_gradient(widths, batch)
                batches.append(loss)
                # Adam (Kingma & Ba 2015) with its usual constants; the gradient is known, and torch.optim takes seconds
                # to import.
                step += 1
                first.lerp_(gradient, 1 - _BETAS[0])
                second.lerp_(gradient.square(), 1 - _BETAS[1])
                slope = first / (1 - _BETAS[0] ** step)
                widths -= _RATE * slope / ((second / (1 - _BETAS[1] ** step)).sqrt() + 1e-8)
                widths[:-1].clamp_(-_LIMIT, _LIMIT)
            losses.append(float(np.mean(batches)))
            changes = [abs(losses[-1] - loss) for loss in losses[-_WINDOW:]]
            if len(losses) >= _FEWEST_EPOCHS and max(changes) < _SETTLED:
                break
        return widths

    def _loss_and_gradient(self, widths: Tensor, squares: Tensor) -> tuple[float, Tensor]:
        """The negative mean log-likelihood over d, and its gradient (N + 1,) by each log-variance."""
        logs = self._component_logs(squares, widths)
        logs[:, :-1] -= math.log(len(self._centres))
        totals = logs.logsumexp(dim=1)
        shares = (logs - totals[:, None]).exp_()
        slopes = (self._d - squares * (-widths).exp()).mul_(shares).mean(dim=0) / 2
        return -float(totals.mean()) / self._d, slopes / self._d

    def _component_logs(self, squares: Tensor, widths: Tensor) -> Tensor:
        return -squares * (-widths).exp() / 2 - self._d / 2 * (math.log(2 * math.pi) + widths)

    def nll(self, points: Tensor) -> float:
        """Negative mean log-likelihood of (N, d) points, over d."""
        logs = [
            self._component_logs(_squares(part, self._centres), self._log_variances).logsumexp(dim=1)
            for part in torch.split(points, _BATCH)
        ]
        return (math.log(len(self._centres)) - float(torch.cat(logs).double().mean())) / self._d


def _squares(points: Tensor, centres: Tensor) -> Tensor:
    return torch.cdist(points, centres).square_()


def measure_fld(comparison: Comparison) -> Measurement:
    """The `fld` statistic."""
    training = comparison.reference_features
    found = likelihood_divergence(comparison.features, training, comparison.held_out_features, device=comparison.device)
    return Measurement(found.value, None, len(comparison.features), len(training))
