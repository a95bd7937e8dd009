"""Standard errors from values with a part of the images left out."""

from __future__ import annotations

import numpy as np

from genbench.metrics.inputs import Float64


def jackknife_stderr(without: Float64) -> float:
    """Jackknife standard error of an estimate from its (B,) values with one of B images, or equal blocks, left out.

    √((B - 1)/B Σ (without - mean)²); it errs high rather than low (Efron & Stein 1981).
    """
    blocks = len(without)
    return float(((blocks - 1) / blocks * np.square(without - without.mean()).sum()) ** 0.5)
