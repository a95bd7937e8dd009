"""Prompts from files: by order or by name of the image; and embedded once each."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.errors import UsageError
from genbench.features import openclip
from genbench.features.space import Space
from genbench.metrics.labels import Labels
from genbench.prompts import PromptFile, open_prompts, prompt_features, read_prompts
from genbench.protocol import load_protocol
from genbench.references import Shelf
from genbench.suites import Suite, find_suite

REGISTRY = Path(__file__).parents[2] / "registry"
IMAGES = ("a/1.png", "a/2.png", "b.png")
EXPECTED = ("a cat", "two dogs, running", "a cat")


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompts.txt", "a cat\n two dogs, running\na cat\n"),
        ("by-order.csv", 'prompt\na cat\n"two dogs, running"\na cat\n'),
        (
            "prompts.csv",
            'file_name,prompt,seed\nb.png,a cat,1\na/2.png,"two dogs, running",2\na/1.png,a cat,3\nc.png,x,4\n',
        ),
        (
            "metadata.jsonl",
            '{"file_name": "a/2.png", "prompt": "two dogs, running"}\n{"file_name": "b.png", "prompt": "a cat"}\n'
            '{"file_name": "a/1.png", "prompt": "a cat"}\n',
        ),
    ],
)
def test_prompts_belong_to_images_by_order_or_by_name(tmp_path: Path, name: str, text: str) -> None:
    found = read_prompts(written(tmp_path, name, text)).of(IMAGES)
    assert found.texts == EXPECTED
    assert found.categories is None
    assert found.first(2).texts == EXPECTED[:2]


def test_prompts_have_the_categories_of_their_file(tmp_path: Path) -> None:
    text = "file_name,prompt,category\nb.png,a cat,animal\na/1.png,3 cats,counting\na/2.png,2 dogs,counting\n"
    found = read_prompts(written(tmp_path, "prompts.csv", text)).of(IMAGES)
    assert found.categories == ("counting", "counting", "animal")
    assert found.first(2).categories == ("counting", "counting")


def test_a_file_may_go_on_behind_the_last_image_where_it_is_said_so(tmp_path: Path) -> None:
    file = read_prompts(written(tmp_path, "prompts.txt", "a\nb\nc\nd\n"))
    assert file.of(IMAGES, more=True).texts == ("a", "b", "c")
    with pytest.raises(UsageError, match="4 prompts for 3 images"):
        file.of(IMAGES)


def test_the_digest_is_of_what_the_prompts_say(tmp_path: Path) -> None:
    by_order = [
        written(tmp_path, "a.txt", "a cat\na dog\n"),
        written(tmp_path, "b.csv", "prompt,seed\na cat,1\na dog,2\n"),
    ]
    other = written(tmp_path, "c.txt", "a dog\na cat\n")
    one, two, three = (read_prompts(path).digest for path in (*by_order, other))
    assert one == two != three


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("prompts.txt", "a cat\na dog\n", "2 prompts for 3 images"),
        ("prompts.txt", "a cat\n\na dog\n", "prompts.txt:2: no prompt"),
        ("prompts.txt", "", "holds no prompts"),
        ("prompts.csv", "file_name,prompt\nb.png,a cat\n", "no prompt for image a/1.png"),
        ("prompts.csv", "file_name,prompt\nb.png,a cat\nb.png,a dog\n", "two prompts for image b.png"),
        ("prompts.csv", "file_name,prompt\nb.png,a cat\n,a dog\n", "prompt 2 has no file_name, others have one"),
        ("prompts.csv", "prompt,category\na cat,x\na dog,\n", "prompt 2 has no category, others have one"),
        ("prompts.csv", "image,text\nb.png,a cat\n", "prompts.csv:2: no prompt"),
        ("prompts.jsonl", "{\n", "prompts.jsonl:1: not JSON"),
        ("prompts.jsonl", "[1]\n", "prompts.jsonl:1: no prompt"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_prompts(written(tmp_path, name, text)).of(IMAGES)
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prompts cannot be read"):
        read_prompts(tmp_path / "missing.txt")


def test_a_name_is_looked_for_in_registries(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    path = written(tmp_path / "prompts", "bench.txt", "a cat\n")
    found = open_prompts("bench.txt", [tmp_path / "other", tmp_path])
    assert isinstance(found, PromptFile)
    assert found.path == path


def test_prompts_of_classes_name_them() -> None:
    template = open_prompts("a {class}!", [])
    labels = Labels(np.array([1, 0, 1]), ("cat", "dog"))
    assert template.of((), labels).texts == ("a dog!", "a cat!", "a dog!")
    with pytest.raises(UsageError, match="the classes are not known"):
        template.of(())
    with pytest.raises(UsageError, match="known by their numbers only"):
        template.of((), Labels(np.array([1, 0])))


def space(name: str) -> Space:
    return Space(name, name, "embedding", (2,), 1, "none", None)


def test_each_different_prompt_is_embedded_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def encode(prompts: list[str]) -> torch.Tensor:
        asked.extend(prompts)
        return torch.tensor([[len(prompt), prompt.count(" ")] for prompt in prompts], dtype=torch.float32)

    # The text half of a model needs a download; tests/parity compares it with open_clip's.
    monkeypatch.setattr(openclip, "load_text", lambda *_, **__: encode)
    for _ in range(2):
        found = prompt_features(EXPECTED, space("open-clip/toy:tag"), device="cpu", cache=tmp_path)
        np.testing.assert_array_equal(found, [[5, 1], [17, 2], [5, 1]])
    assert sorted(asked) == ["a cat", "two dogs, running"]


def test_a_space_without_a_text_half_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inception-tf embeds no prompts"):
        prompt_features(EXPECTED, space("inception-tf"), device="cpu", cache=tmp_path)


def test_the_packaged_prompts_are_all_different_and_of_ten_kinds() -> None:
    prompts = read_prompts(REGISTRY / "prompts" / "t2i-prompts.csv")
    assert prompts.repeated is None
    assert len(prompts.rows) == find_suite("t2i-prompts", [REGISTRY.parent / "suites"]).images
    assert Counter(row.category for row in prompts.rows).most_common()[-1][1] == 16


def test_a_repeated_prompt_is_found_where_images_have_no_names(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("a cat\na dog\na cat\n")
    assert read_prompts(path).repeated == "a cat"
    path = tmp_path / "prompts.csv"
    path.write_text("file_name,prompt\n1.png,a cat\n2.png,a cat\n")
    assert read_prompts(path).repeated is None
    suite = Suite.model_validate(
        {
            "id": "twice",
            "title": "a prompt given twice",
            "dataset": "prompts",
            "resolution": 32,
            "prompts": str(tmp_path / "prompts.txt"),
            "images": 3,
            "labels": "balanced",
            "metrics": ["clip-score"],
            "runs": ["*"],
        }
    )
    with pytest.raises(UsageError, match="prompt 'a cat' is there twice"):
        load_protocol(suite, Shelf([], tmp_path, "cpu", 1))
    with pytest.raises(UsageError, match="names no reference, which fd@inception-tf compares with"):
        load_protocol(suite.model_copy(update={"metrics": ("fid",), "prompts": None}), Shelf([], tmp_path, "cpu", 1))
