"""Statistics against their peers, on the same features in one process, in turn.

python benchmarks/metrics_speed.py                      10,000 x 10,000 x 2,048, as the table in the README
python benchmarks/metrics_speed.py --n 2000 --d 512     a smaller run, whose ratios say little
python benchmarks/metrics_speed.py --memory 50000       only our sweep over 50,000 x 50,000, for its memory

Features have the mean and covariance of pool3 over the embedded data set, and are rectified as pool3 is; the generated
side is mixed a little. The floor is the arithmetic that the method cannot do without, at the rate of plain products.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from compare import Timed, alternated, float32_rate, float64_rate, measured

from genbench.metrics.balls import IMPROVED, PRDC
from genbench.metrics.frechet import frechet_distance, frechet_distance_of_moments
from genbench.metrics.kernel import kernel_distance
from genbench.metrics.moments import Moments
from genbench.metrics.neighbours import sweep
from genbench.metrics.reference import Reference
from genbench.paths import data_folders

WORKS = ("frechet", "kernel", "neighbours")
_ROWS = 2000


class Row(NamedTuple):
    """One comparison."""

    work: str
    ours: str
    seconds: float
    cpu_seconds: float
    extra_mib: float
    peer: str
    peer_seconds: float
    peer_cpu_seconds: float
    peer_extra_mib: float
    floor_seconds: float | None
    difference: float | None
    """Relative, between our value and the peer's; None where the peer only estimates it."""


def features(n: int, d: int, *, generated: bool) -> np.ndarray:
    """(n, d) float32 with the spectrum of pool3 features, d <= 2048."""
    place = "references/emoji32-train/inception-tf.safetensors"
    pool3 = next(Reference.load(path) for folder in data_folders("registry", None) if (path := folder / place).exists())
    mean, factor = pool3.mean[:d].astype(np.float32), np.linalg.cholesky(pool3.cov[:d, :d]).T.astype(np.float32)
    if generated:
        factor = 0.95 * factor + 0.06 * factor[:, ::-1]
    rng = np.random.default_rng(int(generated))
    blocks = (rng.standard_normal((min(_ROWS, n - start), d), dtype=np.float32) for start in range(0, n, _ROWS))
    return np.concatenate([np.maximum(block @ factor + mean, 0) for block in blocks])


def fresh(moments: Moments) -> Moments:
    """The same moments with nothing computed from them yet."""
    again = Moments(moments.n, moments.mean, moments.scatter)
    _ = again.cov
    return again


def compared(
    work: str, ours: dict[str, tuple[Timed, float | None]], peers: dict[str, Timed], *, alike: bool
) -> Iterator[Row]:
    """Every way of ours, with its floor in seconds, beside every peer."""
    for peer, theirs in peers.items():
        for way, (found, floor) in ours.items():
            difference = abs(found.value - theirs.value) / abs(theirs.value) if alike else None
            yield Row(work, way, *found.cost, peer, *theirs.cost, floor, difference)


def frechet(n: int, d: int, rounds: int) -> Iterator[Row]:
    """FD from moments that exist: with nothing cached, and with the reference's factor cached."""
    from cleanfid.fid import frechet_distance as clean_fid
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    generated = features(n, d, generated=True)
    x, y = fresh(Moments.from_features(generated)), fresh(Moments.from_features(features(n, d, generated=False)))
    cached = fresh(y)
    _ = cached.factor
    sides = [{"mu": side.mean, "sigma": side.cov} for side in (x, y)]
    cold, warm, whole = "nothing cached", "reference's factor cached", f"with standard error, from {n} features"
    alone, inner = "LAPACK's eigenvalues of the congruence alone", cached.factor.T @ x.cov @ cached.factor
    eigvals, sqrtm = "torch-fidelity eigvals", "clean-fid sqrtm"
    calls: dict[str, Callable[[], float]] = {
        cold: lambda: frechet_distance_of_moments(x, fresh(y)),
        warm: lambda: frechet_distance_of_moments(x, cached),
        whole: lambda: frechet_distance(generated, cached).value,
        alone: lambda: float(np.sqrt(np.linalg.eigvalsh(inner.T).clip(min=0)).sum()),
        eigvals: lambda: float(fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]),
    }
    timed = alternated(calls, rounds)
    peers = {eigvals: timed[eigvals]}
    if _sqrtm_has_disp():
        peers |= alternated({sqrtm: lambda: float(clean_fid(x.mean, x.cov, y.mean, y.cov))}, 1)
    # Congruence d³, tridiagonal form 4/3 d³, and Cholesky's factor d³/3.
    cube = d**3 / float64_rate()
    ours = {cold: (timed[cold], 8 / 3 * cube), warm: (timed[warm], 7 / 3 * cube), whole: (timed[whole], None)}
    yield from compared(f"FD, d = {d}", ours, peers, alike=True)
    yield from compared(f"FD, d = {d}", {alone: (timed[alone], 4 / 3 * cube)}, peers, alike=False)


def _sqrtm_has_disp() -> bool:
    import inspect

    import scipy.linalg

    return "disp" in inspect.signature(scipy.linalg.sqrtm).parameters


def kernel(n: int, d: int, rounds: int) -> Iterator[Row]:
    """KD over all pairs against 100 subsets of 1,000, which estimate it."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(n, d, generated=True), features(n, d, generated=False)
    sides, size = (torch.from_numpy(x), torch.from_numpy(y)), min(1000, n)
    exact, subsets = "all pairs", f"torch-fidelity, 100 subsets of {size}"

    def theirs() -> float:
        return float(kid_features_to_metric(*sides, kid_subset_size=size, verbose=False)[_KID])

    timed = alternated({exact: lambda: kernel_distance(x, y).value, subsets: theirs}, rounds)
    ours = {exact: (timed[exact], _all_pairs(n, d) / float32_rate())}
    yield from compared(f"KD, {n} x {n} x {d}", ours, {subsets: timed[subsets]}, alike=False)


_KID = "kernel_inception_distance_mean"


def neighbours(n: int, d: int, rounds: int) -> Iterator[Row]:
    """Precision, recall, density and coverage (k = 5), and precision and recall of k = 3 from the same sweep."""
    from prdc import compute_prdc

    x, y = features(n, d, generated=True), features(n, d, generated=False)

    def theirs() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            return float(compute_prdc(y, x, PRDC.k)["density"])

    swept, peer = "one sweep, k = 3 and 5", "prdc, k = 5"
    calls = {swept: lambda: float(sweep(x, y, [IMPROVED, PRDC])[PRDC].balls_around.mean()) / PRDC.k, peer: theirs}
    timed = alternated(calls, rounds)
    ours = {swept: (timed[swept], _all_pairs(n, d) / float32_rate())}
    yield from compared(f"P/R/D/C, {n} x {n} x {d}", ours, {peer: timed[peer]}, alike=True)


def _all_pairs(n: int, d: int) -> float:
    """Operations of products of all pairs across two sets of n, and of half of them within each."""
    return 4.0 * n * n * d


def memory(n: int, d: int) -> None:
    """Our sweep alone: the features themselves are not counted."""
    x, y = features(n, d, generated=True), features(n, d, generated=False)
    _, cost = measured(lambda: sweep(x, y, [IMPROVED, PRDC]))
    print(f"P/R/D/C {n}x{n}x{d}: {cost.seconds:.1f} s, {cost.extra_mib:.0f} MiB beyond the features")


def report(rows: Iterator[Row], options: argparse.Namespace) -> None:
    """A Markdown table, or JSON lines, as rows are known."""
    if not options.json:
        print(f"torch {torch.__version__}, numpy {np.__version__}, {options.threads} threads\n")
        print("| work | ours | s | CPU s | MiB | peer | s | CPU s | MiB | ratio | floor s | rel. difference |")
        print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        if options.json:
            print(json.dumps(row._asdict()), flush=True)
            continue
        floor = "" if row.floor_seconds is None else f"{row.floor_seconds:.2f}"
        difference = "" if row.difference is None else f"{row.difference:.1e}"
        print(
            f"| {row.work} | {row.ours} | {row.seconds:.2f} | {row.cpu_seconds:.2f} | {row.extra_mib:.0f} "
            f"| {row.peer} | {row.peer_seconds:.2f} | {row.peer_cpu_seconds:.2f} | {row.peer_extra_mib:.0f} "
            f"| {row.peer_seconds / row.seconds:.1f}x | {floor} | {difference} |",
            flush=True,
        )


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--d", type=int, default=2048, help="at most 2048")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=1, help="of all but clean-fid's sqrtm; the fastest counts")
    parser.add_argument("--work", nargs="*", choices=WORKS, default=WORKS)
    parser.add_argument("--memory", type=int, metavar="N", help="only the sweep over N x N, for its memory")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        memory(options.memory, options.d)
        return
    warnings.simplefilter("ignore")  # the peers' own
    works = {"frechet": frechet, "kernel": kernel, "neighbours": neighbours}
    report((row for work in options.work for row in works[work](options.n, options.d, options.rounds)), options)


if __name__ == "__main__":
    main()
