"""D-AR's sampler: LlamaGen's, with guidance that grows from token to token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dar.network import DAR
from genbench.methods.dar.settings import DARSettings
from genbench.methods.dar.tokenizer import DARTokenizer
from genbench.methods.llamagen.sampler import LlamaGenSampler
from genbench.methods.sampler import check_codes

_COMPILED = "_orig_mod."
"""What keys begin with that were saved of a network under ``torch.compile``."""


class DARSampler(LlamaGenSampler):
    """The transformer with its tokenizer and one preset. See `DARSettings` for what each setting means.

    What it samples are the tokenizer's latents, from which the tokenizer's flow draws the image. Raises `ConfigError`
    for a tokenizer of another number of tokens than the transformer's, besides what `LlamaGenSampler` does.
    """

    name = "D-AR"
    module = DAR
    settings: DARSettings
    tokenizer: DARTokenizer

    def prepare(self) -> None:
        """As LlamaGen's; the tokenizer also has so many tokens and no other."""
        super().prepare()
        check_codes(f"{self.network.block_size} tokens", f"{self.tokenizer.tokens} tokens")

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """Under the keys of a network that was not compiled."""
        return super().kept({key.removeprefix(_COMPILED): value for key, value in state.items()}, network)

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (1, 1, T) of the line of codes."""
        return 1, 1, self.network.block_size

    def scales(self) -> list[float]:
        """Guidance of each token in turn, from `cfg` to `cfg_end`."""
        s = self.settings
        end = s.cfg if s.cfg_end is None else s.cfg_end
        return torch.linspace(s.cfg, end, self.network.block_size).tolist()
