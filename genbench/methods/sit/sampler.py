"""SiT's samplers: t = 0 is noise, t = 1 data; by default on the linear path, with velocity = data - noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from genbench.methods.dit.network import DiT
from genbench.methods.guidance import guide, guide_both, predictions
from genbench.methods.interpolants import PATHS, Interpolant
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.sit.settings import DiffusionForm, SiTSettings
from genbench.methods.solvers import Drift, Solution, dopri5, fixed_step

_DIFFUSION: dict[DiffusionForm, Callable[[Tensor, Interpolant, float], Tensor]] = {
    "sigma": lambda t, path, norm: norm * path.sigma,
    "linear": lambda t, path, norm: norm * (1 - t),
    "constant": lambda t, path, norm: norm * torch.ones_like(t),
    "decreasing": lambda t, path, norm: 0.25 * (norm * torch.cos(math.pi * t) + 1) ** 2,
    "increasing-decreasing": lambda t, path, norm: norm * torch.sin(math.pi * t) ** 2,
    "sbdm": lambda t, path, norm: norm * path.diffusion,
}
"""w(t) by the names of SiT's ``transport/path.py``."""

_EDGE = 1e-3
"""How near the ends of time the authors integrate where a path or a prediction is singular there."""


class SiTSampler(NetworkSampler[DiT, SiTSettings]):
    """The transformer with one preset. See `SiTSettings` for what each setting means."""

    name = "SiT"
    module: ClassVar[type[DiT]] = DiT
    joint_steps = False
    """Let dopri5 choose one step size for the whole batch, as the recorded reference runs did."""

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """By the settings' equation."""
        x = noise.normal(self.shape)
        return self._ode(x, labels) if self.settings.mode == "ode" else self._sde(x, labels, noise)

    def estimate(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """What the network predicts; SiT discards the variance half of its channels."""
        return self.evaluate(x, t, labels)[:, : self.network.in_channels]

    def _guided(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Guided estimate; the channels that are not guided keep the conditional one."""
        if self.settings.cfg == 1:
            return self.estimate(x, t, labels)
        conditional, null = predictions(self.estimate, x, t, labels, self.network.num_classes)
        return guide(conditional, null, self.settings.cfg, self.settings.cfg_channels, rest=conditional)

    def _path(self, t: Tensor) -> Interpolant:
        """The path at times (N,), to broadcast against images."""
        return PATHS[self.settings.path](t.view(-1, 1, 1, 1))

    def _score_of(self, estimate: Tensor, t: Tensor, x: Tensor) -> Tensor:
        path = self._path(t)
        match self.settings.prediction:
            case "velocity":
                return path.score_of_velocity(estimate, x)
            case "noise":
                return -estimate / path.sigma
            case "score":
                return estimate

    def _velocity_of(self, estimate: Tensor, t: Tensor, x: Tensor) -> Tensor:
        if self.settings.prediction == "velocity":
            return estimate
        return self._path(t).velocity_of_score(self._score_of(estimate, t, x), x)

    def _velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        return self._velocity_of(self._guided(t, x, labels), t, x)

    def _joint_velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Velocity of the authors' doubled state: its second half is fed to no network, but counts in dopri5's norm."""
        half, first = x[: len(labels)], t[: len(labels)]
        both = torch.cat(predictions(self.estimate, half, first, labels, self.network.num_classes))
        return self._velocity_of(guide_both(both, self.settings.cfg, self.settings.cfg_channels), t, x)

    def _interval(self, last: float) -> tuple[float, float]:
        """Where integration starts and ends, `last` before 1 if that is not 0."""
        s = self.settings
        singular = s.path == "vp" or s.prediction != "velocity"
        start = _EDGE if singular and s.path != "vp" else 0.0  # vp's α is above 0 at t = 0
        return start, 1 - (last or (_EDGE if singular else 0.0))

    def _ode(self, x: Tensor, labels: Tensor) -> Solution:
        s = self.settings
        start, end = self._interval(last=0)
        if s.integrator != "dopri5":
            grid = torch.linspace(start, end, s.steps, device=x.device)
            return fixed_step(self._velocity, x, labels, grid, s.integrator)
        doubled = self.joint_steps and s.cfg != 1
        solution = dopri5(
            (self._joint_velocity if doubled else self._velocity),
            torch.cat([x, x]) if doubled else x,
            labels,
            start=start,
            end=end,
            rtol=s.rtol,
            atol=s.atol,
            joint=self.joint_steps,
        )
        return solution._replace(x=solution.x[: len(labels)])

    def _sde(self, x: Tensor, labels: Tensor, noise: Noise) -> Solution:
        """Euler-Maruyama (or Heun on the drift, the noise added first) to ``1 - last_step_size``, then the last."""
        s = self.settings
        grid = torch.linspace(*self._interval(last=s.last_step_size), s.steps, device=x.device)
        step = grid[1] - grid[0]

        def weight(t: Tensor) -> Tensor:
            return _DIFFUSION[s.diffusion](t.view(-1, 1, 1, 1), self._path(t), s.diffusion_norm)

        def drift(t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
            estimate = self._guided(t, x, labels)
            return self._velocity_of(estimate, t, x) + weight(t) * self._score_of(estimate, t, x)

        evaluations = 0
        for time in grid[:-1]:
            t = time.expand(len(x))
            kick = noise.normal(self.shape) * (2 * weight(time) * step).sqrt()
            if s.integrator == "euler":
                x = x + step * drift(t, x, labels) + kick
                evaluations += 1
            else:
                x = x + kick
                slope = drift(t, x, labels)
                x = x + step * (slope + drift(t + step, x + step * slope, labels)) / 2
                evaluations += 2
        if s.last_step == "none":
            return Solution(x, evaluations)
        return Solution(self._finish(x, grid[-1].expand(len(x)), labels, drift), evaluations + 1)

    def _finish(self, x: Tensor, t: Tensor, labels: Tensor, drift: Drift) -> Tensor:
        size = self.settings.last_step_size
        if self.settings.last_step == "mean":
            return x + size * drift(t, x, labels)
        if self.settings.last_step == "euler":
            return x + size * self._velocity(t, x, labels)
        path = self._path(t)
        return x / path.alpha + path.sigma**2 / path.alpha * self._score_of(self._guided(t, x, labels), t, x)
