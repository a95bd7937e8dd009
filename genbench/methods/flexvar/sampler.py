"""FlexVAR's sampler: each scale's codes are the whole image at its size, enlarged for the next scale to see."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from genbench.methods.flexvar.network import FlexVAR
from genbench.methods.flexvar.settings import DRAWN, FlexVARSettings
from genbench.methods.llamagen.quantiser import CodebookTokenizer
from genbench.methods.noise import Noise
from genbench.methods.sampler import check_codes
from genbench.methods.truncation import truncate
from genbench.methods.var.sampler import ScaleSampler

_FULLY_GUIDED = 9
"""Scale, counted from 0, that is guided by `cfg` where there are as many."""


class FlexVARSampler(ScaleSampler[FlexVAR, FlexVARSettings, CodebookTokenizer]):
    """The transformer with its tokenizer and one preset. See `FlexVARSettings` for what each setting means.

    Raises `ConfigError` for a tokenizer of other codes than the transformer's, for a `top_k` larger than the
    vocabulary, and for scales that do not end at the network's last.
    """

    name = "FlexVAR"
    module = FlexVAR
    training_only = ("attn_bias_for_masking",)

    def prepare(self) -> None:
        """The scales, and the quantiser, whose codes must be the transformer's."""
        self.quantiser = self.tokenizer.quantiser
        network, entries = self.network, self.quantiser.embedding
        self.settings.fits({"vocab_size": entries.num_embeddings, "patch_nums": network.patch_nums})
        network.patch_nums = self.settings.sides(network.patch_nums)
        check_codes(
            f"{network.head.out_features} codes of {network.word_embed.in_features} channels",
            f"{entries.num_embeddings} codes of {entries.embedding_dim} channels",
        )

    def strength(self, scale: int) -> float:
        """A ninth of `cfg` more at each scale, or evenly up to `cfg` where they are fewer than ten; or all the same."""
        s, sides = self.settings, self.network.patch_nums
        if not s.ramp:
            return s.cfg - 1
        return s.cfg if sides[scale] > s.max_pn else s.cfg * (scale / min(len(sides) - 1, _FULLY_GUIDED))

    def drawable(self, logits: Tensor, scale: int) -> Tensor:
        """Guided logits (N, p², K) of a scale, with those that may not be drawn at -inf."""
        side = self.network.patch_nums[scale]
        drawn = side in DRAWN and side <= self.settings.max_pn
        return truncate(logits, self.settings.top_k if drawn else 1, self.settings.top_p)

    def extended(self, latents: Tensor | None, logits: Tensor, scale: int, noise: Noise) -> Tensor:
        """The scale's own entries, (N, C, p, p), whatever those before it were."""
        return self.quantiser.latents(noise.categorical(self.drawable(logits, scale).softmax(-1)))

    def seen(self, latents: Tensor, scale: int) -> Tensor:
        """Entries of the scale before, enlarged to the scale's size."""
        side = self.network.patch_nums[scale]
        return functional.interpolate(latents, size=(side, side), mode="bicubic")
