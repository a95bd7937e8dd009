"""A statistic in a space, and the names that people have for it. Imports neither NumPy nor torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from genbench.errors import UsageError, unknown
from genbench.metrics.catalog.coverage import COVERAGE
from genbench.metrics.catalog.distances import DISTANCES
from genbench.metrics.catalog.memorisation import MEMORISATION
from genbench.metrics.catalog.reconstruction import RECONSTRUCTION
from genbench.metrics.catalog.scores import SCORES
from genbench.metrics.catalog.spatial import SPATIAL
from genbench.metrics.catalog.statistic import Statistic

STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {s.name: s for s in (*DISTANCES, *COVERAGE, *SCORES, *MEMORISATION, *SPATIAL, *RECONSTRUCTION)}
)
"""Every statistic, by name."""


class ShortName(NamedTuple):
    """What the field calls a metric."""

    metric: str
    """Its id."""
    label: str
    """In table headings."""


_SHORT_NAMES = {
    "fid": ShortName("fd@inception-tf", "FID"),
    "sfid": ShortName("fd@inception-tf/spatial", "sFID"),
    "is": ShortName("is@inception-tf/logits", "IS"),
    "kid": ShortName("kd@inception-tf", "KID"),
    "precision": ShortName("precision@inception-tf", "Precision"),
    "recall": ShortName("recall@inception-tf", "Recall"),
    "density": ShortName("density@inception-tf", "Density"),
    "coverage": ShortName("coverage@inception-tf", "Coverage"),
    "cmmd": ShortName("mmd-rbf@clip-l14-336", "CMMD"),
    "fdr6": ShortName("fdr@inception-tf+convnextv2-b+dinov2-l-fdloss+mae-l+siglip2-so400m+clip-l14", "FDr^6"),
    "fd-dinov2": ShortName("fd@dinov2-l-dgm", "FD-DINOv2"),
    "fid-clean": ShortName("fd@inception-clean", "FID (clean-fid)"),
    "fid-pytorch": ShortName("fd@inception-torch", "FID (pytorch-fid)"),
    "fwd": ShortName("fwd@pixels/haar4", "FWD"),
    "clip-score": ShortName("clip-score@open-clip/ViT-L-14:openai", "CLIP score"),
    "lpips-diversity": ShortName("diversity@vgg16-lpips", "LPIPS diversity"),
    "lpips-diversity-sketch": ShortName("diversity-sketch@vgg16-lpips/sketch", "LPIPS diversity (sketch)"),
    "psnr": ShortName("psnr@pixels/psnr", "PSNR"),
    "ssim": ShortName("ssim@pixels/ssim", "SSIM"),
    "lpips": ShortName("lpips@vgg16-lpips/pairs", "LPIPS"),
    "rfid": ShortName("rfd@inception-tf", "rFID"),
}

ALIASES: Mapping[str, str] = MappingProxyType({alias: short.metric for alias, short in _SHORT_NAMES.items()})
"""The field's short names and the ids that they stand for."""


@dataclass(frozen=True)
class Metric:
    """A statistic in a feature space, or over several."""

    statistic: Statistic
    space: str
    """The space's name; those of several joined by ``+``."""

    def __post_init__(self) -> None:
        if len(self.spaces) > 1 and not self.statistic.joint:
            raise UsageError(
                f"{self.statistic.name} is of one space, not of {len(self.spaces)} together",
                hint=f"for example {self.statistic.name}@{self.spaces[0]}",
            )
        if "" in self.spaces or len(set(self.spaces)) < len(self.spaces):
            raise UsageError(
                f"{self.id}: its spaces are not {len(self.spaces)} different ones",
                hint="name each space once, + between",
            )
        layer = self.statistic.layer
        if layer is not None and self.space.partition("/")[2] != layer:
            raise UsageError(
                f"{self.statistic.name} is of {layer}, which the features of {self.space} are not",
                hint=f"for example {self.statistic.name}@{self.statistic.home}",
            )

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces that it is taken in: one, or several of a joint statistic."""
        return tuple(self.space.split("+"))

    @property
    def id(self) -> str:
        """The canonical name, e.g. ``fd@inception-tf``."""
        return f"{self.statistic.name}@{self.space}"

    @property
    def alias(self) -> str | None:
        """The field's short name (``fid``), where it has one."""
        return next((alias for alias, metric_id in ALIASES.items() if metric_id == self.id), None)

    @property
    def name(self) -> str:
        """The alias, or else the id: what people type."""
        return self.alias or self.id

    @property
    def label(self) -> str:
        """A table heading: ``FID``, ``Precision``, ``FD (effnet-lite0)``."""
        return f"{self.statistic.label} ({self.space})" if self.alias is None else _SHORT_NAMES[self.alias].label


def parse(name: str) -> Metric:
    """The metric that an alias (``fid``) or an id (``fd@effnet-lite0``) names.

    Any space is accepted, but for statistics of one layer: whoever has the list of spaces checks it.

    Raises `UsageError` for an unknown statistic or alias, for a statistic without a space, and for one in a space of
    another layer than it is of.
    """
    statistic, at, space = ALIASES.get(name, name).partition("@")
    if statistic in STATISTICS and space:
        return Metric(STATISTICS[statistic], space)
    if statistic in STATISTICS:
        raise UsageError(
            f"{name!r} is a statistic without a feature space",
            hint=f"for example {statistic}@{STATISTICS[statistic].home}",
        )
    if at and statistic in ALIASES:
        meant = ALIASES[statistic].partition("@")
        raise UsageError(
            f"no metric named {name!r}: {statistic} is short for {ALIASES[statistic]}",
            hint=f"write {meant[0]}@{space or meant[2]}",
        )
    known = STATISTICS if at else {*ALIASES, *ALIASES.values()}
    raise unknown("statistic" if at else "metric", statistic if at else name, known, lister="genbench list metrics")


METRICS: tuple[Metric, ...] = tuple(
    dict.fromkeys([*map(parse, ALIASES), *(Metric(statistic, statistic.home) for statistic in STATISTICS.values())])
)
"""What is listed: the metrics that the field has short names for, and every other statistic in its home space."""
