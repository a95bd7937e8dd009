"""CLIP score (Hessel et al. 2021): how well an image is described by the prompt that it was made from.

    CLIP score = 100 · max(cos(image, prompt), 0)

which is the scale that the field prints; the paper's own is 2.5 in place of 100.
"""

from __future__ import annotations

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, Float64, check_features, check_width, unit_length


def clip_scores(images: Features, prompts: Features) -> Float64:
    """CLIP score of each image, 0 to 100: embeddings (N, D) of images and of their prompts => (N,); in float64.

    Raises `FeatureError` for embeddings that are not finite, all zero, of different widths or of other numbers.
    """
    check_features(images, "image embeddings", at_least=1)
    check_features(prompts, "prompt embeddings", at_least=1)
    if len(prompts) != len(images):
        raise FeatureError(
            f"{len(prompts):,} prompt embeddings for {len(images):,} images", hint="give one prompt an image, in order"
        )
    check_width(images.shape[1], prompts.shape[1])
    x, y = unit_length(images, "image embeddings"), unit_length(prompts, "prompt embeddings")
    cosines: Float64 = np.einsum("nd,nd->n", x, y)
    return 100 * np.maximum(cosines, 0)


def measure_clip_score(comparison: Comparison) -> Measurement:
    """The `clip-score` statistic: the mean over images."""
    scores = clip_scores(comparison.features, comparison.prompt_features)
    stderr = float(scores.std(ddof=1)) / len(scores) ** 0.5
    return Measurement(float(scores.mean()), stderr, len(scores), 0, scores=scores)
