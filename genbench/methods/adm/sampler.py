"""What the samplers of the ADM U-Net share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genbench.methods.adm.layouts import openai_keys
from genbench.methods.adm.network import COLOURS
from genbench.methods.sampler import M, NetworkSampler, S


class ADMSampler(NetworkSampler[M, S]):
    """Samples images as large as the network's, with weights from either of the published layouts."""

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """Everything, with OpenAI's keys."""
        return openai_keys(state, network)

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (3, H, W) of one draw and one image."""
        return COLOURS, network["image_size"], network["image_size"]
