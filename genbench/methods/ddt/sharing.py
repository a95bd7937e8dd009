"""At which steps the encoder is worth its cost: DDT's choice by the similarity of its states (section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def evenly(steps: int, share: int) -> frozenset[int]:
    """Every `share`-th step, the first included."""
    return frozenset(range(0, steps, share))


def similarities(states: Sequence[Tensor]) -> Tensor:
    """Mean cosine (S, S) between the tokens of the states (N, T, D) of any two of S steps, float64."""
    unit = torch.stack([functional.normalize(state.double(), dim=-1) for state in states]).flatten(1)
    tokens = states[0].shape[:-1].numel()
    return (unit @ unit.T / tokens).cpu()


def most_similar(similarity: Tensor, count: int) -> frozenset[int]:
    """The `count` steps, the first among them, whose states serve all steps (S, S) with the greatest total similarity.

    A state serves from its own step up to the next one that is chosen; by dynamic programming over the steps.
    """
    steps = len(similarity)
    served = torch.zeros(steps, steps + 1, dtype=torch.float64)  # [a, b]: what state a gives steps a to b - 1
    for first in range(steps):
        served[first, first + 1 :] = similarity[first, first:].cumsum(0)
    best = served[0]  # [b]: of steps 0 to b - 1 with the states chosen so far
    choices = []
    for chosen in range(1, count):
        total = best[:steps, None] + served
        total[:chosen] = -torch.inf  # fewer steps than states
        total[torch.arange(steps)[:, None] >= torch.arange(steps + 1)] = -torch.inf
        best, choice = total.max(dim=0)
        choices.append(choice)
    found, end = [], steps
    for choice in reversed(choices):
        end = int(choice[end])
        found.append(end)
    return frozenset([0, *found])
