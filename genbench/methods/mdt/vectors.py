"""MDTv2 against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator

from genbench.methods.dit.vectors import constructor_arguments, replay_with
from genbench.methods.mdt.sampler import MDTSampler
from genbench.methods.mdt.settings import MDTNetwork, MDTSettings
from genbench.methods.vectors import Comparison, Vectors


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    return replay_with(MDTSampler, MDTSettings, constructor_arguments(vectors, MDTNetwork), vectors)
