"""CLIP score by its definition, and the prompts that it reads."""

import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics.catalog import parse
from genbench.metrics.clip_score import clip_scores
from genbench.metrics.measure import measure

RNG = np.random.default_rng(0)
IMAGES, PROMPTS = (RNG.standard_normal((40, 6)).astype(np.float32) for _ in range(2))


def test_scores_of_known_angles() -> None:
    # cos 60° = 0.5 whatever the lengths; opposite directions are 0, not -100.
    images = np.array([[1, 0], [0, 3], [2, 2]], np.float32)
    prompts = np.array([[0.5, 3**0.5 / 2], [0, -1], [7, 7]], np.float32)
    assert clip_scores(images, prompts) == pytest.approx([50, 0, 100], abs=1e-4)


def test_the_metric_is_the_mean_over_images_and_its_error_their_spread() -> None:
    metric = parse("clip-score@toy")
    measured = measure(metric, IMAGES, prompts=PROMPTS)
    lengths = np.linalg.norm(IMAGES, axis=1) * np.linalg.norm(PROMPTS, axis=1)
    expected = 100 * np.maximum((IMAGES * PROMPTS).sum(axis=1) / lengths, 0)
    assert measured.value == pytest.approx(expected.mean(), rel=1e-5)
    assert measured.stderr == pytest.approx(expected.std(ddof=1) / 40**0.5, rel=1e-5)
    assert (measured.n, measured.n_reference, metric.statistic.direction) == (40, 0, "higher")


def test_without_prompts_or_with_others_it_is_refused() -> None:
    metric = parse("clip-score@toy")
    with pytest.raises(FeatureError, match="compares images with their prompts") as caught:
        measure(metric, IMAGES)
    assert "--prompts" in caught.value.hint
    with pytest.raises(FeatureError, match="prompt embeddings of shape"):
        measure(metric, IMAGES, prompts=PROMPTS[:39])
    with pytest.raises(FeatureError, match="row 3 is all zeros"):
        measure(metric, IMAGES, prompts=np.where(np.arange(40)[:, None] == 3, 0, PROMPTS).astype(np.float32))


@pytest.mark.parametrize("prompts", [39, 41])
def test_scores_of_other_numbers_of_prompts_are_refused(prompts: int) -> None:
    with pytest.raises(FeatureError, match=f"{prompts} prompt embeddings for 40 images"):
        clip_scores(IMAGES, np.resize(PROMPTS, (prompts, 6)))
