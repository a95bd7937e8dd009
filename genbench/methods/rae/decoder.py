"""RAE's image decoder with the official keys: the decoder of a masked autoencoder (He et al., arXiv:2111.06377)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.networks import build, parameters
from genbench.methods.rae.settings import DecoderNetwork, ImageDecoderNetwork
from genbench.methods.transformer.embeddings import position_embedding, unpatchify


class _Attention(nn.Module):
    """Attention with a Linear each for query, key and value, named as in Hugging Face's ViT."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        q, k, v = (
            self.attention[name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self.output["dense"](attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class _Layer(nn.Module):
    """Pre-norm attention and MLP with the exact GELU."""

    def __init__(self, width: int, hidden: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(width, eps=epsilon)
        self.attention = _Attention(width, heads)
        self.layernorm_after = nn.LayerNorm(width, eps=epsilon)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.output = nn.ModuleDict({"dense": nn.Linear(hidden, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        x = x + self.attention(self.layernorm_before(x))
        hidden = functional.gelu(self.intermediate["dense"](self.layernorm_after(x)))
        return x + self.output["dense"](hidden)  # type: ignore[no-any-return]


class RAEDecoder(nn.Module):
    """The decoder. Argument names are those of the official configuration.

    Args:
        hidden_size: channels of a latent.
        decoder_hidden_size: width of a token.
        decoder_intermediate_size: hidden width of the MLPs.
        decoder_num_attention_heads: heads.
        decoder_num_hidden_layers: layers.
        image_size: side of the image in pixels.
        patch_size: side p of a token's patch in pixels.
        num_channels: channels of the image.
        layer_norm_eps: of every layer norm.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        decoder_hidden_size: int,
        decoder_intermediate_size: int,
        decoder_num_attention_heads: int,
        decoder_num_hidden_layers: int,
        image_size: int,
        patch_size: int,
        num_channels: int = 3,
        layer_norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        width, side = decoder_hidden_size, image_size // patch_size
        self.patch_size = patch_size
        self.num_channels = num_channels
        self.decoder_embed = nn.Linear(hidden_size, width)
        self.trainable_cls_token = nn.Parameter(torch.zeros(1, 1, width))
        positions = position_embedding(width, side)
        self.decoder_pos_embed = nn.Parameter(
            torch.cat([positions.new_zeros(1, 1, width), positions], dim=1), requires_grad=False
        )
        self.decoder_layers = nn.ModuleList(
            _Layer(width, decoder_intermediate_size, decoder_num_attention_heads, layer_norm_eps)
            for _ in range(decoder_num_hidden_layers)
        )
        self.decoder_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.decoder_pred = nn.Linear(width, patch_size**2 * num_channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Latent cells (N, T, C) in the encoder's units => patches (N, T, p·p·3), each as (row, column, channel)."""
        x = self.decoder_embed(tokens)
        x = torch.cat([self.trainable_cls_token.expand(len(x), -1, -1), x], dim=1) + self.decoder_pos_embed
        for layer in self.decoder_layers:
            x = layer(x)
        return self.decoder_pred(self.decoder_norm(x))[:, 1:]  # type: ignore[no-any-return]

    def images(self, latents: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
        """Latents (N, C, H, W) in the encoder's units => images (N, 3, H', W'), about [0, 1].

        `mean` and `std` are those of the encoder's image processor, one a channel.
        """
        patches = self(latents.flatten(2).transpose(1, 2))
        images = unpatchify(patches, self.patch_size, self.num_channels)
        return images * images.new_tensor(std).view(-1, 1, 1) + images.new_tensor(mean).view(-1, 1, 1)


class RAEImageDecoder:
    """The decoder with its weights: latents in the encoder's units to images.

    Raises `WeightsError` for weights that do not fit.
    """

    def __init__(self, network: ImageDecoderNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        arguments = {name: getattr(network, name) for name in DecoderNetwork.model_fields}
        self._network = build(lambda: RAEDecoder(**arguments), state, device, name="latent")
        self._mean, self._std = network.image_mean, network.image_std
        self.parameters = parameters(self._network)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) => float32 (N, 3, H, W), about [-1, 1]."""
        return 2 * self._network.images(latents, self._mean, self._std) - 1
