"""A tiny world: one method with random weights, small suites, empty results, and the program called in process."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from genbench.cli import main
from genbench.images import emoji32
from genbench.methods.dit.network import DiT
from genbench.records import Record, read_record, record_files

NETWORK: dict[str, Any] = {
    "input_size": 32,
    "patch_size": 8,
    "in_channels": 3,
    "hidden_size": 32,
    "depth": 1,
    "num_heads": 2,
    "mlp_ratio": 1.0,
    "num_classes": 9,
    "learn_sigma": False,
}

CARD = """
[method]
id = "tiny"
name = "Tiny"
title = "A transformer of random weights"
sampler = "sit"

[variants.tiny]
summary = "Random weights."
dataset = "emoji32"
resolution = 32
classes = 9
quantise = "round"
default_preset = "ode2"
network = {network}
weights = {{ file = "tiny.safetensors", sha256 = "{sha256}" }}

[variants.tiny.presets]
ode2 = {{ mode = "ode", steps = 2 }}
ode3-cfg2 = {{ mode = "ode", steps = 3, cfg = 2.0 }}
sde2 = {{ mode = "sde", steps = 2 }}
"""

SUITE = """
id = "{id}"
title = "A small number of images"
dataset = "emoji32"
resolution = 32
reference = "emoji32-train"
images = {images}
blocks = {blocks}
labels = "empirical"
metrics = {metrics}
runs = ["tiny@*"]
"""

FOUR = ("fd@effnet-lite0", "kd@effnet-lite0", "precision@effnet-lite0", "recall@effnet-lite0")
CHEAP = ("precision@effnet-lite0",)


def toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


class Answer(NamedTuple):
    """What one command line did."""

    code: int
    out: str
    err: str

    def ok(self) -> Answer:
        """The same, seen to be no error."""
        assert self.code == 0, self.err
        assert "error:" not in self.err
        return self

    def problem(self, code: int) -> tuple[str, str]:
        """What the two lines at the end say, seen to be an error that genbench explains, with nothing on stdout."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        error, hint = self.err.splitlines()[-2:]
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        assert self.err.count("error: ") == 1
        assert self.out == ""
        return error.removeprefix("error: "), hint.removeprefix("hint: ")


def call(*arguments: str | Path) -> Answer:
    """Carry out `genbench ARGUMENTS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run([str(argument) for argument in arguments])
    return Answer(code, out.getvalue(), err.getvalue())


SEVERAL = """
import contextlib, io, json, os, sys
from genbench.cli.main import run

answers = []
for environment, arguments in json.loads(sys.argv[1]):
    os.environ.update(environment)
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()) as out:
        code = run(arguments)
    answers.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""

Snapshot = dict[str, tuple[int, str]]


def snapshot(*folders: Path) -> Snapshot:
    """Modification time and content of every file, to see that nothing was touched."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class World:
    """Folders of a user, and the commands with these folders filled in."""

    root: Path

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def suites(self) -> Path:
        return self.root / "suites"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def features(self) -> Path:
        return self.cache / "features"

    def arguments(self, command: str, *arguments: str | Path) -> list[str]:
        """A `run` or `score` command line."""
        folders = {"results": self.results, "cache": self.cache, "registry": self.registry, "suites": self.suites}
        options = [f"--{name}={folder}" for name, folder in folders.items() if f"--{name}" not in arguments]
        return [command, *map(str, arguments), *options]

    def run(self, *arguments: str | Path) -> Answer:
        return call(*self.arguments("run", *arguments))

    def score(self, *arguments: str | Path) -> Answer:
        return call(*self.arguments("score", *arguments))

    def report(self, folder: Path, *arguments: str) -> Answer:
        return call(*self.arguments("report", "--html", folder, *arguments))

    def correlogram(self, images: Path) -> list[dict[str, Any]]:
        """What `genbench spatial` says of a folder of images, distance by distance."""
        arguments = ("effnet-lite0/tokens", images, "--correlogram", "--format", "json", "--cache", self.cache)
        points: list[dict[str, Any]] = json.loads(call("spatial", *arguments).ok().out)
        return points

    def sql(self, query: str, *arguments: str) -> Answer:
        return call(
            "sql", query, *arguments, "--results", self.results, "--registry", self.registry, "--suites", self.suites
        )

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The answer to a query, by column."""
        rows: list[dict[str, Any]] = json.loads(self.sql(query, "--format", "json").ok().out)
        return rows

    def records(self) -> list[Record]:
        return [read_record(path) for path in record_files(self.results)]

    def shards(self, space: str = "effnet-lite0-*") -> list[Path]:
        """Shard files of a space, in order of images."""
        return sorted(self.features.glob(f"*/{space}/*.npy"))

    def state(self) -> Snapshot:
        """Everything that a refused command must leave alone."""
        return snapshot(self.results, self.cache)

    def program(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """The program started as a process of its own, with as many threads: other numbers of them round otherwise."""
        environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        code = "from genbench.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], stdout=PIPE, stderr=PIPE, text=True, env=environment
        )

    def apart(self, commands: Sequence[tuple[Mapping[str, str], Sequence[str]]], **environment: str) -> list[Answer]:
        """Command lines one after the other in a process of their own, each with more of an environment.

        For libraries that read the environment when they are imported.
        """
        arguments = [sys.executable, "-c", SEVERAL, json.dumps(commands)]
        process = subprocess.run(arguments, env={**os.environ, **environment}, stdout=PIPE, check=True, timeout=400)
        return [Answer(*answer) for answer in json.loads(process.stdout.splitlines()[-1])]

    def copy(self, root: Path) -> World:
        """The same world in another place."""
        shutil.copytree(self.root, root)
        return World(root)

    def add_card(self, text: str, name: str = "tiny") -> Path:
        self.registry.mkdir(exist_ok=True)
        path = self.registry / f"{name}.toml"
        path.write_text(text)
        return path

    def add_suite(self, name: str, *, images: int = 24, blocks: int = 1, metrics: Sequence[str] = FOUR) -> Path:
        self.suites.mkdir(exist_ok=True)
        path = self.suites / f"{name}.toml"
        path.write_text(SUITE.format(id=name, images=images, blocks=blocks, metrics=toml(list(metrics))))
        return path


def random_weights(network: Mapping[str, Any], path: Path) -> str:
    """Write weights that fit the network, the same ones always; returns their SHA-256."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in DiT(**network).state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_world(root: Path) -> World:
    """A world in which nothing was measured yet."""
    world = World(root)
    sha256 = random_weights(NETWORK, world.registry / "weights" / "tiny.safetensors")
    world.add_card(CARD.format(network=toml(NETWORK), sha256=sha256))
    world.add_suite("tiny")
    world.add_suite("cheap", images=6, metrics=CHEAP)
    world.add_suite("blocks", images=6, blocks=2, metrics=CHEAP)
    return world


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder of the person who runs the tests takes part, and nothing is written into the working directory."""
    for name in ("REGISTRY", "SUITES", "RESULTS", "CACHE"):
        monkeypatch.delenv(f"GENBENCH_{name}", raising=False)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world of the test's own."""
    return make_world(tmp_path)


class Measured(NamedTuple):
    """A world after `genbench run tiny`."""

    world: World
    first: Answer
    """Of that command."""


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Three runs of 24 images, measured once for all tests that only look."""
    world = make_world(tmp_path_factory.mktemp("measured"))
    return Measured(world, world.run("tiny"))


@pytest.fixture
def measured_copy(measured: Measured, tmp_path: Path) -> World:
    """A measured world of the test's own."""
    return measured.world.copy(tmp_path / "world")


@pytest.fixture(scope="session")
def emoji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the first 24 test images of emoji32 as PNG."""
    folder = tmp_path_factory.mktemp("emoji")
    for index, image in enumerate(emoji32.load("test").images[:24]):
        Image.fromarray(image).save(folder / f"{index:04d}.png")
    return folder


@pytest.fixture(scope="session")
def other_emoji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next 20 test images as NPZ."""
    path = tmp_path_factory.mktemp("other") / "other.npz"
    np.savez(path, emoji32.load("test").images[24:44])
    return path


@pytest.fixture
def genbench() -> Callable[..., Answer]:
    """`genbench ARGUMENTS` in this process."""
    return call
