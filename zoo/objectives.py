"""Training objectives: settings of a configuration that turn a network and a batch into a scalar loss.

Every draw comes from the generator that is handed in.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from genbench.errors import ConfigError
from genbench.methods.ddpm import Schedule, schedule
from genbench.methods.preconditioning import SIGMA_DATA
from genbench.methods.respacing import TRAINING_STEPS
from genbench.schema import Strict

if TYPE_CHECKING:
    from genbench.methods.latents.codebook import QuantisedAutoencoder
    from genbench.methods.var.quantiser import MultiScaleQuantiser

SMALLEST_LEVEL = 1e-8
"""In place of a noise level of 0, which has no logarithm."""


class Codes(NamedTuple):
    """Images as a multi-scale tokenizer codes them (see `genbench.methods.var.quantiser`)."""

    indices: Tensor
    """(N, T), scale by scale."""
    inputs: Tensor
    """(N, T - 1, C), what the transformer sees of them."""

    def of(self, chosen: npt.NDArray[np.int64]) -> Codes:
        """Those of some images."""
        return Codes(self.indices[chosen], self.inputs[chosen])


class Batch(NamedTuple):
    """What one step learns from."""

    images: Tensor
    """(N, C, H, W) in [-1, 1]."""
    labels: Tensor
    """(N,), the null class where one was dropped."""
    step: int = 0
    """Steps that lie behind."""
    steps: int = 1
    """Of the whole training."""
    codes: Codes | None = None
    """The images as a tokenizer codes them, for objectives that learn codes."""

    @property
    def progress(self) -> float:
        """Share of the steps that lie behind, in [0, 1)."""
        return self.step / self.steps


class LogitNormal(Strict):
    """Times sigmoid(mean + std·n) for n ~ N(0, 1)."""

    mean: float
    std: float = Field(gt=0)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """(n,) in (0, 1)."""
        return torch.sigmoid(self.mean + self.std * torch.randn(n, generator=generator))


def _times(distribution: LogitNormal | None, n: int, generator: torch.Generator) -> Tensor:
    """Uniform on [0, 1) unless a distribution is given."""
    return torch.rand(n, generator=generator) if distribution is None else distribution.draw(n, generator)


def _by_image(values: Tensor) -> Tensor:
    """(N,) to broadcast against images."""
    return values[:, None, None, None]


class Loss(Strict):
    """One objective."""

    @abstractmethod
    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss, a scalar whose gradient trains `network`."""


class Velocity(Loss):
    """Flow matching on the linear path: squared error of the velocity (SiT, arXiv:2401.08740, equation 6)."""

    kind: Literal["velocity"]
    noise_time: Literal[0, 1] = 0
    """The time at which an image is noise: 0 for SiT, DDT and LightningDiT, 1 for REPA and its kin."""
    times: LogitNormal | None = None
    """Of the share of data in the image; uniform when none is given."""
    direction: float = Field(default=0.0, ge=0)
    """Weight of 1 - cos(estimate, velocity) over the channels of each pixel (LightningDiT, arXiv:2501.01423,
    section 4; after FasterDiT, arXiv:2410.10356)."""

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`."""
        images, labels = batch.images, batch.labels
        noise = torch.randn(images.shape, generator=generator)
        share = _times(self.times, len(images), generator)
        x = _by_image(share) * images + _by_image(1 - share) * noise
        if self.noise_time == 0:
            time, velocity = share, images - noise
        else:
            time, velocity = 1 - share, noise - images
        predicted: Tensor = network(x, time, labels).float()
        loss = (predicted - velocity).square().mean()
        if self.direction:
            loss = loss + self.direction * (1 - functional.cosine_similarity(predicted, velocity, dim=1)).mean()
        return loss


class CleanImage(Loss):
    """Flow matching by a network that predicts the image: squared error of the velocity that it implies.

    Li & He, "Back to Basics" (arXiv:2511.13720): v = (image - x)/max(1 - t, t_eps) on x = t·image + (1 - t)·noise.
    """

    kind: Literal["clean-image"]
    times: LogitNormal | None = None
    t_eps: float = Field(default=0.05, gt=0, lt=1)

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`."""
        images, labels = batch.images, batch.labels
        noise = torch.randn(images.shape, generator=generator)
        t = _times(self.times, len(images), generator)
        x = _by_image(t) * images + _by_image(1 - t) * noise
        error: Tensor = network(x, t, labels).float() - images
        return (error / _by_image((1 - t).clamp_min(self.t_eps))).square().mean()


class LearnedVariance(Loss):
    """DiT's: squared error of the noise, and the variational bound for the variance with the mean held fixed.

    Nichol & Dhariwal (arXiv:2102.09672), L_hybrid = L_simple + 0.001·L_vlb. L_vlb sums over 1,000 steps, of which one
    is drawn, so that its weight here is 1; the bound is in bits a dimension, as the authors of DiT take it.
    """

    kind: Literal["learned-variance"]

    @cached_property
    def _schedule(self) -> Schedule:
        return Schedule(*(constants.float() for constants in schedule(TRAINING_STEPS, "even")))

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`."""
        images, labels = batch.images, batch.labels
        s = self._schedule
        t = torch.randint(TRAINING_STEPS, (len(images),), generator=generator)
        noise = torch.randn(images.shape, generator=generator)
        signal = _by_image(s.alphas_cumprod[t])
        x = signal.sqrt() * images + (1 - signal).sqrt() * noise
        output: Tensor = network(x, s.timestep_map[t], labels).float()
        epsilon, share = output.chunk(2, dim=1)
        low, high = _by_image(s.posterior_log_variance_clipped[t]), _by_image(s.betas[t].log())
        log_variance = low + (share + 1) / 2 * (high - low)
        data = (x - (1 - signal).sqrt() * epsilon.detach()) / signal.sqrt()
        weight = _by_image(s.posterior_mean_coef1[t])
        bound = torch.where(
            _by_image(t) == 0,
            -discretised_log_likelihood(images, self._mean(x, data, t), log_variance / 2),
            gaussian_divergence(weight * (images - data), low, log_variance),
        )
        return (epsilon - noise).square().mean() + bound.mean() / math.log(2)

    def _mean(self, x: Tensor, data: Tensor, t: Tensor) -> Tensor:
        """Of p(x_{t-1} | x_t)."""
        s = self._schedule
        return _by_image(s.posterior_mean_coef1[t]) * data + _by_image(s.posterior_mean_coef2[t]) * x


def gaussian_divergence(difference: Tensor, log_variance: Tensor, other: Tensor) -> Tensor:
    """KL divergence of N(m, exp(log_variance)) from N(m + difference, exp(other)), in nats, elementwise."""
    return 0.5 * (other - log_variance - 1 + (log_variance - other).exp() + difference.square() * (-other).exp())


def discretised_log_likelihood(images: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log probability of 8-bit `images` (values k/127.5 - 1) under a Gaussian integrated over each value's bin.

    The bins of 0 and 255 reach to infinity (DDPM, arXiv:2006.11239, equation 13). In nats, elementwise.
    """
    inverse = (-log_std).exp()
    upper: Tensor = torch.special.ndtr((images - mean + 1 / 255) * inverse).where(images < 0.999, torch.ones(()))
    lower: Tensor = torch.special.ndtr((images - mean - 1 / 255) * inverse).where(images > -0.999, torch.zeros(()))
    return (upper - lower).clamp_min(1e-12).log()


class MeanFlow(Loss):
    """Average velocities between two times (Geng et al., arXiv:2505.13447, algorithm 1): t = 1 is noise.

    The target is v - (t - r)·du/dt, with the total derivative by a Jacobian-vector product; each image's squared
    error e is weighted by 1/(e + c) of fixed value (their adaptive weight with p = 1).
    """

    kind: Literal["mean-flow"]
    times: LogitNormal
    apart: float = Field(gt=0, le=1)
    """Share of the images for which r and t differ."""
    guidance: float = Field(default=1.0, ge=1)
    """ω of the velocity that is learned: ω·v + (1 - ω)·u(x, t, t) without class (their equation 21); 1 is off."""
    c: float = Field(default=1e-3, gt=0)

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`."""
        images, labels = batch.images, batch.labels
        n = len(images)
        noise = torch.randn(images.shape, generator=generator)
        pair = torch.stack([self.times.draw(n, generator), self.times.draw(n, generator)]).sort(dim=0)
        r, t = pair.values
        apart = torch.rand(n, generator=generator) < self.apart
        x = _by_image(1 - t) * images + _by_image(t) * noise
        velocity = self._guided(network, x, t, labels, noise - images)
        together = ~apart
        predicted = network(x[together], torch.stack([t, t], dim=1)[together], labels[together])
        errors = [predicted.float() - velocity[together]]
        if apart.any():
            errors.append(self._identity(network, x[apart], r[apart], t[apart], labels[apart], velocity[apart]))
        error = torch.cat(errors).square().flatten(1).sum(1)
        return (error / (error.detach() + self.c)).mean()

    @staticmethod
    def _identity(network: nn.Module, x: Tensor, r: Tensor, t: Tensor, labels: Tensor, velocity: Tensor) -> Tensor:
        """u - (v - (t - r)·du/dt), with the second term held fixed."""

        def average(x: Tensor, r: Tensor, t: Tensor) -> Tensor:
            return network(x, torch.stack([r, t], dim=1), labels)  # type: ignore[no-any-return]

        # The fused attention has no forward derivative, and rounding of half types would drown what is left of it.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", enabled=False):
            both = jvp(average, (x, r, t), (velocity, torch.zeros_like(r), torch.ones_like(t)))
        predicted, derivative = cast("tuple[Tensor, Tensor]", both)
        return predicted - (velocity - _by_image(t - r) * derivative.detach())

    def _guided(self, network: nn.Module, x: Tensor, t: Tensor, labels: Tensor, velocity: Tensor) -> Tensor:
        """The velocity towards which guidance bends; where the class was dropped already it stays as it is."""
        if self.guidance == 1:
            return velocity
        null = torch.full_like(labels, int(network.num_classes))  # type: ignore[arg-type]
        with torch.no_grad():
            unconditional = network(x, torch.stack([t, t], dim=1), null).float()
        guided = self.guidance * velocity + (1 - self.guidance) * unconditional
        return torch.where(_by_image(labels == null), velocity, guided)


class Denoising(Loss):
    """EDM's (arXiv:2206.00364, section 5): squared error of the estimate of the image, so weighted that every level
    starts with a loss of about 1.
    """

    kind: Literal["denoising"]
    log_mean: float = -1.2
    log_std: float = Field(default=1.2, gt=0)
    """Of the noise levels, log-normal; the defaults are the authors'."""

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`, for a network D(x, σ, one-hot labels); dropped labels are the zero vector."""
        images, labels = batch.images, batch.labels
        sigma = (self.log_mean + self.log_std * torch.randn(len(images), generator=generator)).exp()
        x = images + _by_image(sigma) * torch.randn(images.shape, generator=generator)
        error: Tensor = network(x, sigma, one_hot(labels, int(network.label_dim))) - images  # type: ignore[arg-type]
        weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
        return (_by_image(weight) * error.square()).mean()


class ConsistencyTuning(Loss):
    """Estimates from two points of one path become equal (Geng et al., ECT, arXiv:2406.14548, sections 3 and 4).

    From x_t = image + t·noise and x_r = image + r·noise with r = t·(1 - n(t)/q^a), n(t) = 1 + k·sigmoid(-b·t): the
    stage a counts from 1, and r comes nearer to t with each. The distance of the estimates, whose target is held
    fixed, is weighted by 1/(t - r). Where r is 0 or less the target is the image.
    """

    kind: Literal["consistency-tuning"]
    log_mean: float = -1.1
    log_std: float = Field(default=2.0, gt=0)
    """Of t, log-normal; the defaults here and below are the authors' for CIFAR-10."""
    q: float = Field(default=2.0, gt=1)
    k: float = Field(default=8.0, ge=0)
    b: float = Field(default=1.0, gt=0)
    stages: int = Field(gt=0)
    """Equal parts of the training, one a each."""

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`, for a network D(x, σ, one-hot labels)."""
        images, labels = batch.images, batch.labels
        t = (self.log_mean + self.log_std * torch.randn(len(images), generator=generator)).exp()
        r = self.earlier(t, batch.progress)
        noise = torch.randn(images.shape, generator=generator)
        classes = one_hot(labels, int(network.label_dim))  # type: ignore[arg-type]
        estimate: Tensor = network(images + _by_image(t) * noise, t, classes)
        with torch.no_grad():
            near = network(images + _by_image(r) * noise, r.clamp_min(SMALLEST_LEVEL), classes)
            target = torch.where(_by_image(r) > 0, near, images)
        distance = (estimate - target).square().flatten(1).sum(1).clamp_min(1e-12).sqrt()
        return (distance / (t - r)).mean()

    def earlier(self, t: Tensor, progress: float) -> Tensor:
        """The times r (N,) that belong to t (N,), not below 0."""
        stage = 1 + int(progress * self.stages)
        gap = (1 + self.k * torch.sigmoid(-self.b * t)) / self.q**stage
        return (t * (1 - gap)).clamp_min(0)


class NextScale(Loss):
    """Cross-entropy of the codes of every scale from those of the scales before (VAR, arXiv:2404.02905)."""

    kind: Literal["next-scale"]

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`. Raises `ConfigError` for a batch without codes."""
        if batch.codes is None:
            raise ConfigError("objective next-scale learns codes", hint="name a tokenizer of the zoo as `decoder`")
        logits = network(batch.labels, batch.codes.inputs).float()
        return functional.cross_entropy(logits.flatten(0, 1), batch.codes.indices.flatten())


class MultiScaleQuantisation(Loss):
    """VAR's tokenizer without its perceptual and adversarial terms: error of the images, and of every scale's code.

    The decoder sees the code, the encoder its gradient (van den Oord et al., VQ-VAE, arXiv:1711.00937). Entries of
    the codebook that a batch leaves unused are moved to features of it, drawn at random, as long as that is allowed.
    """

    kind: Literal["multi-scale-quantisation"]
    commitment: float = Field(default=0.25, ge=0)
    """Weight of the encoder's way to the code beside the code's way to the encoder."""
    restart_every: int = Field(gt=0)
    """Steps."""
    restart_until: float = Field(ge=0, le=1)
    """Share of the steps."""

    def __call__(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of `Loss`, for a `QuantisedAutoencoder` of a `MultiScaleQuantiser`."""
        autoencoder = cast("QuantisedAutoencoder[MultiScaleQuantiser]", network)
        features = autoencoder.features(batch.images).float()
        if batch.step % self.restart_every == 0 and batch.progress < self.restart_until:
            restart(autoencoder.quantize, features.detach(), generator)
        code, error = self._code(autoencoder.quantize, features)
        decoded = autoencoder.images(features + (code - features).detach()).float()
        return (decoded - batch.images).square().mean() + (decoded - batch.images).abs().mean() + error

    def _code(self, quantiser: MultiScaleQuantiser, features: Tensor) -> tuple[Tensor, Tensor]:
        """The code of features (N, C, P, P), and its error, the mean over the scales."""
        total, error = torch.zeros_like(features), features.new_zeros(())
        for scale in range(len(quantiser.patch_nums)):
            with torch.no_grad():
                indices = quantiser.nearest(quantiser.shrink(features - total, scale))
            total = total + quantiser.grow(quantiser.embedding(indices), scale)
            error = error + (total - features.detach()).square().mean()
            error = error + self.commitment * (total.detach() - features).square().mean()
        return total, error / len(quantiser.patch_nums)


@torch.no_grad()
def restart(quantiser: MultiScaleQuantiser, features: Tensor, generator: torch.Generator) -> None:
    """Move the entries that features (N, C, P, P) do not use to what is quantised of them, drawn at random."""
    entries = quantiser.embedding.weight
    used = torch.zeros(len(entries), dtype=torch.bool)
    pool, total = [], torch.zeros_like(features)
    for scale in range(len(quantiser.patch_nums)):
        left = quantiser.shrink(features - total, scale)
        indices = quantiser.nearest(left)
        used[indices.flatten()] = True
        pool.append(left.permute(0, 2, 3, 1).flatten(0, 2))
        total = total + quantiser.grow(quantiser.embedding(indices), scale)
    vectors = torch.cat(pool)
    (unused,) = torch.where(~used)
    chosen = torch.randint(len(vectors), (len(unused),), generator=generator)
    entries[unused] = vectors[chosen]


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(N,) => float32 (N, classes); the null class, whose index is `classes`, is the zero vector."""
    return functional.one_hot(labels, classes + 1)[:, :classes].float()


Objective = Annotated[
    Velocity
    | CleanImage
    | LearnedVariance
    | MeanFlow
    | Denoising
    | ConsistencyTuning
    | NextScale
    | MultiScaleQuantisation,
    Field(discriminator="kind"),
]
