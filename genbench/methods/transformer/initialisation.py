"""Initial weights for training, by the official names that the diffusion transformers of genbench share."""

from __future__ import annotations

from torch import nn

FIXED = ("pos_embed",)
ZERO = (".adaLN_modulation.", "final_layer.linear.")
"""Modulations and the output: every block starts as the identity, and the network at zero (DiT, section 3.2)."""
SMALL = ("y_embedder.", "t_embedder.mlp.", "r_embedder.mlp.", "in_context_posemb")


def initialise(network: nn.Module) -> None:
    """Draw weights from torch's generator: Xavier-uniform linears, normal embeddings of deviation 0.02, zero biases.

    Weights of norms stay at one.
    """
    for name, parameter in network.named_parameters():
        if name in FIXED or (parameter.ndim == 1 and name.endswith("weight")):
            continue
        if any(part in f".{name}" for part in ZERO) or name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif name.startswith(SMALL):
            nn.init.normal_(parameter, std=0.02)
        else:
            nn.init.xavier_uniform_(parameter.view(len(parameter), -1))
