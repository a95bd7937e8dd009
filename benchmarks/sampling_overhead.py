"""What the harness adds to the network: SiT sampled by genbench against a bare loop over the same network.

    uv run python benchmarks/sampling_overhead.py [--network sit-b2] [--batch 4] [--steps 5] [--rounds 5] [--threads 2]

Both sides have the same weights (random, of the official shapes), latents, labels, steps and guidance in one batch. The
bare loop calls the network and adds; genbench draws noise from seeds, guides the channels its authors guide, checks,
and turns floats into pixels. Every round times both, in turn; the overhead is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genbench.engine.inputs import SampledImages
from genbench.methods.dit.network import DiT
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings

WIDTHS = {"sit-s2": (384, 12, 6), "sit-b2": (768, 12, 12), "sit-xl2": (1152, 28, 16)}
"""Width, blocks and heads."""
CFG = 1.5


class Pixels(SiTSampler):
    """The first three latent channels as an image: what is timed is sampling, not a decoder."""

    def sample(self, noise, labels):  # type: ignore[no-untyped-def]
        """Latents of a generator each => (N, 3, 32, 32)."""
        return super().sample(noise, labels)[:, :3]


def network_of(name: str) -> dict[str, object]:
    """Arguments of the official network for 256 px."""
    width, depth, heads = WIDTHS[name]
    return {
        "input_size": 32,
        "patch_size": 2,
        "in_channels": 4,
        "hidden_size": width,
        "depth": depth,
        "num_heads": heads,
        "num_classes": 1000,
        "mlp_ratio": 4.0,
        "learn_sigma": True,
        "qk_norm": False,
    }


def bare_loop(network: DiT, batch: int, steps: int, device: str) -> Callable[[], Tensor]:
    """Guided Euler steps on one batch, nothing else."""
    latents = torch.randn(batch, 4, 32, 32, device=device)
    labels = torch.arange(batch, device=device)
    both = torch.cat([labels, torch.full_like(labels, 1000)])

    @torch.inference_mode()
    def sample() -> Tensor:
        x = latents
        for step in range(steps):
            t = torch.full((2 * batch,), step / steps, device=device)
            conditional, null = network(torch.cat([x, x]), t, both)[:, :4].chunk(2)
            x = x + (null + CFG * (conditional - null)) / steps
        return x

    return sample


def seconds(function: Callable[[], object], device: str) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    function()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=WIDTHS, default="sit-b2")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    arguments = network_of(options.network)
    state = {key: 0.02 * torch.randn_like(value) for key, value in DiT(**arguments).state_dict().items()}
    settings = SiTSettings(mode="ode", steps=options.steps + 1, cfg=CFG)
    sampler = Pixels(network=arguments, settings=settings, state=state, device=torch.device(options.device))
    images = SampledImages(
        sampler,
        first_seed=0,
        labels=np.arange(options.batch),
        quantise="round",
        resolution=32,
        device=options.device,
    )
    bare = bare_loop(sampler.network, options.batch, options.steps, options.device)

    def harness() -> object:
        return list(images.batches(0, options.batch, options.batch))

    bare(), harness()
    times: dict[str, list[float]] = {"bare loop": [], "genbench": []}
    for _ in range(options.rounds):
        times["bare loop"].append(seconds(bare, options.device))
        times["genbench"].append(seconds(harness, options.device))
    middle = {name: statistics.median(found) for name, found in times.items()}
    overhead = middle["genbench"] / middle["bare loop"] - 1
    if options.json:
        print(json.dumps({"network": options.network, **middle, "overhead": overhead}))
        return
    for name, found in middle.items():
        print(f"{name:10} {found:8.3f} s a batch of {options.batch}, {options.steps} guided steps")
    print(f"overhead   {100 * overhead:+.1f} % ({options.network}, {options.device}, {options.threads} threads)")


if __name__ == "__main__":
    main()
