"""The same features in, the same number out: torch-fidelity 0.4, clean-fid 0.1.35, prdc 0.2 and torchmetrics 1.9."""

import warnings

import numpy as np
import pytest
import scipy
import torch

from genbench.metrics.frechet import frechet_distance, frechet_distance_of_moments
from genbench.metrics.inception_score import inception_score
from genbench.metrics.kernel import kernel_distance, kernel_distance_of_subsets
from genbench.metrics.moments import Moments
from genbench.metrics.neighbours import neighbourhoods

with warnings.catch_warnings():
    # Third-party imports warn of their own dependencies; nothing of ours runs here.
    warnings.simplefilter("ignore")
    from cleanfid.fid import frechet_distance as clean_fid_distance
    from prdc import compute_prdc
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance

RNG = np.random.default_rng(0)


def features(n: int, d: int = 48, scale: float = 1.0) -> np.ndarray:
    """Non-negative and correlated with a falling spectrum, as pooled features are."""
    mix = np.random.default_rng(1).standard_normal((d, d)) * (np.arange(1, d + 1) ** -0.7)[:, None]
    return np.maximum(RNG.standard_normal((n, d)) @ mix * scale + 0.3, 0).astype(np.float32)


def lattice(n: int, d: int, step: float) -> np.ndarray:
    """Features by a formula, for values that are stored."""
    i, j = np.arange(n, dtype=np.float64)[:, None], np.arange(d, dtype=np.float64)
    return np.sin(step * (i + 1) * (j + 2) + 0.1 * j) + 0.05 * np.cos(i * j)


def torch_fidelity_fid(x: np.ndarray, y: np.ndarray) -> float:
    statistics = [fid_features_to_statistics(torch.from_numpy(side.astype(np.float64))) for side in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


@pytest.mark.parametrize(("n", "tolerance"), [(400, 1e-6), (60, 1e-6), (30, 1e-4)])
def test_fd_is_that_of_torch_fidelity(n: int, tolerance: float) -> None:
    # Below d images the peer takes square roots of the rounding in the null space.
    generated, reference = features(n, scale=1.1), features(500)
    found = frechet_distance(generated, Moments.from_features(reference)).value
    assert found == pytest.approx(torch_fidelity_fid(generated, reference), rel=tolerance)


@pytest.mark.skipif(
    tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 18),
    reason="clean-fid calls scipy.linalg.sqrtm(disp=False), which SciPy 1.18 removed; stored values below",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("n", "tolerance"), [(400, 1e-6), (30, 1e-4)])
def test_fd_is_that_of_clean_fid(n: int, tolerance: float) -> None:
    x, y = (Moments.from_features(side) for side in (features(n, scale=1.1), features(500)))
    assert frechet_distance_of_moments(x, y) == pytest.approx(
        clean_fid_distance(x.mean, x.cov, y.mean, y.cov), rel=tolerance
    )


def test_fd_is_that_which_clean_fid_gave() -> None:
    # clean-fid 0.1.35 with SciPy 1.17.1 and NumPy 2.4.6, on np.mean and np.cov of the two lattices.
    x, y = (Moments.from_features(side) for side in (lattice(200, 16, 0.37), lattice(300, 16, 0.53) * 1.3))
    assert frechet_distance_of_moments(x, y) == pytest.approx(CLEAN_FID_OF_LATTICES, rel=1e-9)


CLEAN_FID_OF_LATTICES = 2.0909778505008205


@pytest.mark.parametrize("n", [1000, 73])
def test_is_is_that_of_torch_fidelity(n: int) -> None:
    logits = features(n, scale=3)
    peer = isc_features_to_metric(torch.from_numpy(logits))
    score = inception_score(logits)
    assert score.value == pytest.approx(peer["inception_score_mean"], rel=1e-12)
    assert score.spread == pytest.approx(peer["inception_score_std"], rel=1e-9)


def test_kd_of_subsets_is_that_of_torch_fidelity() -> None:
    # Given float64: on float32 features the peer's kernel is float32, 6e-5 of the distance off (measured at d = 512).
    x, y = features(1300, 16, scale=1.1).astype(np.float64), features(1100, 16).astype(np.float64)
    peer = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), kid_subsets=5, verbose=False)
    found = kernel_distance_of_subsets(x, y, subsets=5)
    assert found.value == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-9)
    assert found.spread == pytest.approx(peer["kernel_inception_distance_std"], rel=1e-8)


def test_kd_of_one_subset_of_everything_is_that_of_torch_fidelity() -> None:
    x, y = features(120, scale=1.1).astype(np.float64), features(120).astype(np.float64)
    peer = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=120, verbose=False
    )
    assert kernel_distance(x, y).value == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-10)


def test_kd_is_what_subsets_of_torch_fidelity_average_to() -> None:
    # A subset's estimate has the estimate over all pairs as its mean, so the average differs by std / √subsets.
    x, y = features(400, scale=1.4), features(350)
    peer = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=300, kid_subset_size=150, verbose=False
    )
    allowed = 4 * peer["kernel_inception_distance_std"] / 300**0.5
    assert allowed < 0.3 * peer["kernel_inception_distance_mean"]
    assert kernel_distance(x, y).value == pytest.approx(peer["kernel_inception_distance_mean"], abs=allowed)


def test_precision_and_recall_are_those_of_torch_fidelity() -> None:
    generated, reference = features(300, scale=0.9), features(250)
    found = neighbourhoods(generated, reference, k=3)
    # In float64: the peer's float32 cdist decides close calls, and whether a point is its own neighbour, by rounding.
    peer = prc_features_to_metric(
        torch.from_numpy(generated).double(), torch.from_numpy(reference).double(), verbose=False
    )
    # The peer averages in float32.
    assert found.generated_inside.mean() == pytest.approx(peer["precision"], rel=1e-6)
    assert found.reference_inside.mean() == pytest.approx(peer["recall"], rel=1e-6)


@pytest.mark.parametrize("k", [3, 5])
def test_prdc_is_that_of_prdc(k: int) -> None:
    generated, reference = features(300, scale=0.9), features(250)
    found = neighbourhoods(generated, reference, k=k, strict=True)
    peer = compute_prdc(reference.astype(np.float64), generated.astype(np.float64), nearest_k=k)
    assert found.generated_inside.mean() == peer["precision"]
    assert found.reference_inside.mean() == peer["recall"]
    assert found.balls_around.mean() / k == pytest.approx(peer["density"], rel=1e-14)
    assert found.covered.mean() == peer["coverage"]


class AsTheyAre(torch.nn.Module):
    """Features in place of images, so that torchmetrics' arithmetic is compared alone."""

    num_features = 48

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, 48), unchanged."""
        return features


def updated(metric, generated: np.ndarray, reference: np.ndarray):
    for side, real in ((reference, True), (generated, False)):
        metric.update(torch.from_numpy(side.astype(np.float64)), real=real)
    return metric.compute()


@pytest.mark.parametrize(("n", "tolerance"), [(400, 1e-6), (30, 1e-4)])
def test_fd_is_that_of_torchmetrics(n: int, tolerance: float) -> None:
    generated, reference = features(n, scale=1.1), features(500)
    peer = updated(FrechetInceptionDistance(AsTheyAre()).set_dtype(torch.float64), generated, reference)
    found = frechet_distance(generated, Moments.from_features(reference)).value
    assert found == pytest.approx(peer.item(), rel=tolerance)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`:UserWarning")
def test_kd_of_one_subset_of_everything_is_that_of_torchmetrics() -> None:
    generated, reference = features(120, scale=1.1), features(120)
    metric = KernelInceptionDistance(AsTheyAre(), subsets=1, subset_size=120).set_dtype(torch.float64)
    mean, _ = updated(metric, generated, reference)
    assert kernel_distance(generated, reference).value == pytest.approx(mean.item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore`:UserWarning")
def test_is_of_one_split_is_that_of_torchmetrics() -> None:
    # One split: torchmetrics draws those of several without a seed.
    logits = features(300, scale=3)
    metric = InceptionScore(AsTheyAre(), splits=1).set_dtype(torch.float64)
    metric.update(torch.from_numpy(logits.astype(np.float64)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its standard deviation over one split
        mean, _ = metric.compute()
    assert inception_score(logits, splits=1).value == pytest.approx(mean.item(), rel=1e-6)
