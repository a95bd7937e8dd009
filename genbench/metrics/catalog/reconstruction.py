"""Reconstructions against their originals."""

from __future__ import annotations

from genbench.metrics.catalog.statistic import INFLUENCE, OVER_IMAGES, Statistic

RECONSTRUCTION = (
    Statistic(
        name="psnr",
        label="PSNR",
        direction="higher",
        needs=frozenset({"originals"}),
        title="peak signal-to-noise ratio to the original in dB, range 255; mean over images",
        source="the field's custom",
        stderr=OVER_IMAGES,
        entry="genbench.metrics.pairs:measure_mean_of_pairs",
        home="pixels/psnr",
        layer="psnr",
    ),
    Statistic(
        name="ssim",
        label="SSIM",
        direction="higher",
        needs=frozenset({"originals"}),
        title="structural similarity to the original, Gaussian window of 11x11, mean over images",
        source="Wang et al. 2004, doi:10.1109/TIP.2003.819861",
        stderr=OVER_IMAGES,
        entry="genbench.metrics.pairs:measure_mean_of_pairs",
        home="pixels/ssim",
        layer="ssim",
    ),
    Statistic(
        name="lpips",
        label="LPIPS",
        direction="lower",
        needs=frozenset({"originals"}),
        title="LPIPS distance to the original, VGG-16, version 0.1, mean over images",
        source="Zhang et al. 2018, arXiv:1801.03924",
        stderr=OVER_IMAGES,
        entry="genbench.metrics.pairs:measure_mean_of_pairs",
        home="vgg16-lpips/pairs",
        layer="pairs",
    ),
    Statistic(
        name="rfd",
        label="rFD",
        direction="lower",
        needs=frozenset({"moments", "originals"}),
        title="Fréchet distance of reconstructions to their originals",
        source="Heusel et al. 2017, arXiv:1706.08500",
        stderr=INFLUENCE,
        entry="genbench.metrics.frechet:measure_fd",
    ),
)
