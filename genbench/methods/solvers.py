"""Solvers of ordinary differential equations dx/dt = f(t, x, label), one independent equation an image.

`t` and the labels are passed as (N,) and `x` as (N, ...). Fixed-step solvers follow the grid they are given. `dopri5`
chooses steps for each image by that image's own error, so that an image does not depend on its batch; with
``joint=True`` one step size serves the whole batch by the norm over all of it, which is what torchdiffeq does and
reference vectors recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from genbench.errors import RunFailedError

Drift = Callable[[Tensor, Tensor, Tensor], Tensor]
FixedStep = Literal["euler", "heun", "midpoint"]


class Solution(NamedTuple):
    """Where the equation ends, and what it took."""

    x: Tensor
    """(N, ...)."""
    evaluations: float
    """Calls of f an image, averaged over the batch."""


def fixed_step(drift: Drift, x: Tensor, labels: Tensor, grid: Tensor, method: FixedStep) -> Solution:
    """Integrate along `grid` (K,), one step between neighbours: K - 1 Euler steps, or two evaluations a step."""
    for start, end in pairwise(grid):
        step = end - start
        t = start.expand(len(x))
        slope = drift(t, x, labels)
        if method == "heun":
            slope = (slope + drift(end.expand(len(x)), x + step * slope, labels)) / 2
        elif method == "midpoint":
            slope = drift(t + step / 2, x + step / 2 * slope, labels)
        x = x + step * slope
    steps = len(grid) - 1
    return Solution(x, steps if method == "euler" else 2 * steps)


# Dormand & Prince 1980: nodes, stages, fifth-order weights minus fourth-order ones, and the weights of the midpoint.
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (
    35 / 384 - 1951 / 21600,
    0.0,
    500 / 1113 - 22642 / 50085,
    125 / 192 - 451 / 720,
    -2187 / 6784 + 12231 / 42400,
    11 / 84 - 649 / 6300,
    -1 / 60,
)
_MIDPOINT = (
    6025192743 / 30085553152 / 2,
    0.0,
    51252292925 / 65400821598 / 2,
    -2691868925 / 45128329728 / 2,
    187940372067 / 1594534317056 / 2,
    -1776094331 / 19743644256 / 2,
    11237099 / 235043384 / 2,
)
_ORDER = 5
_SAFETY, _GROW, _SHRINK = 0.9, 10.0, 0.2
_NOISE = 64
"""Rounding of a network's output, in units of its last place."""


class _Tolerance(NamedTuple):
    rtol: float
    atol: float
    joint: bool

    def norm(self, x: Tensor) -> Tensor:
        """Root mean square (N,): of each image, or of the whole batch repeated."""
        square = x.double().square().flatten(1).mean(1)
        return (square.mean().expand_as(square) if self.joint else square).sqrt()

    def ratio(self, error: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Size of an error over what is tolerated, (N,)."""
        return self.norm(error / (self.atol + self.rtol * torch.maximum(before.abs(), after.abs())))


def dopri5(
    drift: Drift,
    x: Tensor,
    labels: Tensor,
    *,
    start: float,
    end: float,
    rtol: float,
    atol: float,
    joint: bool = False,
) -> Solution:
    """Adaptive Dormand-Prince 5(4), step control and start after Hairer, Nørsett & Wanner (II.4) as in torchdiffeq.

    Steps may reach past `end`; the state there is read off the fourth-order interpolant of the last step. Unlike in
    torchdiffeq, and only without `joint`, an error estimate within rounding lets the step grow as much as none would.

    Raises `RunFailedError` when a step size underflows, as it does when the drift is not finite.
    """
    tolerance = _Tolerance(rtol, atol, joint)
    count = len(x)
    t = torch.full((count,), start, dtype=torch.float64, device=x.device)
    slope = drift(t.to(x.dtype), x, labels)
    step = _first_step(drift, t, x, labels, slope, tolerance)
    evaluations = torch.full((count,), 2.0, dtype=torch.float64)
    result = x.clone()
    active = torch.arange(count, device=x.device)
    while True:
        if not bool((t + step > t).all()):
            raise RunFailedError(
                f"dopri5: no step from t = {float(t[~(t + step > t)][0]):.6g} is small enough",
                hint="the network gives NaN or infinity, or rtol and atol are finer than float32",
            )
        stages = [slope]
        for node, weights in zip(_NODES, _STAGES, strict=True):
            moved = x + _combined(stages, weights, step)
            stages.append(drift((t + node * step).to(x.dtype), moved, labels))
        evaluations[active.cpu()] += len(_NODES)
        ratio = tolerance.ratio(_combined(stages, _ERROR, step), x, moved)
        floor = _rounding(tolerance, stages, step, x, moved)
        accepted = ratio <= 1
        over = accepted & (t + step >= end)
        if over.any():
            middle = x + _combined(stages, _MIDPOINT, step)
            ends = _interpolate(x, middle, moved, stages[0], stages[-1], step, (end - t) / step)
            result[active[over]] = ends[over]
        t = torch.where(accepted, t + step, t)
        x = torch.where(_per_image(accepted, x), moved, x)
        slope = torch.where(_per_image(accepted, x), stages[-1], slope)
        step = _next_step(step, ratio if joint else torch.where(ratio < floor, 0, ratio))
        if over.all():
            break
        if over.any():
            keep = ~over
            t, x, labels, slope, step, active = (v[keep] for v in (t, x, labels, slope, step, active))
    return Solution(result, float(evaluations.mean()))


def _per_image(value: Tensor, x: Tensor) -> Tensor:
    value = value if value.dtype == torch.bool else value.to(x.dtype)
    return value.view(-1, *[1] * (x.ndim - 1))


def _combined(stages: list[Tensor], weights: tuple[float, ...], step: Tensor) -> Tensor:
    """Σ step·weight·stage in the order of operations of torchdiffeq: on a small first step the error estimate is little
    more than rounding, and decides the next step."""
    scaled = _per_image(step, stages[0])[..., None] * torch.tensor(weights, dtype=step.dtype).to(stages[0])
    return torch.sum(torch.stack(stages, dim=-1) * scaled, dim=-1)


def _first_step(drift: Drift, t: Tensor, x: Tensor, labels: Tensor, slope: Tensor, tolerance: _Tolerance) -> Tensor:
    """Hairer's starting step, (N,); takes one evaluation."""
    scale = tolerance.atol + x.abs() * tolerance.rtol
    d0, d1 = tolerance.norm(x / scale), tolerance.norm(slope / scale)
    h0 = torch.where((d0 < 1e-5) | (d1 < 1e-5), torch.full_like(d0, 1e-6), 0.01 * d0 / d1)
    ahead = drift((t + h0).to(x.dtype), x + _per_image(h0, x) * slope, labels)
    d2 = tolerance.norm((ahead - slope) / scale) / h0
    steep = torch.maximum(d1, d2)
    h1 = torch.where(steep <= 1e-15, (h0 * 1e-3).clamp(min=1e-6), (0.01 / steep) ** (1 / _ORDER))
    return torch.minimum(100 * h0, h1)


def _rounding(tolerance: _Tolerance, stages: list[Tensor], step: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """What rounding alone can make of the error ratio, (N,). An estimate below it says nothing, and would let the next
    step, and so the image, depend on rounding, which differs between batch sizes."""
    sizes, weights = [stage.abs() for stage in stages], tuple(map(abs, _ERROR))
    return tolerance.ratio(_NOISE * torch.finfo(before.dtype).eps * _combined(sizes, weights, step), before, after)


def _next_step(step: Tensor, ratio: Tensor) -> Tensor:
    least = torch.where(ratio < 1, torch.ones_like(ratio), torch.full_like(ratio, _SHRINK))
    wanted = _SAFETY / ratio.clamp(min=1e-30) ** (1 / _ORDER)
    return step * torch.maximum(wanted, least).clamp(max=_GROW)


def _interpolate(
    before: Tensor, middle: Tensor, after: Tensor, slope0: Tensor, slope1: Tensor, step: Tensor, share: Tensor
) -> Tensor:
    """The quartic through start, middle and end with the slopes at both ends, at `share` of the step, (N, ...)."""
    h, s = _per_image(step, before), _per_image(share, before)
    a = 2 * h * (slope1 - slope0) - 8 * (after + before) + 16 * middle
    b = h * (5 * slope0 - 3 * slope1) + 18 * before + 14 * after - 32 * middle
    c = h * (slope1 - 4 * slope0) - 11 * before - 5 * after + 16 * middle
    return (((a * s + b) * s + c) * s + h * slope0) * s + before
