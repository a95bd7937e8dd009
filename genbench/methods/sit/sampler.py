"""SiT's samplers on the linear path: x_t = t·data + (1 - t)·noise, t = 0 noise, velocity = data - noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dit.network import DiT
from genbench.methods.guidance import guide, predictions
from genbench.methods.networks import build, check_labels, evaluate, parameters
from genbench.methods.noise import Noise
from genbench.methods.sit.settings import DiffusionForm, SiTSettings
from genbench.methods.solvers import Drift, Solution, dopri5, fixed_step

_DIFFUSION: dict[DiffusionForm, Callable[[Tensor, float], Tensor]] = {
    "sigma": lambda t, norm: norm * (1 - t),
    "linear": lambda t, norm: norm * (1 - t),
    "constant": lambda t, norm: norm * torch.ones_like(t),
    "decreasing": lambda t, norm: 0.25 * (norm * torch.cos(math.pi * t) + 1) ** 2,
    "increasing-decreasing": lambda t, norm: norm * torch.sin(math.pi * t) ** 2,
}
"""w(t) by the names of SiT's ``transport/path.py``."""


class SiTSampler:
    """The transformer with one preset. See `SiTSettings` for what each setting means."""

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: SiTSettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
    ) -> None:
        self.network = build(lambda: DiT(**network), state, device, name="SiT")
        self._evaluate = evaluate(self.network, settings, device)
        self.settings = settings
        self.device = device
        self.shape = (network["in_channels"], network["input_size"], network["input_size"])
        self.parameters = parameters(self.network)
        self.nfe: float | None = None
        self.joint_steps = False
        """Let dopri5 choose one step size for the whole batch, as the recorded reference runs did."""

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each generator and label: float32 (N, C, H, W), about [-1, 1].

        Raises `UsageError` for a label outside the classes.
        """
        check_labels(labels, self.network.num_classes)
        x = noise.normal(self.shape)
        labels = labels.to(self.device)
        solution = self._ode(x, labels) if self.settings.mode == "ode" else self._sde(x, labels, noise)
        self.nfe = solution.evaluations
        return solution.x

    def velocity(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """The network's velocity; SiT discards the variance half of its channels."""
        return self._evaluate(x, t, labels)[:, : self.network.in_channels]

    def _velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Guided velocity; the channels that are not guided keep the conditional one."""
        if self.settings.cfg == 1:
            return self.velocity(x, t, labels)
        conditional, null = predictions(self.velocity, x, t, labels, self.network.num_classes)
        return guide(conditional, null, self.settings.cfg, self.settings.cfg_channels, rest=conditional)

    def _joint_velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Velocity of the authors' doubled state: its second half is fed to no network, but counts in dopri5's norm."""
        half, t = x[: len(labels)], t[: len(labels)]
        conditional, null = predictions(self.velocity, half, t, labels, self.network.num_classes)
        scale, channels = self.settings.cfg, self.settings.cfg_channels
        return torch.cat([guide(conditional, null, scale, channels, rest=own) for own in (conditional, null)])

    def _ode(self, x: Tensor, labels: Tensor) -> Solution:
        s = self.settings
        if s.integrator != "dopri5":
            grid = torch.linspace(0, 1, s.steps, device=x.device)
            return fixed_step(self._velocity, x, labels, grid, s.integrator)
        doubled = self.joint_steps and s.cfg != 1
        solution = dopri5(
            (self._joint_velocity if doubled else self._velocity),
            torch.cat([x, x]) if doubled else x,
            labels,
            start=0,
            end=1,
            rtol=s.rtol,
            atol=s.atol,
            joint=self.joint_steps,
        )
        return solution._replace(x=solution.x[: len(labels)])

    def _sde(self, x: Tensor, labels: Tensor, noise: Noise) -> Solution:
        """Euler-Maruyama (or Heun on the drift, the noise added first) to ``1 - last_step_size``, then the last."""
        s = self.settings
        grid = torch.linspace(0, 1 - s.last_step_size, s.steps, device=x.device)
        step = grid[1] - grid[0]
        weight = _DIFFUSION[s.diffusion]

        def drift(t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
            v, at = self._velocity(t, x, labels), t.view(-1, 1, 1, 1)
            return v + weight(at, s.diffusion_norm) * _score(v, x, at)

        evaluations = 0
        for time in grid[:-1]:
            t = time.expand(len(x))
            kick = noise.normal(self.shape) * (2 * weight(time, s.diffusion_norm) * step).sqrt()
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
        v = self._velocity(t, x, labels)
        if self.settings.last_step == "euler":
            return x + size * v
        at = t.view(-1, 1, 1, 1)
        return x / at + (1 - at) ** 2 / at * _score(v, x, at)


def _score(velocity: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """∇ log p_t(x) from the velocity on the linear path: (t·v - x) / ((1-t)² + t(1-t))."""
    return (t * velocity - x) / ((1 - t) ** 2 + t * (1 - t))
