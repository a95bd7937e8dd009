"""`genbench score --prompts`: CLIP score of images and of what they were made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
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
        "genbench.prompts.prompt_features", lambda texts, *_, **__: embeddings[[int(text) for text in texts]].numpy()
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


def by_category(folder: Path) -> tuple[Path, list[int]]:
    """Each image's own prompt for the even ones, for the odd ones that of the next odd one."""
    path, own = folder / "bench.csv", [i if i % 2 == 0 else (i + 2) % 24 for i in range(24)]
    rows = (f"{i:04d}.png,{own[i]},{'odd' if i % 2 else 'even'}\n" for i in range(24))
    path.write_text("file_name,prompt,category\n" + "".join(rows))
    return path, own


def test_scores_are_kept_by_category(world: World, emoji: Path, tmp_path: Path, text_half: torch.Tensor) -> None:
    path, own = by_category(tmp_path)
    found = row(world, emoji, path)
    scores = 100 * torch.cosine_similarity(text_half, text_half[own]).clamp(min=0)
    (record,) = world.records()
    even, odd = record.parts
    assert (even.metric, even.part, even.n, odd.part, odd.n) == (METRIC, "even", 12, "odd", 12)
    assert even.value == pytest.approx(100, abs=1e-3)
    assert odd.value == pytest.approx(float(scores[1::2].mean()), rel=1e-4)
    assert odd.stderr == pytest.approx(float(scores[1::2].std()) / 12**0.5, rel=1e-3)
    assert found["value"] == pytest.approx((even.value + odd.value) / 2)
    assert record.prompts
    assert record.prompts.source == str(path)


def suite_of_prompts(world: World, prompts: str, images: int = 24) -> None:
    path = world.add_suite("t2i", images=images, metrics=(METRIC, f"fd@{SPACE}"))
    path.write_text(path.read_text() + f"prompts = {json.dumps(prompts)}\n")


@pytest.mark.usefixtures("text_half")
def test_a_suite_brings_its_prompts(world: World, emoji: Path) -> None:
    folder = world.registry / "prompts"
    folder.mkdir()
    _, own = by_category(folder)
    suite_of_prompts(world, "bench.csv")
    answer = world.score(emoji, "--suite", "t2i", "--format", "json").ok()
    clip, fd = json.loads(answer.out)
    assert (clip["metric"], fd["metric"]) == (METRIC, f"fd@{SPACE}")
    (record,) = world.records()
    assert [part.part for part in record.parts] == ["even", "odd"]
    # The same images and metrics under other prompts are another protocol.
    (folder / "bench.csv").write_text("prompt\n" + "".join(f"{i}\n" for i in own))
    world.score(emoji, "--suite", "t2i").ok()
    assert len({kept.suite.digest for kept in world.records() if kept.suite}) == 2
    values = [kept.measurements[0].value for kept in world.records()]
    assert values == pytest.approx([clip["value"]] * 2, rel=1e-6)


@pytest.mark.usefixtures("text_half")
def test_a_suite_of_prompts_measures_the_first_images_too(world: World, emoji: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(map(str, range(30))))
    suite_of_prompts(world, str(prompts), images=30)
    (found, _) = json.loads(world.score(emoji, "--suite", "t2i", "--limit", "8", "--format", "json").ok().out)
    assert found["value"] == pytest.approx(100, abs=1e-3)
    assert found["n"] == 8


def test_sampled_images_are_measured_against_the_names_of_their_classes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def embed(texts: tuple[str, ...], *_: object, **__: object) -> np.ndarray:
        asked.extend(texts)
        return np.ones((len(texts), 1280), np.float32)

    monkeypatch.setattr("genbench.prompts.prompt_features", embed)
    suite_of_prompts(world, "an emoji of {class}", images=8)
    world.run("t2i", "-m", "tiny@ode2").ok()
    assert len(asked) == 8
    assert set(asked) <= {f"an emoji of {name}" for name in emoji32.CLASSES}
    (record,) = world.records()
    assert record.prompts
    assert record.prompts.source == "an emoji of {class}"


@pytest.mark.parametrize(
    ("prompts", "images", "message"),
    [
        ("missing.txt", 24, "missing.txt: prompts cannot be read"),
        ("few.txt", 24, "few.txt: 2 prompts for the 24 images of suite t2i"),
        ("few.txt", 2, "suite t2i is of images made from prompts, and tiny@ode2 is sampled by class"),
    ],
)
def test_a_suite_whose_prompts_do_not_fit_samples_nothing(
    world: World, prompts: str, images: int, message: str
) -> None:
    (world.registry / "prompts").mkdir()
    (world.registry / "prompts" / "few.txt").write_text("a cat\na dog\n")
    suite_of_prompts(world, prompts, images=images)
    said, _ = world.run("t2i", "-m", "tiny@ode2").problem(2)
    assert message in said
    assert world.records() == []
    assert world.shards() == []


def test_prompts_that_no_metric_reads_are_refused(world: World) -> None:
    path = world.add_suite("t2i", metrics=(f"fd@{SPACE}",))
    path.write_text(path.read_text() + 'prompts = "a {class}"\n')
    said, hint = world.run("t2i").problem(2)
    assert said == "suite t2i names prompts, and none of its metrics reads any"
    assert "clip-score" in hint


def test_what_does_not_fit_is_refused(world: World, emoji: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a cat\n")
    for options, message in [
        (("--prompts", prompts, "--metrics", METRIC), "1 prompts for 24 images"),
        (("--prompts", "a {class}", "--metrics", METRIC), "the classes are not known"),
        (("--prompts", prompts, "--suite", "tiny"), "--prompts and --suite exclude each other"),
        (("--prompts", prompts, "--metrics", f"fd@{SPACE}"), "no metric that is asked for reads prompts"),
        (("--reference", emoji, "--metrics", METRIC), "compares images with their prompts"),
    ]:
        said, _ = world.score(emoji, *options).problem(2)
        assert message in said
    assert world.records() == []
