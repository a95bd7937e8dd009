"""Command lines that read malformed images, references and masks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random

import torch
from safetensors.torch import save

from genbench.features import spaces
from tests.fuzz import containers
from tests.fuzz.campaign import Attempt
from tests.fuzz.mutations import document, json_text, warped
from tests.fuzz.tensors import header_of, malformed_safetensors, malformed_tensors, statistics, weight_file, with_header
from tests.pipeline.conftest import World

METRIC = "precision@effnet-lite0"
VECTORS = Path(__file__).parents[1] / "golden"


def sound(world: World) -> Path:
    """Four sound images in a folder."""
    folder = world.root / "sound"
    if not folder.exists():
        for name, data in containers.members().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    return folder


def _scored(path: Path, world: World) -> list[str]:
    options = ["--metrics", METRIC, "--no-record", "--workers", "1", "--cache", str(world.cache)]
    return ["score", str(path), "--reference", str(sound(world)), *options]


def picture(attempt: Attempt) -> list[str]:
    """A folder with an image that is none, after sound ones."""
    rng, folder, world = attempt
    for name in "abc":
        (folder / f"{name}.png").write_bytes(containers.encoded())
    name, data = containers.picture(rng)
    (folder / name).write_bytes(data)
    return _scored(folder, world)


def container(attempt: Attempt) -> list[str]:
    """An archive, an array or a table of images."""
    rng, folder, world = attempt
    kinds = {
        "x.zip": containers.malformed_zip,
        "x.tar": containers.malformed_tar,
        "x.tar.gz": lambda rng: containers.malformed_tar(rng, "w:gz"),
        "x.npy": containers.malformed_npy,
        "x.npz": containers.malformed_npz,
        "x.parquet": containers.malformed_parquet,
    }
    name = rng.choice(list(kinds))
    (folder / name).write_bytes(kinds[name](rng))
    return _scored(folder / name, world)


def masks(attempt: Attempt) -> list[str]:
    """Masks of `genbench spatial`."""
    rng, folder, world = attempt
    path = folder / "x.zip"
    path.write_bytes(containers.malformed_zip(rng))
    options = ["--masks", str(path), "--workers", "1", "--cache", str(world.cache)]
    return ["spatial", "effnet-lite0/tokens", str(sound(world)), *options]


def published_statistics(attempt: Attempt) -> list[str]:
    """Statistics of a reference that another tool published."""
    rng, folder, world = attempt
    path = folder / "x.npz"
    path.write_bytes(statistics(rng))
    form = rng.choice(("adm", "edm", "torch-fidelity", "pytorch-fid", "clean-fid"))
    options = ["--n", "5000", "--name", "x", "--out", str(folder / "registry"), "--cache", str(world.cache)]
    return ["reference", "import", str(path), "--format", form, *options]


@cache
def _reference(digest: str) -> bytes:
    tensors = {"mean": torch.zeros(4, dtype=torch.float64), "cov_upper": torch.zeros(10)}
    kept = {"features": torch.zeros(3, 4).half(), "indices": torch.arange(3), "labels": torch.arange(3)}
    said = {"format": "genbench-reference", "version": "1", "space": "effnet-lite0", "space_digest": digest}
    return save(tensors | kept, {**said, "n": "9", "source": '{"a": "b"}', "class_names": '["a"]'})


def reference_file(attempt: Attempt) -> list[str]:
    """A statistics file of genbench's own."""
    rng, folder, world = attempt
    path = folder / "x.safetensors"
    data = _reference(spaces.get("effnet-lite0").digest)
    if rng.random() < 0.5:
        header, body = header_of(data)
        header["__metadata__"] = {key: str(value) for key, value in warped(header["__metadata__"], rng).items()}
        path.write_bytes(with_header(header, body))
    else:
        path.write_bytes(malformed_safetensors(rng, data))
    options = ["--metrics", rng.choice((METRIC, "fd@effnet-lite0")), "--no-record", "--cache", str(world.cache)]
    return ["score", str(sound(world)), "--reference", str(path), *options]


def weights(attempt: Attempt) -> list[str]:
    """A weight file that is to be converted."""
    rng, folder, _ = attempt
    name, data = weight_file(rng, folder.parent / "code-ran")
    (folder / name).write_bytes(data)
    entry = ["--entry", "ema"] if rng.random() < 0.3 else []
    return ["weights", "convert", str(folder / name), str(folder / "out.safetensors"), *entry]


@cache
def _vectors(family: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (VECTORS / family).iterdir()}


def vectors(attempt: Attempt) -> list[str]:
    """A folder of reference vectors."""
    rng, folder, _ = attempt
    files = _damaged_vectors(_vectors(rng.choice(FAMILIES)), rng)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return ["validate", "--vectors", str(folder)]


FAMILIES = ("sit", "dit", "edm", "jit", "mar", "mf", "repa", "var", "sdvae", "rae", "llamagen", "consistency")
"""Of vectors whose malformed copies are replayed."""


def _damaged_vectors(sound: dict[str, bytes], rng: Random) -> dict[str, bytes]:
    if rng.random() < 0.3:
        return malformed_tensors(sound, rng)
    name = rng.choice([name for name in sound if name.endswith(".json")])
    return {**sound, name: document(json.loads(sound[name]), json_text, rng)}
