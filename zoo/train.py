"""Train models of the embedded zoo, one after another:  uv run python -m zoo.train NAME…

NAME is a configuration beside this file. ``zoo/runs/NAME/`` gets a checkpoint, a log and EMA weights at the budget's
snapshots. A training that was interrupted continues from its checkpoint, bit-identically on one machine; a finished one
is passed over.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from safetensors.torch import load_file
from torch import nn

from genbench import console
from genbench.images import emoji32
from genbench.methods.initialisation import initialise
from zoo.alignment import AlignmentLoss
from zoo.command import for_each
from zoo.configuration import RUNS, Model, Training, build_network, load
from zoo.data import codes, encoder_tokens, training_data
from zoo.trainer import Trainer, trained

if TYPE_CHECKING:
    from genbench.methods.latents.codebook import QuantisedAutoencoder
    from genbench.methods.var.quantiser import MultiScaleQuantiser


def make_trainer(name: str, configuration: Training) -> Trainer:
    """The training of one configuration, resumed where it has a checkpoint. Draws from torch's generator.

    Raises `UsageError` when it starts from, or learns the codes of, a network whose training has not ended.
    """
    torch.manual_seed(configuration.budget.seed)
    network = build_network(configuration)
    if configuration.initial is not None:
        fill(network, configuration.initial)
    elif isinstance(configuration, Model):
        initialise(network)
    data, alignment = training_data(), None
    if configuration.alignment is not None:
        side = configuration.network["input_size"] // configuration.network["patch_size"]
        data = data._replace(targets=(tokens := encoder_tokens(emoji32.load("train").images, RUNS / "targets", side)))
        hidden = configuration.network["hidden_size"]
        alignment = AlignmentLoss(configuration.alignment, network, hidden=hidden, target=tokens.shape[2])
    if isinstance(configuration, Model) and configuration.decoder is not None:
        tokenizer = build_network(load(configuration.decoder))
        fill(tokenizer, configuration.decoder)
        data = data._replace(codes=codes(cast("QuantisedAutoencoder[MultiScaleQuantiser]", tokenizer), data.images))
    return Trainer(configuration, network, data, RUNS / name, alignment)


def fill(network: nn.Module, name: str) -> None:
    """Give it the weights of a model of the zoo at the end of its training, rounded as they are exported.

    Raises `UsageError` when it has not ended.
    """
    state = load_file(trained(name, load(name)))
    network.load_state_dict({k: v.half().to(v.dtype) if v.is_floating_point() else v for k, v in state.items()})


def train(name: str, configuration: Training) -> None:
    """Train one model to the end of its budget."""
    trainer = make_trainer(name, configuration)
    console.note(f"{name}: step {trainer.step} of {configuration.budget.steps}")
    trainer.run()


def main(arguments: Sequence[str]) -> int:
    """Train one by one; the exit code."""
    # Sums in one order, whatever the machine: weights are the same bits after an interruption.
    torch.set_num_threads(1)
    return for_each(train, arguments, module="zoo.train", about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
