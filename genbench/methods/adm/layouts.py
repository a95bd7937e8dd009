"""The two published layouts of the U-Net's weights: OpenAI's keys, and those of diffusers' ``UNet2DModel``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

_RENAMED = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
    "group_norm": "norm",
    "to_out.0": "proj_out",
}
"""Layers of a residual block and of attention: diffusers' names => OpenAI's."""
_PROJECTIONS = ("to_q", "to_k", "to_v")


def openai_keys(state: Mapping[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state with OpenAI's keys, whichever of the two it came with; `network` holds the arguments of `ADMUNet`.

    What diffusers' layout does not know keeps its key. Queries, keys and values become one tensor.
    """
    if "conv_in.weight" not in state:
        return dict(state)
    places = dict(_places(network))
    return _joined({_renamed(key, places): value for key, value in state.items()})


def _renamed(key: str, places: Mapping[str, str]) -> str:
    path, _, kind = key.rpartition(".")
    layer: list[str] = []
    while path and path not in places:
        path, _, last = path.rpartition(".")
        layer.insert(0, last)
    inside = ".".join(layer)
    return ".".join(part for part in (places.get(path), _RENAMED.get(inside, inside), kind) if part)


def _joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Attention's linear layers as 1x1 convolutions, its three projections as one."""
    joined = {key: value for key, value in state.items() if not any(f".{name}." in key for name in _PROJECTIONS)}
    for key in state:
        if ".to_q." in key:
            parts = [state[place] for name in _PROJECTIONS if (place := key.replace("to_q", name)) in state]
            joined[key.replace("to_q", "qkv")] = torch.cat(parts)
    return {
        key: value[:, :, None, None] if value.ndim == 2 and (".qkv." in key or ".proj_out." in key) else value
        for key, value in joined.items()
    }


def _places(network: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """diffusers' name and OpenAI's of every module that holds layers."""
    yield from (
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("class_embedding", "label_emb"),
        ("conv_in", "input_blocks.0.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
        ("mid_block.resnets.0", "middle_block.0"),
        ("mid_block.attentions.0", "middle_block.1"),
        ("mid_block.resnets.1", "middle_block.2"),
    )
    levels, blocks = len(network["channel_mult"]), network["num_res_blocks"]
    sides = [network["image_size"] // 2**level for level in range(levels)]
    attended = [side in network["attention_resolutions"] for side in sides]
    yield from _on_the_way("down", "input_blocks", 1, attended, blocks)
    yield from _on_the_way("up", "output_blocks", 0, attended[::-1], blocks + 1)


def _on_the_way(way: str, list_name: str, first: int, attended: list[bool], blocks: int) -> Iterator[tuple[str, str]]:
    """The modules of one way, level by level; what changes the size closes every level but the last."""
    stage = first
    for level, attention in enumerate(attended):
        for index in range(blocks):
            yield f"{way}_blocks.{level}.resnets.{index}", f"{list_name}.{stage}.0"
            if attention:
                yield f"{way}_blocks.{level}.attentions.{index}", f"{list_name}.{stage}.1"
            stage += 1
        if level == len(attended) - 1:
            continue
        if way == "down":
            yield f"down_blocks.{level}.downsamplers.0", f"{list_name}.{stage}.0"
            stage += 1
        else:
            yield f"up_blocks.{level}.upsamplers.0", f"{list_name}.{stage - 1}.{1 + attention}"
