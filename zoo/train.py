"""Train a model of the embedded zoo:  uv run python -m zoo.train NAME

Reads ``zoo/NAME.toml``, takes the network from its card, trains on the embedded data set and leaves
``zoo/runs/NAME/``: a checkpoint that the same command resumes from (bit-identically on one machine: every batch and
draw depends on the seed and the step alone), a log (JSON lines), and EMA weights at the configured shares of the
budget.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import time
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from genbench.cards import load_card
from genbench.files import write_atomically
from genbench.images import emoji32
from genbench.methods.dit.network import DiT
from zoo.measure import measure
from zoo.objectives import OBJECTIVES

HERE = Path(__file__).parent


class Data(NamedTuple):
    """Training images (N, 3, H, W) float32 in [-1, 1] and labels (N,)."""

    images: Tensor
    labels: Tensor


def training_data() -> Data:
    """The train split of emoji32."""
    split = emoji32.load("train")
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Data(images, torch.from_numpy(split.labels))


def batch_indices(seed: int, step: int, batch: int, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The images of one step: consecutive places in an endless sequence of shuffled epochs."""
    first, chosen = step * batch, np.empty(0, np.int64)
    while len(chosen) < batch:
        epoch, start = divmod(first + len(chosen), size)
        order = np.random.default_rng([seed, epoch]).permutation(size)
        chosen = np.concatenate([chosen, order[start : start + batch - len(chosen)]])
    return chosen


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then cosine decay to zero at the last step."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write safetensors, complete or not at all."""
    write_atomically(path, to_bytes({k: v.contiguous() for k, v in tensors.items()}))


class Trainer:
    """One training run in a folder; `run` continues from the folder's checkpoint if there is one."""

    def __init__(
        self,
        config: dict[str, Any],
        network: nn.Module,
        data: Data,
        folder: Path,
        on_snapshot: Callable[[dict[str, Tensor]], Mapping[str, float]] | None = None,
    ) -> None:
        """`on_snapshot` turns EMA weights into numbers for the log."""
        self.config, self.data, self.folder, self.on_snapshot = config, data, folder, on_snapshot
        self.network = network
        self.ema = {k: v.detach().clone() for k, v in network.state_dict().items()}
        optimiser = config["optimiser"]
        self.optimiser = torch.optim.AdamW(
            [p for p in network.parameters() if p.requires_grad],
            lr=optimiser["learning_rate"],
            weight_decay=optimiser["weight_decay"],
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    @property
    def checkpoint(self) -> Path:
        """The file that a later call resumes from."""
        return self.folder / "checkpoint.pt"

    @property
    def _identity(self) -> str:
        """The configuration as far as it moves a weight: how snapshots are measured does not."""
        kept = {key: value for key, value in self.config.items() if not key.startswith("snapshot_")}
        return json.dumps(kept, sort_keys=True)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state["config"] != self._identity:
            raise SystemExit(f"error: {self.checkpoint} was made with another configuration\nhint: move it away")
        self.network.load_state_dict(state["network"])
        self.ema = state["ema"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _keep(self) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "config": self._identity,
                "network": self.network.state_dict(),
                "ema": self.ema,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
            },
            buffer,
        )
        write_atomically(self.checkpoint, buffer.getbuffer())

    def _log(self, **entry: float) -> None:
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(" ".join(f"{k} {v:.5g}" for k, v in entry.items()), flush=True)

    def _update(self) -> float:
        optimiser, budget = self.config["optimiser"], self.config["budget"]
        generator = torch.Generator().manual_seed(budget["seed"] * 1_000_003 + self.step)
        chosen = batch_indices(budget["seed"], self.step, budget["batch"], len(self.data.labels))
        images, labels = self.data.images[chosen], self.data.labels[chosen]
        dropped = torch.rand(len(labels), generator=generator) < optimiser["label_dropout"]
        null = int(self.network.num_classes)  # type: ignore[arg-type]
        labels = torch.where(dropped, null, labels)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(
                self.step, budget["steps"], optimiser["warmup_steps"], optimiser["learning_rate"]
            )
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=getattr(torch, optimiser["autocast"])):
            loss = OBJECTIVES[self.config["objective"]](self.network, images, labels, generator)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        decay = min(optimiser["ema_decay"], (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.network.state_dict().items():
                self.ema[key].lerp_(value, 1 - decay)
        return loss.item()

    def run(self) -> None:
        """Train to the end of the budget."""
        budget = self.config["budget"]
        marks = {round(share * budget["steps"]) for share in budget["snapshots"]}
        self._measure_snapshots(marks)
        losses, started = [], time.monotonic()
        while self.step < budget["steps"]:
            losses.append(self._update())
            if self.step % budget["log_every"] == 0:
                seconds = time.monotonic() - started
                self._log(
                    step=self.step,
                    loss=sum(losses) / len(losses),
                    images_per_s=len(losses) * budget["batch"] / seconds,
                )
                losses, started = [], time.monotonic()
            if self.step in marks:
                save(self.ema, self._snapshot(self.step))
            if self.step % budget["checkpoint_every"] == 0 or self.step == budget["steps"]:
                self._keep()
            if self.step in marks:
                self._measure_snapshots(marks)
                started = time.monotonic()

    def _snapshot(self, step: int) -> Path:
        return self.folder / f"ema-{step:06d}.safetensors"

    def _measure_snapshots(self, marks: Collection[int]) -> None:
        """Log the numbers of every snapshot that has none yet; one that an interruption left out is made up for."""
        if self.on_snapshot is None:
            return
        path = self.folder / "snapshots.jsonl"
        measured = {json.loads(line)["step"] for line in path.read_text().splitlines()} if path.exists() else set()
        for step in sorted(marks):
            if step <= self.step and step not in measured and self._snapshot(step).exists():
                entry = {"step": step, **self.on_snapshot(load_file(self._snapshot(step)))}
                with path.open("a") as file:
                    file.write(json.dumps(entry) + "\n")
                print(" ".join(f"{k} {v:.5g}" for k, v in entry.items()), flush=True)


def read_variant(config: Mapping[str, Any]) -> dict[str, Any]:
    """The card's entry of the variant that a configuration trains: its network is the one that is trained."""
    card = load_card(HERE.parent / "registry" / f"{config['card']}.toml")
    return card.variants[config["variant"]].model_dump()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a configuration beside this file, without .toml")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = tomllib.loads((HERE / f"{arguments.name}.toml").read_text())
    variant = read_variant(config)
    torch.manual_seed(config["budget"]["seed"])
    network = DiT(**variant["network"])
    network.initialise()

    def fd(state: dict[str, Tensor]) -> dict[str, float]:
        measured = measure(variant, variant["presets"][config["snapshot_preset"]], state, config["snapshot_images"])
        return {metric: value.value for metric, value in measured.items()}

    Trainer(config, network, training_data(), HERE / "runs" / arguments.name, on_snapshot=fd).run()


if __name__ == "__main__":
    main()
