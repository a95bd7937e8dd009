"""Speed of inception-tf against torch-fidelity's module: same weights, same images, side by side in one run.

    uv run python benchmarks/features.py [--images 64] [--side 256] [--rounds 3] [--threads 2] [--compile]

Every round times each contender once, in turn, so that another job on the machine disturbs all of them alike; the
table has the best round of each, with preparation of the images included. Errors are of pool3 against torch-fidelity's:
the largest difference over the largest feature, and the norm of the difference over the norm.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from fidelity_weights import save_for_torch_fidelity
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from genbench.features.extractor import LOADERS, Extractors, Reading, load_extractors
from genbench.features.precision import lower
from genbench.features.space import Precision
from genbench.features.spaces import INCEPTION_BACKBONE, get
from genbench.paths import cache_folder
from genbench.weights import Located, locate

SPACE = get("inception-tf")


class Row(NamedTuple):
    """One contender."""

    name: str
    images_per_second: float
    ratio: float
    """To torch-fidelity's module."""
    largest_error: float
    norm_error: float


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="time compiled networks too; compiling takes minutes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(options.images, 3, options.side // 8, options.side // 8, generator=generator) * 255
    images = nn.functional.interpolate(coarse, (options.side, options.side), mode="bicubic").clamp(0, 255)
    rows = measure(contenders(options.device, compiled=options.compile), images.to(torch.uint8), options)
    report(rows, options)


def contenders(device: str, *, compiled: bool) -> dict[str, Callable[[Tensor], Tensor]]:
    """uint8 images to pool3, by name; torch-fidelity first."""
    found = {
        "torch-fidelity 0.4": torch_fidelitys(device),
        "exact": ours("exact", device),
        "fast": ours("fast", device),
    }
    if compiled:
        found["exact, compiled"] = ours_compiled("exact", device)
        found["fast, compiled"] = ours_compiled("fast", device)
    return found


def torch_fidelitys(device: str) -> Callable[[Tensor], Tensor]:
    """The peer's module with the offline backbone, in its default batches of 64."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        save_for_torch_fidelity(path)
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))
    network.to(device)

    def extract(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return torch.cat([network(part.to(device))[0] for part in torch.split(images, 64)])

    return extract


def ours(precision: Precision, device: str) -> Callable[[Tensor], Tensor]:
    """What `genbench` runs."""
    extractors = load_extractors([SPACE], device=device, cache=cache_folder(None), precision=precision)
    return lambda images: torch.cat([extractors(part)[SPACE.name] for part in torch.split(images, 64)])


def ours_compiled(precision: Precision, device: str) -> Callable[[Tensor], Tensor]:
    """The same network behind `torch.compile`, its weights frozen: laid out for the processor once."""
    files = [Located(INCEPTION_BACKBONE, locate(INCEPTION_BACKBONE, cache=cache_folder(None)))]
    extractor = LOADERS[SPACE.extractor](files, {SPACE.layer}, device)
    assert extractor.network is not None
    if precision == "fast":
        lower(extractor.network)
    extractor.network.compile(dynamic=False, options={"freezing": True})
    extractors = Extractors([Reading(extractor, (SPACE,), precision)], device)
    return lambda images: torch.cat([extractors(part)[SPACE.name] for part in torch.split(images, 64)])


def measure(found: dict[str, Callable[[Tensor], Tensor]], images: Tensor, options: argparse.Namespace) -> list[Row]:
    """The best of several rounds of each, and how far its features are from the first's."""
    features = {name: extract(images).cpu() for name, extract in found.items()}
    seconds = dict.fromkeys(found, float("inf"))
    for _ in range(options.rounds):
        for name, extract in found.items():
            started = time.perf_counter()
            extract(images).cpu()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    (peer, expected), *_ = features.items()
    return [
        Row(
            name,
            len(images) / seconds[name],
            seconds[peer] / seconds[name],
            ((values - expected).abs().max() / expected.abs().max()).item(),
            ((values - expected).norm() / expected.norm()).item(),
        )
        for name, values in features.items()
    ]


def report(rows: list[Row], options: argparse.Namespace) -> None:
    """A Markdown table, or JSON lines."""
    if options.json:
        sys.stdout.writelines(json.dumps(row._asdict()) + "\n" for row in rows)
        return
    print(f"{options.images} images {options.side}x{options.side}, {options.device}, {options.threads} threads,")
    print(f"torch {torch.__version__}, best of {options.rounds} rounds\n")
    print("| inception-tf pool3 | images/s | ratio | largest error | error of the norm |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.name} | {row.images_per_second:.1f} | {row.ratio:.2f}x "
            f"| {row.largest_error:.1e} | {row.norm_error:.1e} |"
        )


if __name__ == "__main__":
    main()
