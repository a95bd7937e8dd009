"""What a card may say about CTM's networks, and settings of their presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.consistency.settings import places_in_grid
from genbench.methods.edm.settings import EncoderType, Taps, UNetFrame
from genbench.methods.settings import KarrasSettings


class CTMSongNetwork(UNetFrame):
    """Arguments of `genbench.methods.ctm.song.CTMSongUNet`, by EDM's names."""

    img_channels: int = Field(gt=0)
    label_dim: int = Field(default=0, ge=0)
    """Classes, 0 for an unconditional network."""
    augment_dim: Literal[0] = 0
    """These networks are trained without augmentation labels."""
    channel_mult_noise: int = Field(gt=0)
    """Channels of each time's embedding, in units of `model_channels`."""
    encoder_type: EncoderType
    resample_filter: Taps


class CTMSettings(KarrasSettings):
    """γ-sampling (CTM, algorithm 3): each step jumps below the next noise level, and noise leads back up to it."""

    steps: int = Field(default=1, ge=1)
    """Jumps along as many equal parts of the grid; with `ts`, noise levels in the grid."""
    ts: str | None = None
    """Levels by their indices, such as ``0,22,39``: one jump for each two neighbours."""
    gamma: float = Field(default=0.0, ge=0, le=1)
    """0 jumps to the next level itself (the authors' ``exact``); 1 to the last one, as consistency models do."""
    detour: str | None = None
    """The authors' ``gamma`` sampler instead: ``36,20`` jumps to level 36 of `steps`, goes up to level 20, and jumps to
    the last one."""
    clip: bool = True
    """Clip the images to [-1, 1]; estimates on the way are not clipped."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.ts is not None:
            places_in_grid(self.ts, self.steps)
        if self.detour is None:
            return self
        if self.ts is not None or self.gamma:
            raise ValueError("detour goes with neither ts nor gamma")
        self.turns()
        return self

    def turns(self) -> tuple[int, int]:
        """The two levels of `detour`.

        Raises `ValueError` unless they lie in the grid, the second one not below the first.
        """
        places = (self.detour or "").split(",")
        if len(places) != 2 or not all(place.strip().isdecimal() for place in places):
            raise ValueError(f'detour {self.detour!r} is not two levels, such as "36,20"')
        low, high = int(places[0]), int(places[1])
        if not high <= low < self.steps:
            raise ValueError(f"detour {self.detour!r} does not lead up within levels 0 to {self.steps - 1}")
        return low, high
