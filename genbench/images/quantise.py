"""Floats to uint8: the one place where a sampler's output becomes pixels.

Which rule a method's authors used moves its FID, so it is declared on the card and covered by the run's digest.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from genbench.errors import ImageError

Rule = Literal["round", "half", "truncate"]


def to_uint8(images: Tensor, rule: Rule) -> Tensor:
    """Images in [-1, 1], float (N, 3, H, W), as uint8 of the same shape and device; what lies outside is clamped.

    - ``round``: 127.5 x + 128, truncated (DiT, SiT, EDM, LightningDiT)
    - ``half``: (x + 1) 127.5 + 0.5, truncated (DDT)
    - ``truncate``: (x + 1) 127.5, truncated (ADM, REPA, VAR)

    ``round`` and ``half`` are the same real function and differ in the last bit of float32, hence in a few pixels;
    each is computed in the order of operations written above. Half precision is widened to float32 first.

    Raises `ImageError` if a value is NaN or infinite, and `ValueError` for another shape, dtype or rule.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(f"expected float (N, 3, H, W), not {images.dtype} {tuple(images.shape)}")
    x = images if images.dtype == torch.float64 else images.float()
    _refuse_non_finite(x)
    if rule == "round":
        scaled = 127.5 * x + 128
    elif rule == "half":
        scaled = (x + 1) * 127.5 + 0.5
    elif rule == "truncate":
        scaled = (x + 1) * 127.5
    else:
        raise ValueError(f"no quantisation rule named {rule!r}: round, half and truncate are known")
    return scaled.clamp_(0, 255).to(torch.uint8)


def _refuse_non_finite(images: Tensor) -> None:
    finite = images.isfinite().flatten(1).all(1)
    if not finite.all():
        bad = (~finite).nonzero().flatten().tolist()
        raise ImageError(
            f"{len(bad)} of {len(images)} sampled images hold NaN or infinity, the first at index {bad[0]}",
            hint="the sampler diverged: try more steps, less guidance, or float32 instead of half precision",
        )
