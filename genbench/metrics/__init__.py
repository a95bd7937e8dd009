"""Metrics: pure arithmetic on arrays of features. Nothing here knows images, files of images, or networks.

catalog/     the names: statistics by kind, short names, what each statistic needs (imports neither NumPy nor torch)
moments      mean and scatter in float64, mergeable
packets      mean, and covariances within packets of features
reference    what a metric compares with; safetensors file
measure      (metric, features, reference) -> Measurement
frechet, kernel, neighbours     one family of statistics each
"""
