"""Metrics from the catalog, and feature spaces."""

from __future__ import annotations

import re

from genbench.features.space import Space
from genbench.features.spaces import SPACES
from genbench.metrics.catalog import ALIASES, STATISTICS, Need, Statistic, parse
from tools.reference.markdown import code, page, table

_PAPER = re.compile(r"arXiv:(\d{4}\.\d{5})")
_NEEDS: dict[Need, str] = {
    "features": "of the reference",
    "moments": "mean and covariance of the reference",
    "packet moments": "mean and covariances of the reference's packets",
    "held-out features": "of held-out real images",
    "held-out moments": "mean and covariance of held-out real images",
    "labels": "classes",
    "reference labels": "classes of the reference",
    "originals": "the originals",
    "prompts": "prompts",
}
_DOI = re.compile(r"doi:(10\.\S+?)(?=[\s,;)]|$)")


def metrics() -> str:
    """The page of metrics."""
    return page(
        "Metrics",
        "A metric is `statistic@space`: an estimator in a [feature space](spaces.md). Any statistic can be taken in "
        "any space, but for those of one layer. *n* images are generated, *m* are in the reference, and each has *d* "
        "features. Bias is of the mean over draws of *n* images against the limit of many; cost is the arithmetic once "
        "features are there. What standard errors hold, and where they fail: [error bars](../error-bars.md).",
        "## Short names",
        table(
            ("name", "metric", "what"),
            [(code(alias), code(name), parse(name).statistic.title) for alias, name in ALIASES.items()],
        ),
        *map(_statistic, STATISTICS.values()),
    )


def _statistic(statistic: Statistic) -> str:
    facts = {
        "estimator": statistic.title,
        "better": statistic.direction,
        "bias": statistic.bias,
        "standard error": statistic.stderr,
        "cost": statistic.cost,
        "reads": ", ".join(["features of the images", *map(_NEEDS.__getitem__, sorted(statistic.needs))]),
        "spaces": f"those of layer `{statistic.layer}`" if statistic.layer else "any",
        "usually in": code(statistic.home),
        "version": str(statistic.version),
        "citation": cited(statistic.source),
    }
    return f"## {statistic.name}\n\n{table(('', ''), list(facts.items()))}"


def cited(source: str) -> str:
    """A source with links to its arXiv numbers and DOIs."""
    linked = _PAPER.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
    return _DOI.sub(r"[doi:\1](https://doi.org/\1)", linked)


def spaces() -> str:
    """The page of feature spaces."""
    return page(
        "Feature spaces",
        "A feature space is an extractor, one of its layers, and the exact way from uint8 RGB to the network's input. "
        "Besides these, `open-clip/MODEL:PRETRAINED` is any model that open_clip lists. `genbench show space NAME` "
        "prints a space's digest too.",
        *map(_space, SPACES.values()),
    )


def _space(space: Space) -> str:
    shape = " x ".join(str(side) if side else "(by image size)" for side in space.shape)
    files = [file for file in (space.weights, *space.further) if file is not None]
    facts = {
        "what": space.summary,
        "preprocessing": space.preprocessing,
        "features": shape,
        "source": cited(space.source),
        "weights": "; ".join(f"`{file.file}`, sha256 `{file.sha256 or 'pinned at first use'}`" for file in files),
        "version": str(space.version),
    }
    return f"## {space.name}\n\n{table(('', ''), [(name, fact) for name, fact in facts.items() if fact])}"
