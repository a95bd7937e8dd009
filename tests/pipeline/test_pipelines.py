"""Suites run with a pipeline that a stand-in for the hub serves, and with a sampler that reads a suite's prompts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from tests.pipeline.conftest import Answer, World

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = """
[method]
id = "{name}"
name = "Hosted"
title = "A pipeline of random weights"
sampler = "{sampler}"

[variants.{name}]
summary = "Random weights."
dataset = "emoji32"
resolution = 32
quantise = "half"
classes = {classes}
prompted = {prompted}
default_preset = "two"
network = {network}

[variants.{name}.presets]
two = {preset}
"""


class Hub(BaseHTTPRequestHandler):
    """The hub's addresses that reading one repository asks for; ``main`` and its commit are all its revisions."""

    folder: Path

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        places = self.path.partition("?")[0].strip("/").split("/")
        api = places[:2] == ["api", "models"]
        repository, rest = places[2:4] if api else places[:2], places[4:] if api else places[2:]
        files = {str(path.relative_to(self.folder)): path for path in self.folder.rglob("*") if path.is_file()}
        if repository != ["tiny", "pipeline"]:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif rest[1] not in ("main", COMMIT):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif api:
            self._answer(200, json.dumps(self._listing(rest[0], files)).encode(), {})
        elif (path := files.get("/".join(rest[2:]))) is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            body = path.read_bytes()
            self._answer(200, body, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'})

    def _listing(self, kind: str, files: Mapping[str, Path]) -> Any:
        if kind == "tree":
            return [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": COMMIT}
                for name, path in files.items()
            ]
        return {"id": "tiny/pipeline", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class-conditional pipeline of random weights for 32x32 images, saved in a folder."""
    diffusers: Any = import_module("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=32,
        layers_per_block=1,
        block_out_channels=(32, 32),
        down_block_types=("ResnetDownsampleBlock2D", "ResnetDownsampleBlock2D"),
        up_block_types=("ResnetUpsampleBlock2D", "ResnetUpsampleBlock2D"),
        num_class_embeds=9,
        norm_num_groups=8,
    )
    folder = tmp_path_factory.mktemp("pipeline")
    scheduler = diffusers.CMStochasticIterativeScheduler(num_train_timesteps=40)
    diffusers.ConsistencyModelPipeline(unet, scheduler).save_pretrained(folder)
    return folder


@pytest.fixture
def hub(pipeline: Path) -> Iterator[str]:
    """Address of a hub that serves it as ``tiny/pipeline``."""
    handler = type("ServedHub", (Hub,), {"folder": pipeline})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def add_card(world: World, network: str, name: str = "hosted", **changes: str) -> None:
    given = {"sampler": "diffusers", "classes": "9", "prompted": "false", "preset": '{ timesteps = "22,0" }', **changes}
    world.add_card(CARD.format(name=name, network=network, **given), name=name)


def test_a_pipeline_of_the_hub_is_fetched_once_and_known_by_its_commit(world: World, hub: str) -> None:
    add_card(world, '{ hub = "tiny/pipeline", revision = "main", num_classes = 9 }', "branch")
    add_card(world, f'{{ hub = "tiny/pipeline", revision = "{COMMIT}", num_classes = 9 }}', "commit")
    add_card(world, '{ hub = "tiny/pipeline", revision = "v9", num_classes = 9 }', "revision")
    add_card(world, '{ hub = "tiny/absent", revision = "main", num_classes = 9 }', "repository")
    offline = {"GENBENCH_OFFLINE": "1"}
    commands = [({}, "branch"), ({}, "revision"), ({}, "repository"), (offline, "commit"), (offline, "repository")]
    branch, revision, repository, commit, unreachable = world.apart(
        [(environment, world.arguments("run", "cheap", "-m", name)) for environment, name in commands],
        HF_ENDPOINT=hub,
        HF_HOME=str(world.root / "hub"),
    )
    assert f"main is commit {COMMIT}" in branch.ok().err
    commit.ok()
    first, second = world.records()
    assert first.run is not None
    assert second.run is not None
    assert first.run.weights_sha256 == second.run.weights_sha256
    assert [m.value for m in first.measurements] == [m.value for m in second.measurements]
    assert (first.costs.nfe, first.images.n, first.run.settings["timesteps"]) == (2, 6, "22,0")
    assert first.costs.weight_bytes is not None
    assert first.costs.weight_bytes > 100_000
    for answer, message, hint in (
        (revision, "tiny/pipeline at v9: the hub has no such revision", "branch or tag"),
        (repository, "tiny/absent at main: the hub has no such repository", "correct hub"),
        (unreachable, "tiny/absent at main: not in the hub's cache, and the hub cannot be reached", "HF_HOME"),
    ):
        error, way = answer.problem(2)
        assert message in error
        assert hint in way


LETTERS = '''
import torch


class Letters:
    """Reads prompts: an image is as bright as the prompt's number."""

    nfe, parameters = 1.0, 0

    def __init__(self, **_):
        pass

    def sample_prompts(self, noise, prompts):
        levels = torch.tensor([int(prompt) / 12 - 1 for prompt in prompts])
        return levels.view(-1, 1, 1, 1) + 0.01 * noise.normal((3, 32, 32))
'''


@pytest.fixture
def letters(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A suite of prompts, a card of the sampler above, and another text half than open_clip's, whose weights are
    downloads; returns the file of prompts."""
    (tmp_path / "letters_for_test.py").write_text(LETTERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        "genbench.prompts.prompt_features", lambda texts, *_, **__: np.eye(1280, dtype=np.float32)[: len(texts)]
    )
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(map(str, range(24))))
    suite = world.add_suite("letters", metrics=("clip-score@effnet-lite0",))
    suite.write_text(
        suite.read_text().replace('reference = "emoji32-train"', f'reference = "emoji32-train"\nprompts = "{path}"')
    )
    add_card(world, "{}", sampler="letters_for_test:Letters", classes="0", prompted="true", preset="{}")
    return path


def keep(world: World, *arguments: str | Path) -> tuple[Answer, list[float]]:
    """What a run says, and the mean level of every image."""
    from PIL import Image

    folder = world.root / "kept"
    answer = world.run("letters", "-m", "hosted", "--keep-images", folder, *arguments)
    images = sorted(folder.rglob("*.png"))
    return answer, [float(np.asarray(Image.open(image)).mean()) for image in images]


def test_every_image_is_made_from_its_own_prompt(world: World, letters: Path) -> None:
    answer, levels = keep(world, "--batch-size", "5")
    answer.ok()
    assert levels == pytest.approx([127.5 * i / 12 for i in range(24)], abs=1)
    (record,) = world.records()
    assert record.prompts is not None
    assert record.prompts.source == str(letters)
    # Other prompts are other images, although the card and the seeds are the same.
    letters.write_text("\n".join(map(str, reversed(range(24)))))
    _, levels = keep(world)
    assert levels == pytest.approx([127.5 * i / 12 for i in reversed(range(24))], abs=1)
    assert len({record.images.digest for record in world.records()}) == 2


def test_a_run_of_prompts_needs_a_suite_of_prompts(world: World, letters: Path) -> None:
    error, hint = world.run("tiny", "-m", "hosted").problem(2)
    assert "hosted@two makes images from prompts, and suite tiny has no file of them" in error
    assert "a suite with prompts" in hint
    error, _ = world.run("letters", "-m", "tiny@ode2").problem(2)
    assert "tiny@ode2 is sampled by class" in error
