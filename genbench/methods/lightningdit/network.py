"""LightningDiT's transformer with the official keys.

Yao et al., "Reconstruction vs. Generation: Taming Optimization Dilemma in Latent Diffusion Models" (arXiv:2501.01423).
"""

from __future__ import annotations

from torch import Tensor, nn

from genbench.methods.transformer.blocks import AdaptiveBlock, Attention, FinalLayer, Mlp, Norm, modulation
from genbench.methods.transformer.embeddings import (
    LabelEmbedder,
    PatchEmbed,
    TimestepEmbedder,
    position_embedding,
    unpatchify,
)
from genbench.methods.transformer.normalisation import RMSNorm, layer_norm
from genbench.methods.transformer.rotary import RotationTable
from genbench.methods.transformer.swiglu import SwiGLU


def lightning_block(
    width: int,
    heads: int,
    mlp_ratio: float,
    *,
    use_qknorm: bool,
    use_swiglu: bool,
    use_rmsnorm: bool,
    wo_shift: bool = False,
) -> AdaptiveBlock:
    """The adaptive block with the parts that the options choose; see `LightningDiT`."""
    norm: Norm = RMSNorm if use_rmsnorm else layer_norm
    head_norm: Norm = RMSNorm if use_rmsnorm else nn.LayerNorm
    hidden = int(width * mlp_ratio)
    return AdaptiveBlock(
        attention=Attention(width, heads, head_norm=head_norm if use_qknorm else nn.Identity),
        mlp=SwiGLU(width, int(2 / 3 * hidden)) if use_swiglu else Mlp(width, hidden),
        norms=(norm(width), norm(width)),
        condition=modulation(width, 4 if wo_shift else 6),
    )


class LightningDiT(nn.Module):
    """The transformer. Argument names are those of the official constructor.

    Args:
        input_size: side of the latents.
        patch_size: side p of a patch.
        in_channels: channels C of the latents.
        hidden_size: width D of a token.
        depth: number of blocks.
        num_heads: attention heads; divides `hidden_size`.
        num_classes: classes without the null class, whose index is `num_classes`.
        mlp_ratio: hidden width of the MLP over `hidden_size`; two thirds of it with `use_swiglu`.
        learn_sigma: the network has C more output channels, which are discarded.
        use_qknorm: each head's queries and keys are normed.
        use_swiglu: gated MLP instead of GELU.
        use_rope: rotary positions beside the fixed embedding.
        use_rmsnorm: RMS norms with weights instead of layer norms without.
        wo_shift: blocks scale and gate, but do not shift.
    """

    def __init__(
        self,
        *,
        input_size: int,
        patch_size: int,
        in_channels: int,
        hidden_size: int,
        depth: int,
        num_heads: int,
        num_classes: int,
        mlp_ratio: float = 4.0,
        learn_sigma: bool = False,
        use_qknorm: bool = False,
        use_swiglu: bool = False,
        use_rope: bool = False,
        use_rmsnorm: bool = False,
        wo_shift: bool = False,
    ) -> None:
        super().__init__()
        side = input_size // patch_size
        self.in_channels = in_channels
        self.out_channels = 2 * in_channels if learn_sigma else in_channels
        self.patch_size = patch_size
        self.num_classes = num_classes
        self.x_embedder = PatchEmbed(in_channels, patch_size, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.pos_embed = nn.Parameter(position_embedding(hidden_size, side), requires_grad=False)
        self.feat_rope = RotationTable(hidden_size // num_heads, side) if use_rope else None
        self.blocks = nn.ModuleList(
            lightning_block(
                hidden_size,
                num_heads,
                mlp_ratio,
                use_qknorm=use_qknorm,
                use_swiglu=use_swiglu,
                use_rmsnorm=use_rmsnorm,
                wo_shift=wo_shift,
            )
            for _ in range(depth)
        )
        norm: Norm = RMSNorm if use_rmsnorm else layer_norm
        self.final_layer = FinalLayer(hidden_size, patch_size, self.out_channels, norm=norm)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,) in [0, 1], labels y (N,) => velocity (N, C, H, W)."""
        x = self.x_embedder(x) + self.pos_embed
        condition = self.embed_time(t) + self.y_embedder(y)
        rotation = self.feat_rope() if self.feat_rope is not None else None
        for block in self.blocks:
            x = block(x, condition, rotation)
        return unpatchify(self.final_layer(x, condition), self.patch_size, self.out_channels)[:, : self.in_channels]

    def embed_time(self, t: Tensor) -> Tensor:
        """Times (N,) => (N, D)."""
        return self.t_embedder(t)  # type: ignore[no-any-return]
