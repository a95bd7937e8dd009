"""Arguments of the ADM U-Net as configurations of reference vectors record them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genbench.errors import ConfigError
from genbench.methods.adm.settings import ADMNetwork
from genbench.schema import check

_USUAL_WIDTHS = {512: (0.5, 1, 1, 2, 2, 4, 4), 256: (1, 1, 2, 2, 4, 4), 128: (1, 1, 2, 3, 4), 64: (1, 2, 3, 4)}
"""What ``create_model`` takes for an empty ``channel_mult``, by the image's side."""


def created(given: Mapping[str, Any], classes: int | None, where: str) -> dict[str, Any]:
    """Arguments of `ADMUNet` from those of OpenAI's ``create_model``, less what sampling does not use.

    Raises `ConfigError` where the authors' function would build a network that genbench has not.
    """
    if given["learn_sigma"]:
        raise ConfigError(f"{where}: learn_sigma", hint="consistency models have no variance half")
    widths = str(given["channel_mult"])
    arguments = {
        "image_size": given["image_size"],
        "num_channels": given["num_channels"],
        "num_res_blocks": given["num_res_blocks"],
        "channel_mult": widths.split(",") if widths else _USUAL_WIDTHS.get(given["image_size"]),
        "attention_resolutions": str(given["attention_resolutions"]).split(","),
        "num_head_channels": None if given["num_head_channels"] == -1 else given["num_head_channels"],
        "num_heads": given["num_heads"],
        "num_classes": classes if given["class_cond"] else None,
        "use_scale_shift_norm": given["use_scale_shift_norm"],
        "resblock_updown": given["resblock_updown"],
    }
    return check(ADMNetwork, arguments, where).model_dump()


def unet2d(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Arguments of `ADMUNet` from the configuration of diffusers' ``UNet2DModel``.

    Raises `ConfigError` where its levels are no multiples of the first, or do not change size as ADM's do.
    """
    if {given["downsample_type"], given["upsample_type"]} != {"resnet"}:
        raise ConfigError(f"{where}: sizes change by convolutions", hint='genbench has downsample_type = "resnet"')
    widths = given["block_out_channels"]
    sides = [given["sample_size"] // 2**level for level in range(len(widths))]
    arguments = {
        "image_size": given["sample_size"],
        "num_channels": widths[0],
        "num_res_blocks": given["layers_per_block"],
        "channel_mult": [width / widths[0] for width in widths],
        "attention_resolutions": [
            s for s, kind in zip(sides, given["down_block_types"], strict=True) if "Attn" in kind
        ],
        "num_head_channels": given["attention_head_dim"],
        **({} if given["attention_head_dim"] else {"num_heads": 1}),
        "num_classes": given["num_class_embeds"],
        "use_scale_shift_norm": given["resnet_time_scale_shift"] == "scale_shift",
    }
    return check(ADMNetwork, arguments, where).model_dump()
