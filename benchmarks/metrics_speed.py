"""Statistics against their peers, on the same features in one process.

python benchmarks/metrics_speed.py                      10,000 × 10,000 × 2,048, as the table in the README
python benchmarks/metrics_speed.py --n 2000 --d 512     a smaller run, whose ratios say little
python benchmarks/metrics_speed.py --memory 50000       only our sweep over 50,000 × 50,000, for its memory
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import warnings

import numpy as np
import torch
from compare import header, measured, row

from genbench.metrics.balls import IMPROVED, PRDC
from genbench.metrics.frechet import frechet_distance, frechet_distance_of_moments
from genbench.metrics.kernel import kernel_distance
from genbench.metrics.moments import Moments
from genbench.metrics.neighbours import sweep

WORKS = ("frechet", "kernel", "neighbours")


def features(n: int, d: int, seed: int) -> np.ndarray:
    """Non-negative and correlated with a falling spectrum, as pooled features are; (n, d) float32."""
    rank = min(d, 256)
    mix = np.random.default_rng(0).standard_normal((rank, d)) * (np.arange(1, rank + 1) ** -0.5)[:, None]
    rng = np.random.default_rng(seed)
    blocks = [
        np.maximum(rng.standard_normal((min(2000, n - start), rank)) @ mix * 0.3 + 0.2, 0).astype(np.float32)
        for start in range(0, n, 2000)
    ]
    found = np.concatenate(blocks)
    for start in range(0, n, 2000):
        found[start : start + 2000] += 0.02 * rng.standard_normal((len(found[start : start + 2000]), d))
    return found


def fresh(moments: Moments) -> Moments:
    """The same moments with nothing computed from them yet."""
    again = Moments(moments.n, moments.mean, moments.scatter)
    _ = again.cov
    return again


def frechet(n: int, d: int, repeats: int) -> None:
    """FD from moments that exist: with nothing cached, and with the reference's factor cached."""
    from cleanfid.fid import frechet_distance as clean_fid
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    generated = features(n, d, 1)
    x, y = fresh(Moments.from_features(generated)), Moments.from_features(features(n, d, 2))
    plain, cold = measured(lambda: frechet_distance_of_moments(x, fresh(y)), repeats=repeats)
    cached = fresh(y)
    _ = cached.factor
    _, warm = measured(lambda: frechet_distance_of_moments(x, cached), repeats=repeats)
    whole, with_stderr = measured(lambda: frechet_distance(generated, cached), repeats=repeats)
    sides = [{"mu": side.mean, "sigma": side.cov} for side in (x, y)]
    eigvals, eigvals_cost = measured(
        lambda: fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"], repeats=repeats
    )
    peers = [("torch-fidelity eigvals", eigvals, eigvals_cost)]
    if _sqrtm_has_disp():
        value, cost = measured(lambda: float(clean_fid(x.mean, x.cov, y.mean, y.cov)))
        peers.append(("clean-fid sqrtm", value, cost))
    for peer, value, cost in peers:
        row(f"FD d={d}", "nothing cached", cold, peer, cost, (plain, value))
        row(f"FD d={d}", "reference's factor cached", warm, peer, cost, (plain, value))
    row(f"FD d={d}", f"with stderr, from {n} features", with_stderr, *peers[-1][::2], (whole.value, peers[-1][1]))


def _sqrtm_has_disp() -> bool:
    import inspect

    import scipy.linalg

    return "disp" in inspect.signature(scipy.linalg.sqrtm).parameters


def kernel(n: int, d: int, repeats: int) -> None:
    """KD over all pairs against 100 subsets of 1,000, which estimate it."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(n, d, 1), features(n, d, 2)
    ours, cost = measured(lambda: kernel_distance(x, y), repeats=repeats)
    sides = torch.from_numpy(x), torch.from_numpy(y)
    size = min(1000, n)
    peer, peer_cost = measured(lambda: kid_features_to_metric(*sides, kid_subset_size=size, verbose=False))
    values = ours.value, peer["kernel_inception_distance_mean"]
    row(f"KD {n}x{n}x{d}", "all pairs", cost, "torch-fidelity, 100 subsets", peer_cost, values)


def neighbours(n: int, d: int, repeats: int) -> None:
    """Precision, recall, density and coverage (k = 5), and precision and recall of k = 3 from the same sweep."""
    from prdc import compute_prdc

    x, y = features(n, d, 1), features(n, d, 2)
    ours, cost = measured(lambda: sweep(x, y, [IMPROVED, PRDC])[PRDC], repeats=repeats)
    with contextlib.redirect_stdout(io.StringIO()):
        peer, peer_cost = measured(lambda: compute_prdc(y, x, PRDC.k))
    values = float(ours.balls_around.mean()) / PRDC.k, float(peer["density"])
    row(f"P/R/D/C {n}x{n}x{d}", "one sweep, k=3 and k=5", cost, "prdc, k=5", peer_cost, values)


def memory(n: int, d: int) -> None:
    """Our sweep alone: the features themselves are not counted."""
    x, y = features(n, d, 1), features(n, d, 2)
    _, cost = measured(lambda: sweep(x, y, [IMPROVED, PRDC]))
    print(f"P/R/D/C {n}x{n}x{d}: {cost.seconds:.1f} s, {cost.extra_mib:.0f} MiB beyond the features")


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=1, help="of our side and of eigvals; the fastest counts")
    parser.add_argument("--work", nargs="*", choices=WORKS, default=WORKS)
    parser.add_argument("--memory", type=int, metavar="N", help="only the sweep over N x N, for its memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        memory(options.memory, options.d)
        return
    warnings.simplefilter("ignore")  # the peers' own
    print(f"torch {torch.__version__}, numpy {np.__version__}, {options.threads} threads\n")
    header()
    for work in options.work:
        {"frechet": frechet, "kernel": kernel, "neighbours": neighbours}[work](options.n, options.d, options.repeats)


if __name__ == "__main__":
    main()
