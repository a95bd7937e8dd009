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
from genbench.metrics.balls import IMPROVED, PRDC, Balls

Direction = Literal["lower", "higher"]
Need = Literal["moments", "features", "held-out moments", "held-out features", "labels"]


@dataclass(frozen=True)
class Statistic:
    """An estimator that can be computed in any feature space."""

    name: str
    version: int
    """Raised whenever the same features would give another value; leaderboards never mix versions."""
    direction: Direction
    """Which values are better."""
    needs: frozenset[Need]
    """What the features are measured with: nothing, the reference's moments or features, those of held-out real images,
    classes."""
    title: str
    source: str
    """The paper that defines it."""
    stderr: str
    """What its standard error is. In every case the reference is taken as fixed."""
    entry: str
    """``module:function``, of type `Comparison -> Measurement`; imported when first measured."""
    home: str = "inception-tf"
    """The space that its paper or its peers measure it in."""
    balls: Balls | None = None
    """The neighbour balls that it reads; statistics of one space share one sweep over all pairs."""
    layer: str | None = None
    """The layer that a space must be of, where the arithmetic makes sense in no other."""

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

    def __post_init__(self) -> None:
        layer = self.statistic.layer
        if layer is not None and self.space.partition("/")[2] != layer:
            raise UsageError(
                f"{self.statistic.name} is of {layer}, which the features of {self.space} are not",
                hint=f"for example {self.statistic.name}@{self.statistic.home}",
            )

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
                name="is",
                version=1,
                direction="higher",
                needs=frozenset(),
                title="Inception Score: exp of the mean KL of p(y|x) to p(y), over 10 splits in a fixed random order",
                source="Salimans et al. 2016, arXiv:1606.03498; order and splits of torch-fidelity",
                stderr="influence function in each split; the bias of small splits is not in it",
                entry="genbench.metrics.inception_score:measure_is",
                home="inception-tf/logits",
                layer="logits",
            ),
            Statistic(
                name="is-adm",
                version=1,
                direction="higher",
                needs=frozenset(),
                title="Inception Score over chunks of 5,000 images in the order they come: depends on that order",
                source="Dhariwal & Nichol 2021, arXiv:2105.05233 (guided-diffusion evaluator)",
                stderr="influence function in each chunk; says nothing about the order",
                entry="genbench.metrics.inception_score:measure_is_adm",
                home="inception-tf/logits",
                layer="logits",
            ),
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
                name="kd-subsets",
                version=1,
                direction="lower",
                needs=frozenset({"features"}),
                title="kernel distance as the mean over 100 random subsets of 1,000, seed 2020",
                source="Bińkowski et al. 2018, arXiv:1801.01401; subsets of torch-fidelity",
                stderr="none: the spread over subsets is no standard error; kd has one",
                entry="genbench.metrics.kernel:measure_kd_subsets",
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
                balls=IMPROVED,
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
                balls=IMPROVED,
            ),
            Statistic(
                name="precision-prdc",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of generated images strictly within the 5th-neighbour ball of a reference image",
                source="Naeem et al. 2020, arXiv:2002.09797 (prdc)",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.precision_recall:measure_precision_prdc",
                balls=PRDC,
            ),
            Statistic(
                name="recall-prdc",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of reference images strictly within the 5th-neighbour ball of a generated image",
                source="Naeem et al. 2020, arXiv:2002.09797 (prdc)",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.precision_recall:measure_recall_prdc",
                balls=PRDC,
            ),
            Statistic(
                name="density",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="mean number of 5th-neighbour balls of the reference that a generated image is in, over 5",
                source="Naeem et al. 2020, arXiv:2002.09797",
                stderr="standard deviation over generated images, over √n",
                entry="genbench.metrics.precision_recall:measure_density",
                balls=PRDC,
            ),
            Statistic(
                name="coverage",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="share of 5th-neighbour balls of the reference that hold a generated image",
                source="Naeem et al. 2020, arXiv:2002.09797",
                stderr="delete-one jackknife over the generated images",
                entry="genbench.metrics.precision_recall:measure_coverage",
                balls=PRDC,
            ),
            Statistic(
                name="precision-adm",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="precision with squared distances rounded to float16, as in the ADM evaluator",
                source="Dhariwal & Nichol 2021, arXiv:2105.05233 (guided-diffusion evaluator)",
                stderr="binomial (Jeffreys posterior)",
                entry="genbench.metrics.half_precision:measure_precision_adm",
            ),
            Statistic(
                name="recall-adm",
                version=1,
                direction="higher",
                needs=frozenset({"features"}),
                title="recall with squared distances rounded to float16, as in the ADM evaluator",
                source="Dhariwal & Nichol 2021, arXiv:2105.05233 (guided-diffusion evaluator)",
                stderr="none",
                entry="genbench.metrics.half_precision:measure_recall_adm",
            ),
        )
    }
)
"""Every statistic, by name."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "fid": "fd@inception-tf",
        "sfid": "fd@inception-tf/spatial",
        "is": "is@inception-tf/logits",
        "kid": "kd@inception-tf",
        "precision": "precision@inception-tf",
        "recall": "recall@inception-tf",
        "density": "density@inception-tf",
        "coverage": "coverage@inception-tf",
    }
)
"""The field's short names and the ids that they stand for."""

_LABELS = {
    "fd": "FD",
    "kd": "KD",
    "fid": "FID",
    "sfid": "sFID",
    "is": "IS",
    "is-adm": "IS (file order)",
    "kid": "KID",
    "precision": "Precision",
    "recall": "Recall",
    "kd-subsets": "KD (subsets)",
    "precision-prdc": "Precision k=5",
    "recall-prdc": "Recall k=5",
    "precision-adm": "Precision fp16",
    "recall-adm": "Recall fp16",
    "density": "Density",
    "coverage": "Coverage",
}


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
