"""The keys of convolutional autoencoders: each of their layouts as diffusers' present one.

Weights come in five: diffusers', diffusers' of before 2023 (``query``, ``proj_attn``), that of the latent-diffusion
code, which VA-VAE and the autoencoders of REPA-E, iREPA and MAR keep, VAR's, which fuses its attention's projections,
and LlamaGen's, which numbers levels in the order they run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
"""What is the autoencoder's; a training checkpoint also holds losses and teachers."""

_RENAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\.(?:down|up)\.(\d+)\.block\.(\d+)\.", r".level.\1.resnets.\2."),
        (r"\.(?:down|up)\.(\d+)\.attn\.(\d+)\.", r".level.\1.attentions.\2."),
        (r"\.down\.(\d+)\.downsample\.", r".level.\1.downsamplers.0."),
        (r"\.up\.(\d+)\.upsample\.", r".level.\1.upsamplers.0."),
        (r"\.conv_blocks\.(\d+)\.res\.(\d+)\.", r".stage.\1.resnets.\2."),
        (r"\.conv_blocks\.(\d+)\.attn\.(\d+)\.", r".stage.\1.attentions.\2."),
        (r"\.conv_blocks\.(\d+)\.downsample\.", r".stage.\1.downsamplers.0."),
        (r"\.conv_blocks\.(\d+)\.upsample\.", r".stage.\1.upsamplers.0."),
        (r"\.mid\.(?:block_1|0)\.", ".mid_block.resnets.0."),
        (r"\.mid\.(?:attn_1|1)\.", ".mid_block.attentions.0."),
        (r"\.mid\.(?:block_2|2)\.", ".mid_block.resnets.1."),
        (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
        (r"(attentions\.\d+)\.(?:q|query)\.", r"\1.to_q."),
        (r"(attentions\.\d+)\.(?:k|key)\.", r"\1.to_k."),
        (r"(attentions\.\d+)\.(?:v|value)\.", r"\1.to_v."),
        (r"(attentions\.\d+)\.(?:proj_out|proj_attn)\.", r"\1.to_out.0."),
        (r"\.nin_shortcut\.", ".conv_shortcut."),
        (r"\.norm_out\.", ".conv_norm_out."),
    )
)


def standard_keys(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The autoencoder's tensors under diffusers' present keys; what is not the autoencoder's is left out.

    Latent diffusion counts the decoder's levels from the finest and projects attention by 1x1 convolutions, diffusers
    counts from the coarsest and projects by matrices.
    """
    found = {}
    for key, value in _separate(state):
        name = _standard(key, levels)
        found[name] = value.flatten(1) if ".attentions." in name and value.ndim == 4 else value
    return found


def _separate(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The autoencoder's tensors, with one each for query, key and value where they are one."""
    for key, value in state.items():
        if not key.startswith(_PARTS):
            continue
        if ".qkv." in key:
            for name, part in zip("qkv", value.chunk(3), strict=True):
                yield key.replace(".qkv.", f".{name}."), part
        else:
            yield key, value


def _standard(key: str, levels: int) -> str:
    for pattern, replacement in _RENAMES:
        key = pattern.sub(replacement, key)
    numbered = re.search(r"\.(level|stage)\.(\d+)\.", key)
    if numbered is None:
        return key
    number = int(numbered[2])
    if key.startswith("encoder."):
        return key.replace(numbered[0], f".down_blocks.{number}.")
    return key.replace(numbered[0], f".up_blocks.{number if numbered[1] == 'stage' else levels - 1 - number}.")
