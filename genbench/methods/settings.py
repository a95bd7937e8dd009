"""Settings that the presets of every family share, and arguments that its transformers do. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from genbench.errors import ConfigError
from genbench.schema import Strict

WeightFormat = Literal["float32", "bfloat16", "float8", "int8", "int4"]


class NetworkSettings(Strict):
    """How a network is evaluated, whatever its sampler does with it."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the network: with a half type under autocast, as the authors' mixed-precision runs. The state of
    the sampler stays float32 or wider."""
    weights: WeightFormat = "float32"
    """What linear layers keep their weights in (see `genbench.methods.weight_formats`)."""
    compile: bool = False
    """Through ``torch.compile``, which rounds otherwise; the first batch is compiled."""

    @model_validator(mode="after")
    def _computes(self) -> Self:
        if self.dtype != "float32" and self.weights not in ("float32", "bfloat16"):
            raise ValueError(f"weights in {self.weights} are computed with in float32, not in {self.dtype}")
        return self

    def fits(self, network: Mapping[str, Any]) -> None:
        """Raise `ConfigError` for a setting that a network of these arguments does not allow; here there is none."""

    @property
    def companions(self) -> bool:
        """Whether the variant's further networks are evaluated."""
        return True


class DrawSettings(NetworkSettings):
    """Which codes of a codebook may be drawn (see `genbench.methods.truncation`)."""

    top_k: int = Field(default=0, ge=0)
    """Draw from that many of the most probable codes; 0 for all."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the most probable codes of this mass; 1 for all."""

    def fits(self, network: Mapping[str, Any]) -> None:
        """Raise `ConfigError` for a `top_k` larger than the vocabulary."""
        codes = network["vocab_size"]
        if self.top_k > codes:
            raise ConfigError(
                f"top_k {self.top_k} is larger than the vocabulary of {codes} codes",
                hint=f"set top_k to 0 (all) up to {codes}",
            )


class ContrastSettings(NetworkSettings):
    """Away from a worse prediction of the same state: other + scale·(prediction - other)."""

    guidance: Literal["none", "cfg", "autoguidance"] = "none"
    """Away from the prediction without a class, or from the guide's with the same class (arXiv:2406.02507)."""
    scale: float = Field(default=1.0, ge=1)
    """other + scale·(prediction - other)."""

    @property
    def companions(self) -> bool:
        """A guide is evaluated for autoguidance alone."""
        return self.guidance == "autoguidance"


class TransformerNetwork(Strict):
    """Arguments of every diffusion transformer of one width, by the names of DiT's constructor."""

    input_size: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0, multiple_of=4)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    num_classes: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        check_divides(self, "patch_size", "input_size")
        check_divides(self, "num_heads", "hidden_size")
        return self


def check_divides(network: Strict, part: str, whole: str) -> None:
    """Raise `ValueError` where one argument of a network, or one of a pair of them, does not divide the other."""
    parts, wholes = (v if isinstance(v, tuple) else (v,) for v in (getattr(network, part), getattr(network, whole)))
    for a, b in zip(parts, wholes, strict=True):
        if b % a:
            raise ValueError(f"{part} {a} does not divide {whole} {b}")


def check_interval(start: float, end: float) -> None:
    """Raise `ValueError` for an interval of guidance that ends before it starts."""
    if start > end:
        raise ValueError(f"guidance from {start} to {end} ends before it starts")


def check_rotary(width: int, heads: int) -> None:
    """Raise `ValueError` where heads of such a width have no rotary positions of two axes."""
    if width // heads % 4:
        raise ValueError(f"rotary positions need a head width that 4 divides: {width}/{heads}")


class KarrasSettings(NetworkSettings):
    """Noise levels of Karras et al. (arXiv:2206.00364), equation 5: x = data + σ·noise."""

    sigma_min: float = Field(default=0.002, gt=0)
    """The last noise level."""
    sigma_max: float = Field(default=80.0, gt=0)
    """The first noise level."""
    rho: float = Field(default=7.0, gt=0)
    """How much denser the levels are at their low end."""

    @model_validator(mode="after")
    def _descends(self) -> Self:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min {self.sigma_min:g} is not below sigma_max {self.sigma_max:g}")
        return self


class ChurnSettings(KarrasSettings):
    """Noise that is added before a step of their stochastic sampler (algorithm 2, section 4)."""

    s_churn: float = Field(default=0.0, ge=0)
    """Over all steps; 0 is deterministic."""
    s_min: float = Field(default=0.0, ge=0)
    """Lowest level at which noise is added."""
    s_max: float | None = Field(default=None, gt=0)
    """Highest level at which noise is added; none for any."""
    s_noise: float = Field(default=1.0, gt=0)
    """Standard deviation of what is added, over what the level asks for."""
