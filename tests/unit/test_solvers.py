"""Solvers against equations with known solutions, and against torchdiffeq."""

import math
from itertools import pairwise

import pytest
import torch
import torchdiffeq

from genbench.errors import RunFailedError
from genbench.methods.solvers import dopri5, fixed_step

RATES = torch.tensor([0.5, 1.0, 3.0, 6.0], dtype=torch.float64)
START = torch.tensor([[1.0, -2.0], [0.3, 0.7], [1.5, 1.0], [-1.0, 2.0]], dtype=torch.float64)
LABELS = torch.arange(4)


def decay(t, x, labels):
    """dx/dt = -r(label)·x + cos t, a different rate for each label."""
    return -RATES[labels].to(x)[:, None] * x + t.cos()[:, None]


def exact(x, labels, end):
    """Closed form: the particular solution (r cos t + sin t)/(r² + 1) and a decaying remainder."""
    r = RATES[labels][:, None]

    def particular(t):
        return (r * math.cos(t) + math.sin(t)) / (r * r + 1)

    return (x - particular(0.0)) * torch.exp(-r * end) + particular(end)


def swirl(t, x, labels):
    """Nonlinear, coupled within an image: dx/dt = (y·(1 + t), -x³)·(1 + label/2)."""
    speed = (1 + labels.to(x) / 2)[:, None]
    return speed * torch.stack([x[:, 1] * (1 + t), -(x[:, 0] ** 3)], dim=1)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_order_of_convergence(method, order):
    errors = []
    for steps in (40, 80, 160):
        grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        found = fixed_step(decay, START, LABELS, grid, method).x
        errors.append(float((found - exact(START, LABELS, 1.0)).abs().max()))
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("method", "peer"), [("euler", "euler"), ("midpoint", "midpoint"), ("heun", "heun2")])
def test_fixed_steps_are_torchdiffeqs(method, peer):
    grid = torch.tensor([0.0, 0.1, 0.35, 0.5, 1.0], dtype=torch.float64)

    def drift(t, x):
        return decay(t.expand(len(x)), x, LABELS)

    expected = torchdiffeq.odeint(drift, START, grid, method=peer)[-1]
    assert torch.allclose(fixed_step(decay, START, LABELS, grid, method).x, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("method", "expected"), [("euler", 7), ("midpoint", 14), ("heun", 14)])
def test_evaluations_of_fixed_steps_are_counted(method, expected):
    calls = []

    def drift(t, x, labels):
        calls.append(len(x))
        return decay(t, x, labels)

    assert fixed_step(drift, START, LABELS, torch.linspace(0, 1, 8), method).evaluations == expected == len(calls)
    assert set(calls) == {4}


def peer_dopri5(drift, x, labels, **tolerances):
    """torchdiffeq's end state, and its count of evaluations."""
    calls = []

    def field(t, x):
        calls.append(1)
        return drift(t.expand(len(x)), x, labels)

    return torchdiffeq.odeint(field, x, torch.tensor([0.0, 1.0]).to(x), method="dopri5", **tolerances)[-1], len(calls)


@pytest.mark.parametrize("drift", [decay, swirl])
@pytest.mark.parametrize("tolerances", [{"rtol": 1e-3, "atol": 1e-6}, {"rtol": 1e-7, "atol": 1e-9}])
def test_dopri5_of_an_image_is_torchdiffeqs_of_that_image_alone(drift, tolerances):
    solution = dopri5(drift, START, LABELS, start=0, end=1, **tolerances)
    counts = []
    for i in range(4):
        expected, count = peer_dopri5(drift, START[i : i + 1], LABELS[i : i + 1], **tolerances)
        assert torch.allclose(solution.x[i : i + 1], expected, rtol=1e-5, atol=1e-5)
        counts.append(count)
    assert solution.evaluations == pytest.approx(sum(counts) / 4)
    assert len(set(counts)) > 1, "the images are meant to need different numbers of steps"


@pytest.mark.parametrize("drift", [decay, swirl])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_joint_dopri5_is_torchdiffeqs_of_the_batch(drift, dtype):
    x = START.to(dtype)
    expected, count = peer_dopri5(drift, x, LABELS, rtol=1e-3, atol=1e-6)
    solution = dopri5(drift, x, LABELS, start=0, end=1, rtol=1e-3, atol=1e-6, joint=True)
    assert torch.allclose(solution.x, expected, rtol=1e-5, atol=1e-5)
    assert solution.evaluations == count


def test_dopri5_reaches_the_tolerance_asked_for():
    for rtol in (1e-4, 1e-6, 1e-8):
        found = dopri5(decay, START, LABELS, start=0, end=1, rtol=rtol, atol=rtol / 10).x
        assert float((found - exact(START, LABELS, 1.0)).abs().max()) < 10 * rtol


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun", "dopri5"])
def test_an_image_does_not_depend_on_its_batch(method):
    def solve(rows):
        x, labels = START[rows], LABELS[rows]
        if method == "dopri5":
            return dopri5(swirl, x, labels, start=0, end=1, rtol=1e-4, atol=1e-6).x
        return fixed_step(swirl, x, labels, torch.linspace(0, 1, 9, dtype=torch.float64), method).x

    whole = solve([0, 1, 2, 3])
    for rows in ([2], [3, 0], [1, 2, 3], [0, 0, 0, 1]):
        assert torch.equal(solve(rows), whole[rows]), rows


def test_joint_steps_do_depend_on_the_batch():
    """What `joint` is for, and why it is off: the same image among other neighbours ends elsewhere."""
    alone, together = (
        dopri5(swirl, START[rows], LABELS[rows], start=0, end=1, rtol=1e-3, atol=1e-6, joint=True).x[0]
        for rows in ([0], [0, 3])
    )
    assert not torch.equal(alone, together)
    assert torch.allclose(alone, together, atol=1e-2)


def test_rounding_of_the_network_does_not_choose_the_steps():
    """Noise in the last places, as another batch size causes, moves the result by about as much, although the error
    estimate of a small first step is nothing but rounding. (Followed, as torchdiffeq does, it moves this by 2e-3.)"""

    def solve(noise):
        def drift(t, x, labels):
            return 0.3 * swirl(t, x, labels) * (1 + noise(x))

        return dopri5(drift, START.float(), LABELS, start=0, end=1, rtol=1e-3, atol=1e-6)

    clean = solve(torch.zeros_like)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        found = solve(lambda x, g=generator: torch.empty_like(x).uniform_(-3e-7, 3e-7, generator=g))
        assert found.evaluations == clean.evaluations
        assert float((found.x - clean.x).abs().max()) < 2e-5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_drift_that_is_not_finite_ends_dopri5(value):
    def broken(t, x, labels):
        return torch.where((t > 0.5)[:, None] & (labels == 2)[:, None], value, decay(t, x, labels))

    with pytest.raises(RunFailedError, match="dopri5") as caught:
        dopri5(broken, START, LABELS, start=0, end=1, rtol=1e-3, atol=1e-6)
    assert "NaN" in caught.value.hint


def test_a_drift_of_zero_and_a_long_way():
    still = dopri5(lambda t, x, labels: torch.zeros_like(x), START, LABELS, start=0, end=1, rtol=1e-3, atol=1e-6)
    assert torch.equal(still.x, START)
    long = dopri5(decay, START, LABELS, start=0, end=20, rtol=1e-6, atol=1e-8).x
    assert torch.allclose(long, exact(START, LABELS, 20.0), atol=1e-5)
