"""Which training steps of a Gaussian diffusion are sampled (Nichol & Dhariwal, arXiv:2102.09672). Imports no torch."""

from __future__ import annotations

from typing import Literal

TRAINING_STEPS = 1000
"""Steps that the networks were trained with (DDPM, section 4)."""

Spacing = Literal["even", "stride"]


def retained_steps(steps: int, spacing: Spacing) -> list[int]:
    """Which of the training steps 0 to 999 are sampled.

    ``even`` spreads them over the whole range, fractional positions rounded to even; ``stride`` takes every k-th from
    step 0, for the smallest k that leaves `steps` of them (DDIM's way).

    Raises `ValueError` when no stride leaves that many.
    """
    if spacing == "even":
        stride, position, found = (TRAINING_STEPS - 1) / (steps - 1), 0.0, []
        for _ in range(steps):
            found.append(round(position))
            position += stride
        return found
    for whole in range(1, TRAINING_STEPS):
        if len(range(0, TRAINING_STEPS, whole)) == steps:
            return list(range(0, TRAINING_STEPS, whole))
    raise ValueError(f"no whole stride takes {steps} of {TRAINING_STEPS} steps")


def shifted_steps(steps: int) -> list[int]:
    """Which of the training steps latent diffusion's DDIM samples: those of a whole stride, each one later.

    Raises `ValueError` when no stride leaves that many, or the last would be past the end.
    """
    found = [step + 1 for step in retained_steps(steps, "stride")]
    if found[-1] >= TRAINING_STEPS:
        raise ValueError(f"{steps} steps, each one later, do not end before step {TRAINING_STEPS}")
    return found
