"""ReDi against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator

from genbench.methods.dit.vectors import constructor_arguments
from genbench.methods.redi.sampler import ReDiSampler
from genbench.methods.redi.settings import ReDiNetwork
from genbench.methods.sit.vectors import replay_with
from genbench.methods.vectors import Comparison, Vectors


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run; the rank of the components is an argument of the sampling script."""
    network = constructor_arguments(vectors, ReDiNetwork, pca_rank=vectors.config["pca_rank"])
    return replay_with(ReDiSampler, network, vectors)
