"""Statistics whose peers cannot be installed, against their definitions in scikit-learn, SciPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.distributions import Independent, Normal

from genbench.metrics.likelihood import likelihood_divergence
from genbench.metrics.memorisation import copying_score
from genbench.metrics.mind import monge_distance


def blobs(n: int, seed: int, *, spread: float = 1.0, d: int = 80) -> np.ndarray:
    """Three groups, far apart, of unequal size."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((3, d)) * 6
    return (centres[rng.choice(3, n, p=(0.5, 0.3, 0.2))] + rng.standard_normal((n, d)) * spread).astype(np.float32)


def by_scipy(generated: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> float:
    """C_T by Meehan et al. 2020 with dgm-eval's settings: PCA to 64, three cells, fewest images 20."""
    pca = PCA(64, svd_solver="full").fit(training)
    x, train, test = (pca.transform(side) for side in (generated, training, held_out))
    kmeans = KMeans(3, n_init=10, random_state=0).fit(train)
    scores, weights = [], []
    for cell in range(3):
        inside = [side[kmeans.predict(side) == cell] for side in (x, train, test)]
        if len(inside[0]) < 20:
            continue
        neighbours = NearestNeighbors(n_neighbors=1).fit(inside[1])
        to_training = [neighbours.kneighbors(side)[0][:, 0] for side in (inside[0], inside[2])]
        n, m = map(len, to_training)
        u = mannwhitneyu(*to_training).statistic
        scores.append((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
        weights.append(m)
    return float(np.average(scores, weights=weights))


@pytest.mark.parametrize("spread", [0.9, 1.0, 1.2], ids=["nearer", "alike", "farther"])
def test_c_t_is_that_of_scikit_learn_and_scipy(spread: float) -> None:
    sides = blobs(150, 1, spread=spread), blobs(300, 2), blobs(120, 3)
    # Cells are the three groups in both; float64 distances differ by rounding, which changes no rank here.
    assert copying_score(*sides) == pytest.approx(by_scipy(*sides), abs=1e-9)


def test_c_t_leaves_out_cells_with_few_generated_images() -> None:
    sides = blobs(60, 1), blobs(300, 2), blobs(120, 3)
    assert sum(np.bincount(KMeans(3, n_init=10, random_state=0).fit(sides[1]).predict(sides[0])) < 20) >= 1
    assert copying_score(*sides) == pytest.approx(by_scipy(*sides), abs=1e-9)


def log_likelihood(centres: Tensor, points: Tensor, log_variances: Tensor) -> Tensor:
    """Of (N, d) points under equal isotropic Gaussians, (N,)."""
    components = [
        Independent(Normal(c, (w / 2).exp().expand(len(c))), 1) for c, w in zip(centres, log_variances, strict=True)
    ]
    return torch.stack([g.log_prob(points) for g in components]).logsumexp(0) - np.log(len(centres))


def fitted(centres: Tensor, training: Tensor, points: Tensor) -> float:
    """The likelihood of points, in nats a feature, by torch's own gradients and Adam, with the authors' settings."""
    d = centres.shape[1]
    centres = torch.cat([centres, training.mean(0, keepdim=True)])
    start = ((torch.cdist(training, centres).square().min(0).values + 1e-3) / d).log()
    widths = start.clone().requires_grad_()
    adam = torch.optim.Adam([widths], lr=0.5)
    losses: list[float] = []
    while len(losses) < 50 and (len(losses) < 6 or abs(losses[-6] - losses[-1]) >= 5e-4):
        adam.zero_grad()
        loss = -log_likelihood(centres, training, widths).mean() / d
        loss.backward()
        adam.step()
        widths.data.clamp_(-40, 40)
        losses.append(loss.item())
    return -log_likelihood(centres, points, widths.detach()).mean().item() / d


def test_fld_is_that_of_torchs_gradients_and_adam() -> None:
    rng = np.random.default_rng(5)
    training, held_out = rng.standard_normal((2, 60, 5))
    generated = rng.standard_normal((9, 5)) * 1.1
    found = likelihood_divergence(*(side.astype(np.float32) for side in (generated, training, held_out)))
    mean, std = held_out.mean(axis=0), held_out.std(axis=0)
    x, train, test = (torch.from_numpy((side - mean) / std) for side in (generated, training, held_out))
    # float32 against float64, over some dozens of steps.
    assert found.nll == pytest.approx(fitted(x, train, test), rel=1e-4)
    assert found.value == pytest.approx(100 * (found.nll - found.baseline))


def test_mind_of_two_draws_of_one_distribution_is_what_order_statistics_say() -> None:
    # E W2² of n normal numbers against n others is twice the mean variance of their order statistics, here over 2,000
    # draws. MIND is 3d times that: directions share images, which leaves the expectation as it is.
    n, d = 500, 64
    ordered = np.sort(np.random.default_rng(0).standard_normal((2000, n)), axis=1)
    expected = 3 * d * 2 * ordered.var(axis=0).mean()
    draws = np.random.default_rng(1).standard_normal((8, 2, n, d)).astype(np.float32)
    found = [monge_distance(x, y) for x, y in draws]
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found, ddof=1) / 8**0.5)
    assert np.std(found) < 0.2 * expected
