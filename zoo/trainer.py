"""One training run in a folder: resumed from its checkpoint, with the same bits in the end however often it stopped."""

from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from genbench.console import note
from genbench.errors import ConfigError, RunFailedError, UsageError
from genbench.files import write_atomically
from zoo.alignment import AlignmentLoss
from zoo.configuration import RUNS, Optimiser, Training
from zoo.data import Data, batch_indices
from zoo.objectives import Batch

MAX_GRADIENT_NORM = 1.0


def learning_rate(step: int, steps: int, settings: Optimiser) -> float:
    """Of one step: linear warm-up, then as it is, or half a cosine down to zero after the last step."""
    peak, warmup = settings.learning_rate, settings.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    if settings.schedule == "constant":
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


class Trainer:
    """Trains a network, and the projector of its alignment if it has one.

    Every batch and draw depends on the seed and the step alone. The folder gets ``checkpoint.pt``, ``log.jsonl`` and,
    in ``weights``, EMA weights at the budget's snapshots.

    Raises `ConfigError` when the folder's checkpoint was made with another configuration.
    """

    def __init__(
        self,
        configuration: Training,
        network: nn.Module,
        data: Data,
        folder: Path,
        alignment: AlignmentLoss | None = None,
    ) -> None:
        self.configuration, self.data, self.folder = configuration, data, folder
        self.network, self.alignment = network, alignment
        self.ema = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self._trained = nn.ModuleList([network] + ([alignment] if alignment is not None else []))
        self._parameters = [p for p in self._trained.parameters() if p.requires_grad]
        settings = configuration.optimiser
        self.optimiser = torch.optim.AdamW(
            self._parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.step = 0
        self._resume()

    @property
    def checkpoint(self) -> Path:
        """The file that a later call resumes from."""
        return self.folder / "checkpoint.pt"

    @property
    def finished(self) -> bool:
        """Whether the budget is spent."""
        return self.step >= self.configuration.budget.steps

    def run(self) -> None:
        """Train to the end of the budget.

        Raises `RunFailedError` when a loss is not finite.
        """
        budget = self.configuration.budget
        losses: list[float] = []
        started = time.monotonic()
        while not self.finished:
            losses.append(self._update())
            if self.step % budget.log_every == 0:
                self._log(losses, time.monotonic() - started)
                losses, started = [], time.monotonic()
            if self.step in budget.marks:
                tensors = {k: v.contiguous() for k, v in self.ema.items()}
                write_atomically(snapshot(self.folder, self.step), save(tensors))
            if self.step % budget.checkpoint_every == 0 or self.finished:
                self._keep()

    def _update(self) -> float:
        settings, budget = self.configuration.optimiser, self.configuration.budget
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, budget.steps, settings)
        self.optimiser.zero_grad(set_to_none=True)
        # On a CPU the way back through the fused attention alone takes two fifths of a step.
        half = settings.autocast == "bfloat16"
        with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = self._loss()
        if not loss.isfinite():
            raise RunFailedError(
                f"{self.folder.name}: the loss of step {self.step} is {loss.item()}",
                hint="lower optimiser.learning_rate, and move the folder of the run away",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.step += 1
        self._average(min(settings.ema_decay, (1 + self.step) / (10 + self.step)))
        return loss.item()

    @torch.no_grad()
    def _average(self, decay: float) -> None:
        """Of what is trained; buffers hold what is fixed, infinities and whole numbers among it."""
        for key, value in self.network.named_parameters():
            self.ema[key].lerp_(value, 1 - decay)

    def _loss(self) -> Tensor:
        budget = self.configuration.budget
        generator = torch.Generator().manual_seed(budget.seed * 1_000_003 + self.step)
        chosen = batch_indices(budget.seed, self.step, budget.batch, len(self.data.labels))
        labels = self.data.labels[chosen]
        dropped = torch.rand(len(labels), generator=generator) < self.configuration.optimiser.label_dropout
        labels = torch.where(dropped, self.data.null, labels)
        codes = self.data.codes.of(chosen) if self.data.codes is not None else None
        batch = Batch(self.data.images[chosen], labels, self.step, budget.steps, codes)
        loss = self.configuration.objective(self.network, batch, generator)
        if self.alignment is not None and self.alignment.applies(self.step, budget.steps):
            loss = loss + self.alignment(self._targets[chosen].float())
        return loss

    @property
    def _targets(self) -> Tensor:
        if self.data.targets is None:
            raise ConfigError("an alignment needs an encoder's tokens", hint="give the training data its targets")
        return self.data.targets

    @property
    def _identity(self) -> str:
        return self.configuration.identity

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        if state["configuration"] != self._identity:
            raise ConfigError(f"{self.checkpoint} was made with another configuration", hint="move its folder away")
        self._trained.load_state_dict(state["trained"])
        self.ema = state["ema"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _keep(self) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "configuration": self._identity,
                "trained": self._trained.state_dict(),
                "ema": self.ema,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
            },
            buffer,
        )
        write_atomically(self.checkpoint, buffer.getbuffer())

    def _log(self, losses: list[float], seconds: float) -> None:
        entry = {
            "step": self.step,
            "loss": sum(losses) / len(losses),
            "images_per_s": len(losses) * self.configuration.budget.batch / seconds,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
        note(f"{self.folder.name}: " + ", ".join(f"{key} {value:.5g}" for key, value in entry.items()))


def snapshot(folder: Path, step: int) -> Path:
    """The EMA weights after `step` steps of the training in `folder`, under a name that no other training has."""
    return folder / "weights" / f"{folder.name}-{step:06d}.safetensors"


def trained(name: str, configuration: Training) -> Path:
    """The EMA weights of a model of the zoo at the end of its training.

    Raises `UsageError` when it has not ended.
    """
    path = snapshot(RUNS / name, configuration.budget.steps)
    if not path.exists():
        raise UsageError(f"{path}: no such file", hint=f"uv run python -m zoo.train {name}")
    return path
