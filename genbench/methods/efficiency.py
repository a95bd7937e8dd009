"""What one image costs in arithmetic, counted while one is sampled."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from genbench.methods.catalog import Sampler
from genbench.methods.noise import Noise
from genbench.methods.weight_formats import own_bytes, weight_bits


class Efficiency(NamedTuple):
    """Of one image: every network that is called, as often as it is, guidance and the latent decoder included."""

    flops: int
    """Floating-point operations of matrix products, convolutions and attention; a multiply-add counts as two, where
    papers that print GFLOPs often count it as one."""
    bops: int
    """Σ multiply-adds · bits of a weight · bits of an activation over linear and convolution layers, as the papers on
    quantised diffusion count bit operations (Q-Diffusion, CacheQuant); attention's products have no weights."""
    weight_bytes: int
    """Parameters of every module that was called, quantised ones packed."""


def count(sampler: Sampler, noise: Noise, labels: Tensor) -> Efficiency | None:
    """Sample the image of one generator and label (1,), and count; the image is dropped.

    None for a sampler that does nothing that can be counted. Attention is computed by its defining products meanwhile:
    torch counts none for the fused kernel of a CPU.
    """
    bops = 0
    called: dict[int, int] = {}

    def note(module: nn.Module, _: tuple[Any, ...], output: Any) -> None:
        nonlocal bops
        called[id(module)] = own_bytes(module)
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            bops += _multiply_adds(module, output) * weight_bits(module) * 8 * output.element_size()

    hook = nn.modules.module.register_module_forward_hook(note)
    try:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            # A compiled module calls the hook once more for its wrapper, which has no parameters and is no layer.
            warnings.filterwarnings("ignore", "Using `torch.compile", UserWarning)
            sampler.sample(noise, labels)
    finally:
        hook.remove()
    flops = counter.get_total_flops()
    return Efficiency(flops, bops, sum(called.values())) if flops else None


def _multiply_adds(module: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d, output: Tensor) -> int:
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size)
