"""Names of metrics: ``statistic@space``, and the field's short names for some of them.

This module imports neither NumPy nor torch; commands list metrics from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal

from genbench.errors import UsageError, unknown

Direction = Literal["lower", "higher"]
Need = Literal["moments", "features"]


@dataclass(frozen=True)
class Statistic:
    """An estimator that can be computed in any feature space."""

    name: str
    version: int
    """Raised whenever the same features would give another value; leaderboards never mix versions."""
    direction: Direction
    """Which values are better."""
    needs: frozenset[Need]
    """What a reference must carry."""
    title: str
    source: str
    """The paper that defines it."""
    stderr: str
    """What its standard error is. In every case the reference is taken as fixed."""
    entry: str
    """``module:function``, of type `Comparison -> Measurement`; imported when first measured."""

    def load(self) -> Callable[..., Any]:
        """Import and return the function that `entry` names."""
        module, _, function = self.entry.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded


@dataclass(frozen=True)
class Metric:
    """A statistic in a feature space."""

    statistic: Statistic
    space: str

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
        if self.alias is not None:
            return _LABELS[self.alias]
        return f"{_LABELS[self.statistic.name]} ({self.space})"


STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        statistic.name: statistic
        for statistic in (
            Statistic(
                name="fd",
                version=1,
                direction="lower",
                needs=frozenset({"moments"}),
                title="Fréchet distance between Gaussians fitted to the features",
                source="Heusel et al. 2017, arXiv:1706.08500",
                stderr="influence function; first order, so it leaves out the bias of small n",
                entry="genbench.metrics.frechet:measure_fd",
            ),
            Statistic(
                name="kd",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="kernel distance: unbiased squared MMD, kernel (x·y/d + 1)³, over all pairs",
                source="Bińkowski et al. 2018, arXiv:1801.01401",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.kernel:measure_kd",
            ),
            Statistic(
                name="precision",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of generated images within the 3rd-neighbour ball of a reference image",
                source="Kynkäänniemi et al. 2019, arXiv:1904.06991",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.precision_recall:measure_precision",
            ),
            Statistic(
                name="recall",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of reference images within the 3rd-neighbour ball of a generated image",
                source="Kynkäänniemi et al. 2019, arXiv:1904.06991",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.precision_recall:measure_recall",
            ),
        )
    }
)
"""Every statistic, by name."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "fid": "fd@inception-tf",
        "sfid": "fd@inception-tf/spatial",
        "kid": "kd@inception-tf",
        "precision": "precision@inception-tf",
        "recall": "recall@inception-tf",
    }
)
"""The field's short names and the ids that they stand for."""

_LABELS = {
    "fd": "FD",
    "kd": "KD",
    "fid": "FID",
    "sfid": "sFID",
    "kid": "KID",
    "precision": "Precision",
    "recall": "Recall",
}


def parse(name: str) -> Metric:
    """The metric that an alias (``fid``) or an id (``fd@effnet-lite0``) names.

    Any space is accepted: whoever has the list of spaces checks it.

    Raises `UsageError` for an unknown statistic or alias, and for a statistic without a space.
    """
    statistic, at, space = ALIASES.get(name, name).partition("@")
    if statistic in STATISTICS and space:
        return Metric(STATISTICS[statistic], space)
    if statistic in STATISTICS:
        raise UsageError(
            f"{name!r} is a statistic without a feature space", hint=f"for example {statistic}@inception-tf"
        )
    if at and statistic in ALIASES:
        meant = ALIASES[statistic].partition("@")
        raise UsageError(
            f"no metric named {name!r}: {statistic} is short for {ALIASES[statistic]}",
            hint=f"write {meant[0]}@{space or meant[2]}",
        )
    known = STATISTICS if at else {*ALIASES, *ALIASES.values()}
    raise unknown("statistic" if at else "metric", statistic if at else name, known, lister="genbench list metrics")


METRICS: tuple[Metric, ...] = tuple(parse(alias) for alias in ALIASES)
"""The metrics that the field has short names for."""
