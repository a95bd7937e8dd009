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
    """C_T by Meehan et al. 2020 as in dgm-eval at 74c79f7: PCA to 64, three cells of more than 20 generated images.

    The mean of U is taken half a pair lower, as a continuity correction.
    """
    pca = PCA(64, svd_solver="full").fit(training)
    x, train, test = (pca.transform(side) for side in (generated, training, held_out))
    kmeans = KMeans(3, n_init=10, random_state=0).fit(train)
    scores, weights = [], []
    for cell in range(3):
        inside = [side[kmeans.predict(side) == cell] for side in (x, train, test)]
        if len(inside[0]) <= 20:
            continue
        neighbours = NearestNeighbors(n_neighbors=1).fit(inside[1])
        to_training = [neighbours.kneighbors(side)[0][:, 0] for side in (inside[0], inside[2])]
        n, m = map(len, to_training)
        u = mannwhitneyu(*to_training).statistic
        scores.append((u - (n * m / 2 - 0.5)) / np.sqrt(n * m * (n + m + 1) / 12))
        weights.append(m)
    return float(np.average(scores, weights=weights))


@pytest.mark.parametrize("spread", [0.9, 1.0, 1.2], ids=["nearer", "alike", "farther"])
def test_c_t_is_that_of_scikit_learn_and_scipy(spread: float) -> None:
    sides = blobs(150, 1, spread=spread), blobs(300, 2), blobs(120, 3)
    # Cells are the three groups in both; float64 distances differ by rounding, which changes no rank here.
    assert copying_score(*sides) == pytest.approx(by_scipy(*sides), abs=1e-9)


def test_c_t_leaves_out_cells_of_twenty_generated_images_and_fewer() -> None:
    generated, training, held_out = blobs(150, 1), blobs(300, 2), blobs(120, 3)
    cells = KMeans(3, n_init=10, random_state=0).fit(training).predict(generated)
    smallest = np.flatnonzero(cells == np.bincount(cells).argmin())
    few, more = (np.delete(generated, smallest[n:], axis=0) for n in (20, 21))
    assert copying_score(few, training, held_out) == pytest.approx(by_scipy(few, training, held_out), abs=1e-9)
    assert copying_score(more, training, held_out) == pytest.approx(by_scipy(more, training, held_out), abs=1e-9)
    without = np.delete(generated, smallest, axis=0)
    assert copying_score(few, training, held_out) == copying_score(without, training, held_out)


def log_densities(centres: Tensor, points: Tensor, log_variances: Tensor) -> Tensor:
    """Of (N, d) points under an isotropic Gaussian on each of (M, d) centres, (N, M)."""
    gaussians = Independent(Normal(centres, (log_variances / 2).exp()[:, None].expand_as(centres)), 1)
    return gaussians.log_prob(points[:, None])


def fitted(centres: Tensor, training: Tensor, points: Tensor) -> float:
    """The likelihood of points, in nats a feature, by torch's own gradients and Adam, as in marcojira/fld at ffbbf20.

    A background Gaussian of weight 1 on the training mean, squared distances to it times 0.81, takes part in the fit of
    the log-variances and not in what is returned; its own begins at 0 and has no limits. It ends once no loss of the
    last five epochs is as much as 5e-4 from the newest one, after seven epochs or more.
    """
    m, d = centres.shape
    mean = training.mean(0, keepdim=True)
    nearer = mean + 0.9 * (training - mean)
    widths = ((torch.cdist(training, centres).square().min(0).values + 1e-3) / d).log().requires_grad_()
    background = torch.zeros(1, dtype=centres.dtype, requires_grad=True)
    adam = torch.optim.Adam([widths, background], lr=0.5)
    losses: list[float] = []
    while len(losses) < 50 and (len(losses) < 7 or max(abs(loss - losses[-1]) for loss in losses[-5:]) >= 5e-4):
        adam.zero_grad()
        of_centres = log_densities(centres, training, widths).logsumexp(1) - np.log(m)
        loss = -torch.logaddexp(of_centres, log_densities(mean, nearer, background)[:, 0]).mean() / d
        loss.backward()
        adam.step()
        widths.data.clamp_(-40, 40)
        losses.append(loss.item())
    return -(log_densities(centres, points, widths.detach()).logsumexp(1).mean().item() - np.log(m)) / d


def by_torch(generated: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> tuple[float, float, float]:
    """FLD, the likelihood under generated images and the baseline's, of float64 features."""
    mean, std = held_out.mean(axis=0), held_out.std(axis=0, ddof=1)
    x, train, test = (torch.from_numpy((side - mean) / std) for side in (generated, training, held_out))
    train = train[np.random.RandomState(2020).permutation(len(train))]
    centres = min(len(x), len(train) // 2)
    nll, baseline = fitted(x, train, test), fitted(train[:centres], train[centres:], test)
    return 100 * (nll - baseline), nll, baseline


@pytest.mark.parametrize("n", [9, 50], ids=["few images", "more than half of the training set"])
@pytest.mark.parametrize("shift", [0.0, 0.6], ids=["alike", "shifted"])
def test_fld_is_that_of_torchs_gradients_and_adam(n: int, shift: float) -> None:
    rng = np.random.default_rng(5)
    training, held_out = rng.standard_normal((2, 60, 5))
    generated = rng.standard_normal((n, 5)) * 1.1 + shift
    found = likelihood_divergence(*(side.astype(np.float32) for side in (generated, training, held_out)))
    # float32 against float64, over some dozens of steps.
    assert found == pytest.approx(by_torch(generated, training, held_out), rel=1e-4, abs=0.01)


def test_fld_of_near_copies_is_that_of_torchs_gradients_and_adam() -> None:
    # Gaussians on copies grow narrow, where a background that still counted when images are judged would catch these.
    rng = np.random.default_rng(6)
    training, held_out = rng.standard_normal((2, 60, 5))
    copies = training[:30] + rng.standard_normal((30, 5)) * 0.05
    found = likelihood_divergence(*(side.astype(np.float32) for side in (copies, training, held_out)))
    assert found.value > 1000
    # float32 distances to copies
    assert found == pytest.approx(by_torch(copies, training, held_out), rel=1e-3)


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
