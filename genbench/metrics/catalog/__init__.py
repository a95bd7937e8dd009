"""Names of metrics: ``statistic@space``, and the field's short names for some of them.

Nothing here imports NumPy or torch; commands list metrics from it.

statistic                       what is known of an estimator
distances, coverage, scores, memorisation, spatial, reconstruction      one table of estimators each
metric                          an estimator in a space, short names, and the way from a name to a metric
"""

from genbench.metrics.catalog.metric import ALIASES, METRICS, STATISTICS, Metric, parse
from genbench.metrics.catalog.statistic import Direction, Need, Statistic

__all__ = ["ALIASES", "METRICS", "STATISTICS", "Direction", "Metric", "Need", "Statistic", "parse"]
