"""Whole processes, from PNG files to FID, KID, precision and recall: `genbench score` against torch-fidelity's program.

    uv run python benchmarks/whole_process.py [--images 2000] [--reference 1000] [--threads 2] [--folder DIR]

Both score the same PNG files with the same weights, in fresh processes with nothing cached of these images. Of the
reference both have the features, which each made beforehand in its own way: that is not timed. torch-fidelity
estimates KID on 100 subsets of 1,000 and genbench computes it over all pairs; otherwise the values are to agree.
Pictures are fractal noise: spectra fall as those of photographs do, and PNG compresses them as little.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fidelity_weights import save_for_torch_fidelity
from PIL import Image

from genbench.features.space import Precision

METRICS = ("fid", "kid", "precision", "recall")
KEYS = (
    "frechet_inception_distance",
    "kernel_inception_distance_mean",
    "precision",
    "recall",
)
"""torch-fidelity's names of the same."""
SPACE = "inception-tf"
SIDE = 256
OCTAVES = 7


class Run(NamedTuple):
    """One process, from its start to its end."""

    name: str
    seconds: float
    cpu_seconds: float
    """User and system time of the process: what it takes of the machine, whatever else runs there."""
    values: Sequence[float]
    """In the order of `METRICS`."""


def picture(seed: int, *, roughness: float) -> np.ndarray:
    """(256, 256, 3) uint8: octaves of smooth noise, each of half the scale and `roughness` times the contrast."""
    rng = np.random.default_rng(seed)
    tint = rng.normal(0, 1, (3, 3)) * 0.3 + np.eye(3)
    field = np.zeros((SIDE, SIDE, 3))
    for octave in range(OCTAVES):
        coarse = rng.normal(0, roughness**octave, (2 ** (octave + 1), 2 ** (octave + 1), 3)).astype(np.float32)
        channels = [Image.fromarray(coarse[..., c]).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for c in range(3)]
        field += np.stack([np.asarray(channel) for channel in channels], axis=-1)
    return np.clip(127.5 + 60 * field @ tint, 0, 255).astype(np.uint8)


def draw(folder: Path, count: int, *, first_seed: int, roughness: float) -> Path:
    """Write the pictures that `folder` lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first_seed, first_seed + count):
        path = folder / f"{seed:06}.png"
        if not path.exists():
            Image.fromarray(picture(seed, roughness=roughness)).save(path)
    return folder


def timed(name: str, command: Sequence[str], threads: int, read: Callable[[str], Sequence[float]]) -> Run:
    """Run a program to its end; it must succeed."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(name, seconds, cpu, read(done.stdout))


def torch_fidelity(images: Path, reference: Path, folder: Path, options: argparse.Namespace) -> Run:
    """torch-fidelity's program; it keeps features of the reference in `folder` from the first time on."""
    subset = min(1000, options.images, options.reference)
    arguments = ["--cpu", "--json", "--silent", "--fid", "--kid", "--prc", "--kid-subset-size", str(subset)]
    arguments += ["--feature-extractor", "inception-v3-compat", "--feature-layer-prc", "2048"]
    arguments += ["--feature-extractor-weights-path", str(folder / "weights.pth")]
    arguments += ["--cache-root", str(folder / "torch-fidelity"), "--input2-cache-name", reference.name]
    program = str(Path(sys.executable).with_name("fidelity"))
    command = [program, "--input1", str(images), "--input2", str(reference), *arguments]
    return timed("torch-fidelity", command, options.threads, lambda out: [json.loads(out)[key] for key in KEYS])


def genbench(images: Path, reference: Path, precision: Precision, threads: int) -> Run:
    """`genbench score` with an empty cache."""
    program = [str(Path(sys.executable).with_name("genbench")), "score"]
    with tempfile.TemporaryDirectory() as cache:
        arguments = [str(images), "--reference", str(reference), "--metrics", ",".join(METRICS), "--cache", cache]
        arguments += ["--precision", precision, "--device", "cpu", "--no-record", "--format", "json"]
        return timed(f"genbench, {precision}", [*program, *arguments], threads, _values)


def _values(output: str) -> list[float]:
    found = {row["metric"]: row["value"] for row in json.loads(output)}
    return [found[name] for name in METRICS]


def build_reference(images: Path, folder: Path) -> Path:
    """The features and moments of the reference, as `genbench reference build` keeps them."""
    program = [str(Path(sys.executable).with_name("genbench")), "reference", "build", str(images), "--device", "cpu"]
    arguments = ["--name", images.name, "--space", SPACE, "--out", str(folder), "--cache", str(folder / "cache")]
    subprocess.run([*program, *arguments], stdout=subprocess.DEVNULL, check=True)
    (built,) = folder.glob(f"references/{images.name}/*.safetensors")
    return built


def main() -> None:
    """Draw, prepare, time in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--reference", type=int, default=1000, help="images of the reference; KID's subsets need 1000")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest of each counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="keep pictures and the reference here for the next time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        report(compare(folder, options), options)


def compare(folder: Path, options: argparse.Namespace) -> list[Run]:
    """The fastest run of each contender, torch-fidelity first."""
    images = draw(folder / f"images-{options.images}", options.images, first_seed=0, roughness=0.62)
    reference = draw(folder / f"reference-{options.reference}", options.reference, first_seed=10**5, roughness=0.6)
    save_for_torch_fidelity(folder / "weights.pth")
    built = build_reference(reference, folder / "genbench")
    torch_fidelity(reference, reference, folder, options)  # not timed: leaves the features of the reference
    rounds = [
        [
            torch_fidelity(images, reference, folder, options),
            genbench(images, built, "exact", options.threads),
            genbench(images, built, "fast", options.threads),
        ]
        for _ in range(options.rounds)
    ]
    return [min(runs, key=lambda run: run.seconds) for runs in zip(*rounds, strict=True)]


def report(runs: Sequence[Run], options: argparse.Namespace) -> None:
    """A Markdown table, or JSON lines."""
    if options.json:
        sys.stdout.writelines(json.dumps(run._asdict()) + "\n" for run in runs)
        return
    peer = runs[0]
    print(f"{options.images} PNG {SIDE}x{SIDE} against {options.reference}, {options.threads} threads,")
    print(f"torch {torch.__version__}, best of {options.rounds}\n")
    print(f"| whole process | s | ratio | CPU s | CPU ratio | {' | '.join(METRICS)} |")
    print("|---" * (5 + len(METRICS)) + "|")
    for run in runs:
        values = " | ".join(f"{value:.5g}" for value in run.values)
        print(
            f"| {run.name} | {run.seconds:.1f} | {peer.seconds / run.seconds:.2f}x | {run.cpu_seconds:.1f} "
            f"| {peer.cpu_seconds / run.cpu_seconds:.2f}x | {values} |"
        )


if __name__ == "__main__":
    main()
