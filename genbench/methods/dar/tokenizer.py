"""D-AR's sequential diffusion tokenizer: causal queries of an image, quantised, whose shares steer a flow's steps.

With the official keys (Gao & Shou, arXiv:2505.23660, ``tokenizer/tokenizer_image``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.errors import UsageError
from genbench.methods.dar.blocks import GatedBlock
from genbench.methods.dar.flow import PixelFlow
from genbench.methods.dar.settings import TABLE, DARTokenizerNetwork
from genbench.methods.latents.tokenizer import Encoded
from genbench.methods.llamagen.quantiser import CodebookQuantiser
from genbench.methods.networks import build, parameters, without
from genbench.methods.transformer.lookup import lookup_table
from genbench.methods.transformer.normalisation import layer_norm
from genbench.methods.transformer.rotary import Rotation, grid_rotation

TRAINING_ONLY = ("diff_decoder.net.repa_out.", "quantize.codebook_used")
"""What a weight file holds for training alone: the head that was aligned with DINOv2, and what training
counted of the codebook."""

_QUERY_CHANNELS = 8
"""Of a row of the table of queries."""


class SequentialTokenizer(nn.Module):
    """The encoder, the codebook, the token decoder and the flow. Latents are the codebook's entries, (N, C, 1, T)."""

    def __init__(self, network: DARTokenizerNetwork) -> None:
        super().__init__()
        n = network
        self.tokens, self.steps, self.head = n.num_all_queries, n.num_denoising_steps, n.head_dim
        self.patchify = nn.Conv2d(3, n.encoder_dim, n.encoder_patch_size, stride=n.encoder_patch_size)
        self.query_embedding = lookup_table(TABLE, _QUERY_CHANNELS)
        self.query_linear = nn.Linear(_QUERY_CHANNELS, n.encoder_dim)
        self.encoder_layers = nn.ModuleList(GatedBlock(n.encoder_dim, n.head_dim) for _ in range(n.num_encoder_layers))
        self.encoder_norm = layer_norm(n.encoder_dim)
        self.quant_in_conv = nn.Conv2d(n.encoder_dim, n.vq_dim, 1, bias=False)
        self.quantize = CodebookQuantiser(codebook_size=n.vq_codebook_size, channels=n.vq_dim, unit=True)
        self.quant_out_conv = nn.Conv2d(n.vq_dim, n.decoder_dim, 1, bias=False)
        self.decoder_embedding = lookup_table(TABLE, n.decoder_dim)
        self.decoder_layers = nn.ModuleList(GatedBlock(n.decoder_dim, n.head_dim) for _ in range(n.num_decoder_layers))
        self.norm = layer_norm(n.decoder_dim)
        self.diff_decoder = PixelFlow(n.diff_decoder, n.decoder_dim, n.head_dim)

    def features(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S) => what is quantised, (N, C, 1, T).

        Patches attend to all patches and to no query; a query to all patches, to itself and to the queries before it.
        """
        grid = self.patchify(images)
        patches = self.encoder_norm(grid.flatten(2).transpose(1, 2))
        queries = self.query_linear(self.query_embedding.weight[: self.tokens])
        x = torch.cat([patches, queries.expand(len(images), -1, -1)], dim=1)
        count = patches.shape[1]
        mask = _causal(x)
        mask[:, :count] = True
        cos, sin = grid_rotation(self.head, grid.shape[-1], x.device)
        still = (0, 0, 0, self.tokens)  # queries do not turn
        rotation = Rotation(functional.pad(cos, still, value=1.0), functional.pad(sin, still))
        for layer in self.encoder_layers:
            x = layer(x, rotation, mask)
        features = self.encoder_norm(x[:, count:]).transpose(1, 2)[:, :, None]
        return self.quant_in_conv(features)  # type: ignore[no-any-return]

    def conditions(self, latents: Tensor) -> Tensor:
        """Latents (N, C, 1, T) => what each step of the flow sees, (N, steps, T / steps, width)."""
        x = self.quant_out_conv(latents).flatten(2).transpose(1, 2) + self.decoder_embedding.weight[: self.tokens]
        mask = _causal(x)
        for layer in self.decoder_layers:
            x = layer(x, None, mask)
        return self.norm(x).unflatten(1, (self.steps, -1))  # type: ignore[no-any-return]

    def images(self, start: Tensor, latents: Tensor) -> Tensor:
        """Noise (N, 3, S, S) and latents (N, C, 1, T) => images (N, 3, S, S)."""
        return self.diff_decoder(start, self.conditions(latents))  # type: ignore[no-any-return]


def _causal(x: Tensor) -> Tensor:
    """Tokens (N, T, width) => which attend to which, (T, T)."""
    return torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()


class DARTokenizer:
    """D-AR's tokenizer with its weights. Raises `WeightsError` for weights that do not fit."""

    def __init__(self, network: DARTokenizerNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        kept = None if state is None else without(state, TRAINING_ONLY)
        self.module = build(lambda: SequentialTokenizer(network), kept, device, name="D-AR tokenizer")
        self.parameters = parameters(self.module)
        self.codebook_size = network.vq_codebook_size
        self.tokens = network.num_all_queries
        self.start_shape = (3, network.sampling_resolution, network.sampling_resolution)

    @property
    def quantiser(self) -> CodebookQuantiser:
        """The codebook."""
        return self.module.quantize

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Encoded:
        """Images (N, 3, H, W) in [-1, 1] => their code, indices (N, T) in the order of the flow's steps.

        Raises `UsageError` for images of a side that the tokenizer does not take.
        """
        height, width = images.shape[-2:]
        if (height, width) != self.start_shape[1:]:
            raise UsageError(
                f"images of {height} x {width} px: the tokenizer takes {self.start_shape[1]} px",
                hint="crop or resize the images",
            )
        code: Encoded = self.module.quantize(self.module.features(images))
        return code

    @torch.inference_mode()
    def decode_from(self, start: Tensor, latents: Tensor) -> Tensor:
        """Noise (N, 3, S, S) and latents (N, C, 1, T) of the codebook's entries => float32 (N, 3, S, S)."""
        return self.module.images(start, latents)
