"""Initial weights for training, by the official names that the networks of genbench have."""

from __future__ import annotations

from torch import nn

FIXED = ("pos_embed",)
ZERO = (
    # The modulations and the output of diffusion transformers (DiT, section 3.2).
    ".adaLN_modulation.",
    ".final_layer.linear.",
    # The last convolutions of residual blocks and of the network: EDM's U-Nets, then OpenAI's.
    ".conv1.",
    "_aux_conv.",
    ".out_layers.3.",
    ".proj_out.",
    ".out.2.",
)
"""Every residual block starts as the identity, or as its way past, and the network at zero."""
SMALL = (".y_embedder.", ".t_embedder.mlp.", ".r_embedder.mlp.", ".in_context_posemb", ".label_emb.")


def initialise(network: nn.Module) -> None:
    """Draw weights from torch's generator: Xavier-uniform linears, normal embeddings of deviation 0.02, zero biases.

    A convolution counts as a linear of its patches. Weights of norms stay at one.
    """
    for name, parameter in network.named_parameters():
        if name in FIXED or (parameter.ndim == 1 and name.endswith("weight")):
            continue
        if any(part in f".{name}" for part in ZERO) or name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif any(part in f".{name}" for part in SMALL):
            nn.init.normal_(parameter, std=0.02)
        else:
            nn.init.xavier_uniform_(parameter.view(len(parameter), -1))
