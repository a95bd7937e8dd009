"""FlowTurbo's sampler (arXiv:2409.18128): steps of Heun, a pseudo corrector and a refiner, from noise at t = 0."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import UsageError
from genbench.methods.flowturbo.network import FlowTurbo
from genbench.methods.flowturbo.settings import FlowTurboSettings
from genbench.methods.guidance import guide_both
from genbench.methods.networks import evaluate
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution


class FlowTurboSampler(NetworkSampler[FlowTurbo, FlowTurboSettings]):
    """The transformer and its refiner with one preset. See `FlowTurboSettings` for what each setting means.

    Evaluations counted are the transformer's; the refiner has a block where it has 28.
    Raises `UsageError` for refined steps without a refiner.
    """

    name = "FlowTurbo"
    module = FlowTurbo

    def prepare(self) -> None:
        """Both networks; `UsageError` for refined steps without a refiner."""
        if self.settings.refined and self.network.refiner is None:
            raise UsageError(
                "refined steps need a second network, and the variant names none",
                hint="use a preset with refined = 0, or name one under [variants.<name>.companions.refiner]",
            )
        self.velocity = evaluate(self.network.velocity, self.settings, self.device)
        if self.network.refiner is not None:
            self.offset = evaluate(self.network.refiner.offset, self.settings, self.device)

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """x + h·(first + second)/2 at every step of length h.

        A slope is of shape (2N, C, H, W): guided, that of the class and that of none, which differ in the channels that
        are not guided; the state follows the first.
        """
        s = self.settings
        x, rows, first = noise.normal(self.shape), self._rows(labels), None
        grid = torch.linspace(0, 1, s.heun + s.pseudo + s.refined + 1, device=self.device)
        step = grid[1] - grid[0]
        for index in range(len(grid) - 1):
            start, end = grid[index], grid[index + 1]
            if index < s.heun or first is None:
                first = self._estimated(x, start, rows)
            elif index >= s.heun + s.pseudo:
                first = self._refined(first, x, start, rows)
            ahead = x + step * first[: len(x)]
            if index < s.heun + s.pseudo:
                second = following = self._estimated(ahead, end, rows)
            else:
                second, following = self._refined(first, ahead, end, rows), first
            x, first = x + step / 2 * (first + second)[: len(x)], following
        return Solution(x, 2 * s.heun + s.pseudo + (s.heun == 0))

    def _rows(self, labels: Tensor) -> Tensor:
        """Labels (N,), with guidance those of the null class behind them (2N,)."""
        null = torch.full_like(labels, self.network.num_classes)
        return labels if self.settings.cfg == 1 else torch.cat([labels, null])

    def _estimated(self, x: Tensor, time: Tensor, rows: Tensor) -> Tensor:
        """The transformer's guided velocities at x (N, C, H, W) for labels `rows`, (len(rows), C, H, W)."""
        return self._guided(self.velocity(self._repeated(x, rows), time.expand(len(rows)), rows))

    def _refined(self, slope: Tensor, x: Tensor, time: Tensor, rows: Tensor) -> Tensor:
        """The slope (len(rows), C, H, W) of another place with the refiner's guided correction for x (N, C, H, W)."""
        return slope + self._guided(self.offset(self._repeated(x, rows), slope, time.expand(len(rows)), rows))

    def _repeated(self, x: Tensor, rows: Tensor) -> Tensor:
        return x.repeat(len(rows) // max(len(x), 1), 1, 1, 1)

    def _guided(self, estimates: Tensor) -> Tensor:
        if self.settings.cfg == 1:
            return estimates
        return guide_both(estimates, self.settings.cfg, self.settings.cfg_channels)
