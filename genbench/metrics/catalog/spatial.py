"""Spatial structure of images against the reference."""

from __future__ import annotations

from genbench.metrics.catalog.statistic import FRECHET, INFLUENCE, JACKKNIFE, PAIRS, UNBIASED, UPWARDS, Statistic

SPATIAL = (
    Statistic(
        name="ssw",
        label="SSW",
        direction="lower",
        needs=frozenset({"features"}),
        title="Wasserstein-1 distance of the images' LDS, CDS and RMSC, in the reference's standard deviations",
        source="genbench; statistics of Singh et al. 2025, arXiv:2512.10794, over the ranges of their script",
        stderr="influence function; finite sets of one distribution are about 1.3 √(1/n + 1/m) apart",
        bias="upwards: two samples of one distribution are about 1.3 √(1/n + 1/m) apart",
        cost="a sort of n + m, three times",
        entry="genbench.metrics.spatial.distances:measure_ssw",
        home="dinov2-b-reg/correlogram",
        layer="correlogram",
    ),
    Statistic(
        name="cfd",
        label="CFD",
        direction="lower",
        needs=frozenset({"moments"}),
        title="Fréchet distance of correlograms, each distance in standard deviations of the reference",
        source="genbench; correlograms of Singh et al. 2025, arXiv:2512.10794",
        stderr=INFLUENCE,
        bias=UPWARDS,
        cost=FRECHET,
        entry="genbench.metrics.spatial.distances:measure_cfd",
        home="dinov2-b-reg/correlogram",
        layer="correlogram",
    ),
    Statistic(
        name="lsd",
        label="LSD",
        direction="lower",
        needs=frozenset({"features"}),
        title="kernel distance of layouts: which of 4x4 regions of an image resemble which",
        source="genbench; self-similarity of Shechtman & Irani 2007, kernel of arXiv:1801.01401",
        stderr=JACKKNIFE,
        bias=UNBIASED,
        cost=PAIRS,
        entry="genbench.metrics.spatial.distances:measure_lsd",
        home="dinov2-b-reg/layout",
        layer="layout",
    ),
)
