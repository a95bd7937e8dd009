"""Likelihood of held-out images, and copies of training images."""

from __future__ import annotations

from genbench.metrics.catalog.statistic import BINOMIAL, PAIRS, Statistic

MEMORISATION = (
    Statistic(
        name="fld",
        label="FLD",
        direction="lower",
        needs=frozenset({"features", "held-out features"}),
        title="negative log-likelihood of held-out images under Gaussians on generated ones, less that on real ones",
        source="Jiralerspong et al. 2023, arXiv:2302.04440",
        stderr="none",
        bias="changes with n up to 10,000, the most that are read: compare equal n",
        cost="a distance and 4 bytes for each pair of a generated and a training image; widths by Adam",
        entry="genbench.metrics.likelihood:measure_fld",
        version=2,
        home="dinov2-l-dgm",
    ),
    Statistic(
        name="authpct",
        label="AuthPct",
        direction="higher",
        needs=frozenset({"features"}),
        title="percent of images farther from their nearest training image than it is from its own nearest",
        source="Alaa et al. 2022, arXiv:2102.08921",
        stderr=BINOMIAL,
        bias="none over draws of images; changes with the size of the training set",
        cost=PAIRS,
        entry="genbench.metrics.memorisation:measure_authpct",
        home="dinov2-l-dgm",
    ),
    Statistic(
        name="c-t",
        label="C_T",
        direction="higher",
        needs=frozenset({"features", "held-out features"}),
        title="z-score by which generated images are farther from the training set than held-out ones",
        source="Meehan et al. 2020, arXiv:2004.05675",
        stderr="none",
        bias="a z-score: where distances differ it grows with the number of images",
        cost="64 components and 3 cells of the training set; pairs within a cell",
        entry="genbench.metrics.memorisation:measure_c_t",
        version=2,
        home="dinov2-l-dgm",
    ),
)
