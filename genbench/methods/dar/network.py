"""D-AR's transformer with the official keys (Gao & Shou, arXiv:2505.23660): LlamaGen's, over tokens on a line."""

from __future__ import annotations

import torch

from genbench.methods.llamagen.network import LlamaGen
from genbench.methods.transformer.rotary import Rotation, line_rotation


class DAR(LlamaGen):
    """LlamaGen's transformer, whose T tokens have one coordinate. Its arguments are those of `LlamaGen`."""

    def rotation(self, device: torch.device) -> Rotation:
        """Of the class and of every token, (1 + T, head width): the class is at position 0, token i at 1 + i."""
        return line_rotation(self.head_width, 1 + self.block_size, device)
