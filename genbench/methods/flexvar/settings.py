"""Settings of FlexVAR's presets. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from genbench.errors import ConfigError
from genbench.methods.var.settings import ScaleSettings, ascending

DRAWN = frozenset({1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 23, 24, 32})
"""Sides at which the authors draw codes. At any other they take each token's most probable code."""


def sides_of(text: str) -> tuple[int, ...]:
    """The authors' ``infer_patch_nums``, such as ``1_2_4_16``: the side of each scale.

    Raises `ValueError` for what is not two or more increasing numbers.
    """
    parts = text.split("_")
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"{text!r} is not whole numbers between underscores, such as 1_2_4_16")
    return ascending(tuple(int(part) for part in parts))


def _checked(text: str) -> str:
    sides_of(text)
    return text


class FlexVARSettings(ScaleSettings):
    """Settings as the authors count and name them (FlexVAR, ``autoregressive_infer_cfg``)."""

    cfg: float = Field(default=2.5, ge=0)
    """Classifier-free guidance: logits (1 + t)·conditional - t·null, with t rising evenly from 0 at the first scale to
    `cfg` at the tenth and further beyond it, or to `cfg` at the last of fewer; 0 is off."""
    ramp: bool = True
    """Whether t rises. Else it is `cfg` - 1 at every scale, which others call a guidance scale of `cfg`; 1 is off."""
    infer_patch_nums: Annotated[str, AfterValidator(_checked)] | None = None
    """Side of each scale, such as ``1_2_3_4_5_7_10_13_16``; none for the network's own. The last one is the network's,
    the side of the grid that the tokenizer decodes."""
    max_pn: int = Field(default=16, gt=0)
    """In scales of a larger side each token takes its most probable code, and where t rises it is `cfg`."""

    @model_validator(mode="after")
    def _guides(self) -> Self:
        if not self.ramp and self.cfg < 1:
            raise ValueError(f"cfg {self.cfg:g} without ramp is a guidance scale below 1")
        return self

    def sides(self, patch_nums: Sequence[int]) -> tuple[int, ...]:
        """Side of each scale that is sampled with a network of these `patch_nums`."""
        return tuple(patch_nums) if self.infer_patch_nums is None else sides_of(self.infer_patch_nums)

    def fits(self, network: Mapping[str, Any]) -> None:
        """Raise `ConfigError` for a `top_k` larger than the vocabulary, or scales that end at another grid."""
        super().fits(network)
        last, grid = self.sides(network["patch_nums"])[-1], network["patch_nums"][-1]
        if last != grid:
            raise ConfigError(
                f"infer_patch_nums {self.infer_patch_nums} ends at {last}, the tokenizer's grid has a side of {grid}",
                hint=f"let infer_patch_nums end in _{grid}",
            )
