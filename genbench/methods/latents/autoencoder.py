"""The KL autoencoder of latent diffusion (Rombach et al., arXiv:2112.10752): diffusers' module under any of its keys.

Its weights come in three layouts: diffusers', diffusers' of before 2023 (``query``, ``proj_attn``), and that of the
latent-diffusion code, which VA-VAE and the autoencoders of REPA-E and iREPA keep.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import UsageError
from genbench.methods.latents.settings import AutoencoderNetwork
from genbench.methods.networks import build, parameters

_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
"""What is the autoencoder's; a training checkpoint also holds losses and teachers."""

_RENAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\.(?:down|up)\.(\d+)\.block\.(\d+)\.", r".level.\1.resnets.\2."),
        (r"\.(?:down|up)\.(\d+)\.attn\.(\d+)\.", r".level.\1.attentions.\2."),
        (r"\.down\.(\d+)\.downsample\.", r".level.\1.downsamplers.0."),
        (r"\.up\.(\d+)\.upsample\.", r".level.\1.upsamplers.0."),
        (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
        (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
        (r"\.mid\.attn_1\.", ".mid_block.attentions.0."),
        (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
        (r"(attentions\.\d+)\.(?:q|query)\.", r"\1.to_q."),
        (r"(attentions\.\d+)\.(?:k|key)\.", r"\1.to_k."),
        (r"(attentions\.\d+)\.(?:v|value)\.", r"\1.to_v."),
        (r"(attentions\.\d+)\.(?:proj_out|proj_attn)\.", r"\1.to_out.0."),
        (r"\.nin_shortcut\.", ".conv_shortcut."),
        (r"\.norm_out\.", ".conv_norm_out."),
    )
)


class Autoencoder:
    """The autoencoder with its weights, in whichever layout they are.

    Raises `WeightsError` for weights that do not fit, and `UsageError` when diffusers is not installed.
    """

    def __init__(self, network: AutoencoderNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        renamed = None if state is None else standard_keys(state, len(network.widths))
        self._module: Any = build(lambda: module(network), renamed, device, name="latent")
        self.parameters = parameters(self._module)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) in the autoencoder's own scale => float32 (N, 3, H, W), about [-1, 1]."""
        decoded: Tensor = self._module.decode(latents).sample
        return decoded

    @torch.inference_mode()
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [-1, 1] => mean and logarithm of the variance of their latents, (N, C, h, w) each.

        The logarithm is clamped to [-30, 20].
        """
        posterior = self._module.encode(images).latent_dist
        return posterior.mean, posterior.logvar


def module(network: AutoencoderNetwork) -> nn.Module:
    """diffusers' module, not filled. Raises `UsageError` when diffusers is not installed."""
    levels = range(len(network.widths))
    downs = ["AttnDownEncoderBlock2D" if level in network.attention else "DownEncoderBlock2D" for level in levels]
    ups = ["AttnUpDecoderBlock2D" if level in network.attention else "UpDecoderBlock2D" for level in levels]
    built: nn.Module = _autoencoder_class()(
        down_block_types=tuple(downs),
        up_block_types=tuple(reversed(ups)),
        block_out_channels=network.widths,
        layers_per_block=network.blocks,
        latent_channels=network.latent_channels,
        norm_num_groups=network.groups,
    )
    return built


def standard_keys(state: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The autoencoder's tensors under diffusers' present keys; what is not the autoencoder's is left out.

    Latent diffusion counts the decoder's levels from the finest and projects attention by 1x1 convolutions, diffusers
    counts from the coarsest and projects by matrices.
    """
    return {
        _standard(key, levels): value.flatten(1) if _projection(key) and value.ndim == 4 else value
        for key, value in state.items()
        if key.startswith(_PARTS)
    }


def _projection(key: str) -> bool:
    return re.search(r"attn(?:_1|\.\d+)\.(?:q|k|v|proj_out)\.weight$", key) is not None


def _standard(key: str, levels: int) -> str:
    for pattern, replacement in _RENAMES:
        key = pattern.sub(replacement, key)
    level = re.search(r"\.level\.(\d+)\.", key)
    if level is None:
        return key
    number = int(level[1])
    blocks = f"down_blocks.{number}" if key.startswith("encoder.") else f"up_blocks.{levels - 1 - number}"
    return key.replace(level[0], f".{blocks}.")


def _autoencoder_class() -> Any:
    try:
        from diffusers import AutoencoderKL
    except ImportError as error:
        raise UsageError(
            "latents are decoded by diffusers, which is not installed", hint='pip install "genbench[latents]"'
        ) from error
    return AutoencoderKL
