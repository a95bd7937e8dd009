"""DDT's samplers on the linear path, t = 0 noise, t = 1 data: steps that may share what the encoder found."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.methods.ddt.multistep import adams_weights
from genbench.methods.ddt.network import DDT
from genbench.methods.ddt.settings import DDTSettings
from genbench.methods.ddt.sharing import evenly, most_similar, similarities
from genbench.methods.guidance import guide
from genbench.methods.networks import evaluate
from genbench.methods.noise import Noise, SeededNoise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution
from genbench.methods.timeshift import shifted

TEMPLATES = 8
"""Samples on which the steps that refresh the state are chosen."""


class _Step(NamedTuple):
    """Where a step leads, and what it saw."""

    x: Tensor
    """(N, C, H, W), where the step ends."""
    state: Tensor
    """The encoder's, (N, T, D), or of [null, conditional] (2N, T, D)."""


class DDTSampler(NetworkSampler[DDT, DDTSettings]):
    """The transformer with one preset. See `DDTSettings` for what each setting means."""

    name = "DDT"
    module = DDT

    def prepare(self) -> None:
        """Encoder and decoder are evaluated apart."""
        self._encode = evaluate(self.network.encode, self.settings, self.device)
        self._decode = evaluate(self.network.decode, self.settings, self.device)
        self.refreshed: Collection[int] | None = None
        """Steps that compute a new encoder state; chosen by the settings at the first call where none are given."""
        self.slope_weights: Tensor | None = None
        """Weights of the slopes (steps, order) that the recorded reference runs used, float32 with its cancellation."""

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Along the shifted grid, with the encoder's state shared as the settings say."""
        if self.refreshed is None:
            self.refreshed = self._refreshed()
        x = noise.normal(self.shape)
        for step in self._steps(x, labels, self.refreshed, noise):
            x = step.x
        return Solution(x, self.settings.steps)

    @torch.inference_mode()
    def choose(self, x: Tensor, labels: Tensor) -> frozenset[int]:
        """The steps whose states serve the paths without noise from x (N, C, H, W) with these labels best."""
        s = self.settings
        steps = self._steps(x, labels.to(self.device), range(s.steps), None)
        return most_similar(similarities([step.state for step in steps]), s.steps // s.share)

    def _refreshed(self) -> frozenset[int]:
        s = self.settings
        if s.share_by == "count":
            return evenly(s.steps, s.share)
        classes = self.network.num_classes
        templates = SeededNoise(range(TEMPLATES), self.device).normal(self.shape)
        return self.choose(templates, torch.arange(TEMPLATES) * classes // TEMPLATES)

    def _grid(self) -> Tensor:
        """Times (steps + 1,): even up to `last_step` before the end, then the end, shifted."""
        s = self.settings
        last = 1 / s.steps if s.last_step is None else s.last_step
        even = torch.linspace(0, 1 - last, s.steps, device=self.device)
        return shifted(torch.cat([even, even.new_ones(1)]), 1 / s.shift)

    def _steps(self, x: Tensor, labels: Tensor, refreshed: Collection[int], noise: Noise | None) -> Iterator[_Step]:
        s = self.settings
        grid = self._grid()
        weights = adams_weights(grid, s.order) if self.slope_weights is None else self.slope_weights
        slopes: deque[Tensor] = deque(maxlen=s.order)
        state = None
        for step, (start, end) in enumerate(pairwise(grid)):
            velocity, state = self._velocity(x, start, labels, None if step in refreshed else state)
            slopes.append(velocity)
            dt = end - start
            slope = sum(float(w) * v for w, v in zip(weights[step, -len(slopes) :], slopes, strict=True))
            if s.noise == "preserve" and noise is not None and step < s.steps - 1:
                x = x + dt * _preserving(velocity, x, start) + ((1 - start) * dt).sqrt() * noise.normal(self.shape)
            else:
                x = x + dt * slope
            yield _Step(x, state)

    def _velocity(self, x: Tensor, t: Tensor, labels: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Guided velocity and the state that it saw, which is `state` where one is given.

        A state that is shared holds both predictions at every step, guided or not, as later steps may need them.
        """
        s = self.settings
        guided = s.cfg != 1 and bool(s.cfg_start < t < s.cfg_end)
        both = guided or (s.cfg != 1 and s.share > 1)
        if both:
            x = torch.cat([x, x])
            labels = torch.cat([torch.full_like(labels, self.network.num_classes), labels])
        if state is None:
            state = self._encode(x, t.expand(len(x)), labels)
        velocity = self._decode(x, state)
        if not both:
            return velocity, state
        null, conditional = velocity.chunk(2)
        return guide(conditional, null, s.cfg if guided else 1.0, None, rest=conditional), state


def _preserving(velocity: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """v + w/2·score with w = 1 - t, the drift whose noise of variance w·step leaves the marginals as they are.

    On the linear path the score is (t·v - x) / (1 - t).
    """
    return velocity + (t * velocity - x) / 2
