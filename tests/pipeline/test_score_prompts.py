"""`genbench score --prompts`: CLIP score of images and of what they were made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from genbench.features import spaces
from genbench.features.extractor import load_extractors
from genbench.images import emoji32

if TYPE_CHECKING:
    from tests.pipeline.conftest import World

SPACE = "effnet-lite0"
METRIC = f"clip-score@{SPACE}"


@pytest.fixture
def text_half(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> torch.Tensor:
    """Embeddings of prompt ``i``: those of image i. open_clip's weights are downloads, so another network stands in."""
    extract = load_extractors([spaces.get(SPACE)], cache=tmp_path)
    images = torch.from_numpy(emoji32.load("test").images[:24].transpose(0, 3, 1, 2).copy())
    embeddings = extract(images)[SPACE]
    monkeypatch.setattr(
        "genbench.score.prompt_features", lambda texts, *_, **__: embeddings[[int(text) for text in texts]].numpy()
    )
    return embeddings


def row(world: World, emoji: Path, prompts: Path, *options: str) -> dict[str, float]:
    answer = world.score(emoji, "--prompts", prompts, "--metrics", METRIC, "--format", "json", *options).ok()
    (found,) = json.loads(answer.out)
    return found


@pytest.mark.usefixtures("text_half")
def test_images_are_measured_against_their_prompts(world: World, emoji: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("\n".join(map(str, range(24))))
    assert row(world, emoji, own)["value"] == pytest.approx(100, abs=1e-3)


def test_prompts_are_found_by_the_images_name(
    world: World, emoji: Path, tmp_path: Path, text_half: torch.Tensor
) -> None:
    path = tmp_path / "others.csv"
    path.write_text("file_name,prompt\n" + "".join(f"{i:04d}.png,{(i + 1) % 24}\n" for i in reversed(range(24))))
    found = row(world, emoji, path)
    others = 100 * torch.cosine_similarity(text_half, text_half.roll(-1, 0)).clamp(min=0)
    assert found["value"] == pytest.approx(float(others.mean()), rel=1e-4)
    assert found["stderr"] == pytest.approx(float(others.std()) / 24**0.5, rel=1e-3)
    assert (found["n"], found["n_reference"]) == (24, 0)
    (record,) = world.records()
    assert record.reference.name == "none"


def test_what_does_not_fit_is_refused(world: World, emoji: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\n")
    for options, message in [
        (("--prompts", prompts, "--metrics", METRIC), "1 prompts (0 of them empty) for 24 images"),
        (("--prompts", "a {class}", "--metrics", METRIC), "the classes are not known"),
        (("--prompts", prompts, "--suite", "tiny"), "--prompts goes with --reference or alone"),
        (("--prompts", prompts, "--metrics", f"fd@{SPACE}"), "no metric that is asked for reads prompts"),
        (("--reference", emoji, "--metrics", METRIC), "compares images with their prompts"),
    ]:
        said, _ = world.score(emoji, *options).problem(2)
        assert message in said
    assert world.records() == []
