"""Prompts from files: by order or by name of the image; and embedded once each."""

from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.errors import UsageError
from genbench.features import openclip
from genbench.features.space import Space
from genbench.prompts import prompt_features, prompts_of_classes, read_prompts

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
    assert read_prompts(written(tmp_path, name, text), IMAGES) == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("prompts.txt", "a cat\na dog\n", r"2 prompts \(0 of them empty\) for 3 images"),
        ("prompts.txt", "a cat\n\na dog\n", r"3 prompts \(1 of them empty\) for 3 images"),
        ("prompts.csv", "file_name,prompt\nb.png,a cat\n", "no prompt for image a/1.png"),
        ("prompts.csv", "file_name,prompt\nb.png,a cat\nb.png,a dog\n", "two prompts for image b.png"),
        ("prompts.csv", "image,text\nb.png,a cat\n", r"prompts.csv:2: no file_name and prompt"),
        ("prompts.jsonl", "{\n", "prompts.jsonl:1: not JSON"),
        ("prompts.jsonl", "[1]\n", "prompts.jsonl:1: no file_name and prompt"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read_prompts(written(tmp_path, name, text), IMAGES)
    assert caught.value.hint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prompts cannot be read"):
        read_prompts(tmp_path / "missing.txt", IMAGES)


def test_prompts_of_classes_name_them() -> None:
    assert prompts_of_classes("a {class}!", ("cat", "dog")) == ("a cat!", "a dog!")
    with pytest.raises(UsageError, match="the classes are not known"):
        prompts_of_classes("a {class}", None)


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
