"""Train models of the embedded zoo, one after another:  uv run python -m zoo.train NAME…

NAME is a configuration beside this file. ``zoo/runs/NAME/`` gets a checkpoint, a log and EMA weights at the budget's
snapshots. A training that was interrupted continues from its checkpoint, bit-identically on one machine; a finished one
is passed over.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from safetensors.torch import load_file

from genbench import console
from genbench.methods.initialisation import initialise
from zoo.alignment import AlignmentLoss
from zoo.command import for_each
from zoo.configuration import RUNS, Configuration, build_network, load
from zoo.data import Data, encoder_tokens, training_data
from zoo.trainer import Trainer, trained


def make_trainer(name: str, configuration: Configuration) -> Trainer:
    """The training of one configuration, resumed where it has a checkpoint. Draws from torch's generator.

    Raises `UsageError` when it starts from a model whose training has not ended.
    """
    torch.manual_seed(configuration.budget.seed)
    network = build_network(configuration)
    if configuration.initial is None:
        initialise(network)
    else:
        network.load_state_dict(load_file(trained(configuration.initial, load(configuration.initial))))
    data = training_data()
    alignment = None
    if configuration.alignment is not None:
        side = configuration.network["input_size"] // configuration.network["patch_size"]
        data = Data(data.images, data.labels, tokens := encoder_tokens(RUNS / "targets", side))
        hidden = configuration.network["hidden_size"]
        alignment = AlignmentLoss(configuration.alignment, network, hidden=hidden, target=tokens.shape[2])
    return Trainer(configuration, network, data, RUNS / name, alignment)


def train(name: str, configuration: Configuration) -> None:
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
