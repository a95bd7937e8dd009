"""Objectives of the zoo against what their definitions say of networks that know the answer, or know nothing."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from genbench.errors import ConfigError
from genbench.methods.var.quantiser import MultiScaleQuantiser
from genbench.schema import check
from zoo.alignment import (
    Alignment,
    AlignmentLoss,
    ConvolutionProjector,
    MlpProjector,
    normalised_over_space,
    pooled,
)
from zoo.objectives import (
    Batch,
    CleanImage,
    Codes,
    ConsistencyTuning,
    Denoising,
    LearnedVariance,
    LogitNormal,
    MeanFlow,
    MultiScaleQuantisation,
    NextScale,
    Velocity,
    discretised_log_likelihood,
    gaussian_divergence,
    restart,
)

LABELS = torch.arange(8) % 3


def batch(images, labels=LABELS, progress=0.0):
    return Batch(images, labels, step=round(100 * progress), steps=100)


def generator():
    return torch.Generator().manual_seed(5)


@pytest.fixture
def images():
    """8-bit values, uniform."""
    levels = torch.randint(256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    return levels / 127.5 - 1


class Function(nn.Module):
    """A network that is a function of image and time."""

    num_classes = 3

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.times, self.labels = [], []

    def forward(self, x, t, labels):
        self.times.append(t)
        self.labels.append(labels)
        return self.function(x, t)


def by_image(t):
    return t[:, None, None, None]


def zero(x, _t):
    return torch.zeros_like(x)


@pytest.mark.parametrize("noise_time", [0, 1])
def test_the_velocity_of_a_known_image_has_no_loss(images, noise_time):
    """From noise to the image it is (image - x) over the time that is left, against time where noise is at 1."""

    def knows(x, t):
        return (images - x) / by_image(1 - t) if noise_time == 0 else (x - images) / by_image(t)

    objective = Velocity(kind="velocity", noise_time=noise_time, direction=1.0)
    assert float(objective(Function(knows), batch(images), generator())) == pytest.approx(0, abs=1e-5)


def test_the_velocity_that_a_zero_network_misses(images):
    loss = Velocity(kind="velocity")(Function(zero), batch(images), generator())
    assert float(loss) == pytest.approx(1 + 1 / 3, rel=0.05), "Var(noise) + Var(uniform on [-1, 1])"


def test_both_directions_of_time_are_one_training(images):
    """The same draws: images, times and targets mirror each other, so that trainings can be compared."""
    forward, backward = Function(zero), Function(zero)
    one = Velocity(kind="velocity", noise_time=0)(forward, batch(images), generator())
    other = Velocity(kind="velocity", noise_time=1)(backward, batch(images), generator())
    assert float(one) == float(other)
    assert torch.allclose(forward.times[0], 1 - backward.times[0])


def test_opposite_directions_cost_two(images):
    """1 - cos(-v, v), beside the squared error of -v, 4·|v|²."""
    opposite = Function(lambda x, t: (x - images) / by_image(1 - t))
    plain = Velocity(kind="velocity")(opposite, batch(images), generator())
    directed = Velocity(kind="velocity", direction=0.5)(opposite, batch(images), generator())
    assert float(directed - plain) == pytest.approx(0.5 * 2, rel=1e-4)


def test_the_clean_image_has_no_loss_and_errors_count_as_velocities(images):
    objective = CleanImage(kind="clean-image", times=LogitNormal(mean=-0.8, std=0.8))
    assert float(objective(Function(lambda _x, _t: images), batch(images), generator())) == 0
    off = Function(lambda _x, _t: images + 0.1)
    loss = float(objective(off, batch(images), generator()))
    expected = (0.1 / (1 - off.times[0]).clamp_min(0.05)).square().mean()
    assert loss == pytest.approx(float(expected), rel=1e-4)


def test_logit_normal_times_have_their_quantiles():
    times = LogitNormal(mean=-0.8, std=0.5).draw(20_000, generator())
    for z, probability in ((-1.0, 0.1587), (0.0, 0.5), (1.0, 0.8413)):
        quantile = torch.sigmoid(torch.tensor(-0.8 + 0.5 * z))
        assert float((times < quantile).float().mean()) == pytest.approx(probability, abs=0.012)


def test_learned_variance_of_a_network_that_knows_the_image(images):
    """The exact noise and the posterior's own variance leave the first step's decoder alone, drawn by few images."""
    objective = LearnedVariance(kind="learned-variance")
    alphas = objective._schedule.alphas_cumprod

    def knows(x, t):
        signal = by_image(alphas[t.long()])
        return torch.cat([(x - signal.sqrt() * images) / (1 - signal).sqrt(), -torch.ones_like(x)], dim=1)

    network = Function(knows)
    loss = float(objective(network, batch(images), generator()))
    assert 0 not in network.times[0], "the seed draws no first step"
    assert loss == pytest.approx(0, abs=1e-4)


def test_the_bound_trains_the_variance_and_not_the_mean(images):
    """Its gradient by the noise channels is that of the squared error alone."""
    output = torch.zeros(8, 6, 16, 16, requires_grad=True)
    loss = LearnedVariance(kind="learned-variance")(Function(lambda _x, _t: output), batch(images), generator())
    (gradient,) = torch.autograd.grad(loss, output)
    noise_draw = generator()
    torch.randint(1000, (8,), generator=noise_draw)
    noise = torch.randn(images.shape, generator=noise_draw)
    assert torch.allclose(gradient[:, :3], -2 * noise / noise.numel(), atol=1e-9)
    assert gradient[:, 3:].abs().min() > 0


def test_gaussian_divergence_is_torchs():
    draws = torch.randn(3, 50, generator=generator())
    difference, log_variance, other = draws
    expected = kl_divergence(Normal(torch.zeros(50), (log_variance / 2).exp()), Normal(difference, (other / 2).exp()))
    assert torch.allclose(gaussian_divergence(difference, log_variance, other), expected, atol=1e-5)


# The bins at the ends hold the tails: of a mean within a deviation of an end, the likeliest value is the end.
@pytest.mark.parametrize(("mean", "log_std", "mode"), [(0.1, -3.0, 140), (-0.98, -3.0, 0), (0.999, -5.0, 255)])
def test_the_decoder_is_a_distribution_of_256_values(mean, log_std, mode):
    values = torch.arange(256) / 127.5 - 1
    log_likelihood = discretised_log_likelihood(values, torch.full((256,), mean), torch.full((256,), log_std))
    assert float(log_likelihood.exp().sum()) == pytest.approx(1, abs=1e-4)
    assert int(log_likelihood.argmax()) == mode


# Of torch's own, when it first takes a forward derivative.
forward_derivative = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")


def mean_flow(**changes):
    settings = {"kind": "mean-flow", "times": {"mean": -0.4, "std": 1.0}, "apart": 0.5, "c": 1000.0, **changes}
    return check(MeanFlow, settings, "test")


@forward_derivative
def test_the_average_velocity_of_a_known_image_has_no_loss(images):
    """The path to one image is straight: u(x, r, t) = (x - image)/t, whose total derivative is 0."""
    image = images[:1]
    knows = Function(lambda x, rt: (x - image) / by_image(rt[:, 1]))
    same = image.expand(8, -1, -1, -1)
    assert float(mean_flow()(knows, batch(same), generator())) == pytest.approx(0, abs=1e-6)
    together, apart = knows.times
    assert bool((together[:, 0] == together[:, 1]).all())
    assert bool((apart[:, 0] < apart[:, 1]).all())
    assert len(together) + len(apart) == 8
    assert min(len(together), len(apart)) > 0


def drawn(images, guide):
    """The draws of a mean flow with the seed of `generator`: x, r, t and the guided velocity of each image."""
    draw = generator()
    noise = torch.randn(images.shape, generator=draw)
    times = [torch.sigmoid(-0.4 + torch.randn(8, generator=draw)) for _ in range(2)]
    r, t = torch.minimum(*times), torch.maximum(*times)
    r = torch.where(torch.rand(8, generator=draw) < 0.5, r, t)
    x = by_image(1 - t) * images + by_image(t) * noise
    return x, r, t, guide(noise - images)


@forward_derivative
def test_the_mean_flow_identity_with_its_total_derivative(images):
    """u = t·x: the target is v - (t - r)·(x + t·v), which no derivative by t or by x alone gives."""
    loss = mean_flow()(Function(lambda x, rt: by_image(rt[:, 1]) * x), batch(images), generator())
    x, r, t, velocity = drawn(images, lambda velocity: velocity)
    target = velocity - by_image(t - r) * (x + by_image(t) * velocity)
    error = (by_image(t) * x - target).square().flatten(1).sum(1)
    assert float(loss) == pytest.approx(float((error / (error + 1000)).mean()), rel=1e-6)


@forward_derivative
def test_guidance_of_mean_flow_bends_the_velocity_where_the_class_is_known(images):
    """With a constant network u = 2 (derivative 0) the target is ω·v + (1 - ω)·2 for images that have their class."""
    labels = torch.tensor([0, 1, 2, 3, 3, 0, 1, 2])
    function = Function(lambda x, rt: torch.full_like(x, 2.0) + 0 * x * by_image(rt[:, 1]))
    loss = mean_flow(guidance=3.0)(function, batch(images, labels), generator())
    *_, target = drawn(images, lambda velocity: torch.where(by_image(labels == 3), velocity, 3 * velocity - 4))
    error = (2 - target).square().flatten(1).sum(1)
    assert float(loss) == pytest.approx(float((error / (error + 1000)).mean()), rel=1e-6)
    assert function.labels[0].tolist() == [3] * 8
    assert torch.equal(function.times[0][:, 0], function.times[0][:, 1])


class Denoiser(nn.Module):
    """D(x, σ) that is a function; keeps what it was given."""

    label_dim = 3

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.given = []

    def forward(self, x, sigma, labels):
        self.given.append((x, sigma, labels))
        return self.function(x, sigma)


def test_denoising_is_weighted_to_start_at_one():
    """EDM's preconditioning of a network that is zero, c_skip·x, has a weighted loss of 1 where the data have its σ."""
    images = 0.5 * torch.randn(64, 3, 16, 16, generator=generator())
    network = Denoiser(lambda x, sigma: by_image(0.25 / (sigma**2 + 0.25)) * x)
    loss = Denoising(kind="denoising")(network, batch(images, torch.zeros(64, dtype=torch.int64)), generator())
    assert float(loss) == pytest.approx(1, rel=0.02)
    ((_, sigma, _),) = network.given
    assert float(sigma.log().mean()) == pytest.approx(-1.2, abs=4 * 1.2 / 8)


def test_denoisers_see_classes_and_no_dropped_ones(images):
    network = Denoiser(lambda x, _sigma: x)
    Denoising(kind="denoising")(network, batch(images, torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])), generator())
    ((_, _, labels),) = network.given
    assert labels.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_consistent_estimates_have_no_loss_and_others_their_distance_over_the_time_between(images):
    tuning = ConsistencyTuning(kind="consistency-tuning", stages=4)
    consistent = tuning(Denoiser(lambda _x, _sigma: images), batch(images), generator())
    assert float(consistent) < 1e-4
    network = Denoiser(lambda x, sigma: images + by_image(sigma) / 100)
    loss = float(tuning(network, batch(images, progress=0.9), generator()))
    (x, t, _), (earlier, r, _) = network.given
    assert torch.allclose((x - images) / by_image(t), (earlier - images) / by_image(r), atol=1e-4), "one noise"
    assert bool((r > 1e-6).all())
    assert loss == pytest.approx(math.sqrt(3 * 16 * 16) / 100, rel=1e-4), "|D(t) - D(r)| is (t - r)/100 a pixel"


def test_the_second_time_comes_nearer_with_each_stage():
    """By the mapping: 1 - r/t is (1 + 8·sigmoid(-t))/2^a; at t = 0 that is 5/2^a, more than 1 for a = 1 and 2."""
    tuning = ConsistencyTuning(kind="consistency-tuning", stages=4)
    t = torch.tensor([1e-6, 2.0])
    slope = 1 + 8 * torch.sigmoid(torch.tensor(-2.0))
    for stage, progress in enumerate((0.0, 0.3, 0.5, 0.99), 1):
        r = tuning.earlier(t, progress) / t
        assert float(r[0]) == pytest.approx(max(0.0, 1 - 5 / 2**stage), abs=1e-5)
        assert float(r[1]) == pytest.approx(max(0.0, float(1 - slope / 2**stage)), abs=1e-5)


def test_where_the_path_has_ended_the_target_is_the_image():
    images = torch.zeros(8, 3, 16, 16)
    tuning = ConsistencyTuning(kind="consistency-tuning", stages=1, k=100.0)
    network = Denoiser(lambda x, _sigma: torch.ones_like(x))
    loss = float(tuning(network, batch(images), generator()))
    ((_, t, _), _) = network.given
    ended = tuning.earlier(t, 0.0) == 0
    assert 0 < int(ended.sum()) < 8
    expected = torch.where(ended, math.sqrt(3 * 16 * 16) / t, torch.zeros(())).mean()
    assert loss == pytest.approx(float(expected), rel=1e-3)


def test_codes_are_learned_by_their_cross_entropy(images):
    """Logits of the codes themselves leave no loss, equal ones log K."""
    indices = torch.randint(7, (8, 5), generator=generator())
    coded = batch(images)._replace(codes=Codes(indices, torch.randn(8, 4, 2)))
    objective = NextScale(kind="next-scale")
    right = objective(lambda _labels, _inputs: 100 * functional.one_hot(indices, 7).float(), coded, generator())
    assert float(right) == pytest.approx(0, abs=1e-6)
    equal = objective(lambda labels, inputs: torch.zeros(len(labels), inputs.shape[1] + 1, 7), coded, generator())
    assert float(equal) == pytest.approx(math.log(7))
    with pytest.raises(ConfigError, match="learns codes"):
        objective(lambda _labels, _inputs: None, batch(images), generator())


class Autoencoder(nn.Module):
    """Identities around a quantiser of three channels on scales 1, 2 and 4."""

    def __init__(self, entries=6):
        super().__init__()
        torch.manual_seed(0)
        self.quantize = MultiScaleQuantiser(
            codebook_size=entries, channels=3, patch_nums=(1, 2, 4), phis=2, phi_share=0.5, cosine=False
        )
        self.decoded = []

    def features(self, images):
        return images

    def images(self, latents):
        self.decoded.append(latents)
        return latents


def quantisation(**changes):
    settings = {"kind": "multi-scale-quantisation", "restart_every": 3, "restart_until": 0.5, **changes}
    return check(MultiScaleQuantisation, settings, "test")


def test_the_decoder_sees_the_code_and_the_encoder_its_gradient():
    """The straight-through gradient by the features: that of the decoded images' errors, and the commitment's."""
    images = torch.rand(2, 3, 4, 4, generator=generator())
    seen = images.clone().requires_grad_()
    autoencoder = Autoencoder()
    autoencoder.features = lambda _images: seen
    loss = quantisation(commitment=0.0)(autoencoder, batch(images, progress=0.9), generator())
    code = autoencoder.quantize(images).latents.detach()
    (decoded,) = autoencoder.decoded
    assert torch.allclose(decoded, code, atol=1e-6)
    (gradient,) = torch.autograd.grad(loss, seen)
    expected = (2 * (code - images) + (code - images).sign()) / images.numel()
    assert torch.allclose(gradient, expected, atol=1e-6)


def test_every_scale_moves_the_codebook_towards_what_it_codes():
    """With one entry the loss of the code is the mean over scales of the error of the sum so far."""
    images = torch.rand(2, 3, 4, 4, generator=generator())
    autoencoder = Autoencoder(entries=1)
    without = quantisation(commitment=0.0)(autoencoder, batch(images, progress=0.9), generator())
    both = quantisation(commitment=1.0)(autoencoder, batch(images, progress=0.9), generator())
    sums = list(autoencoder.quantize.sums(torch.zeros(2, 21, dtype=torch.int64)))
    error = sum((total - images).square().mean() for total in sums) / 3
    assert float((both - without).detach()) == pytest.approx(float(error.detach()), rel=1e-4)
    plain = (sums[-1] - images).square().mean() + (sums[-1] - images).abs().mean()
    assert float(without.detach()) == pytest.approx(float((plain + error).detach()), rel=1e-4)
    (gradient,) = torch.autograd.grad(without, autoencoder.quantize.embedding.weight)
    assert gradient.abs().min() > 0


def test_unused_entries_are_moved_to_features_and_used_ones_stay():
    images = 0.1 * torch.rand(2, 3, 4, 4, generator=generator())
    quantiser = Autoencoder(entries=40).quantize
    with torch.no_grad():
        quantiser.embedding.weight[20:] += 50
    before = quantiser.embedding.weight.detach().clone()
    used = quantiser(images).indices.unique()
    restart(quantiser, images, generator())
    after = quantiser.embedding.weight.detach()
    kept = torch.zeros(40, dtype=torch.bool)
    kept[used] = True
    assert torch.equal(after[kept], before[kept])
    assert not (after[~kept] == before[~kept]).all(dim=1).any()
    assert after[20:].abs().max() < 5, "what was far away is among the features"


@pytest.mark.parametrize(("step", "moved"), [(0, True), (1, False), (3, True), (48, True), (51, False)])
def test_entries_are_moved_at_their_steps_and_not_after_the_last(step, moved):
    images = torch.rand(2, 3, 4, 4, generator=generator())
    autoencoder = Autoencoder(entries=60)
    before = autoencoder.quantize.embedding.weight.detach().clone()
    quantisation()(autoencoder, batch(images)._replace(step=step), generator())
    assert (not torch.equal(autoencoder.quantize.embedding.weight, before)) == moved


class Blocks(nn.Module):
    """A network of two blocks on tokens."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity(), nn.Linear(6, 6)])

    def forward(self, tokens):
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


def test_alignment_is_minus_the_cosine_after_its_block():
    network = Blocks()
    settings = Alignment(block=1, weight=0.7, projector=MlpProjector(kind="mlp", width=4))
    loss = AlignmentLoss(settings, network, hidden=6, target=6)
    loss.projector = nn.Identity()
    tokens = torch.randn(2, 4, 6, generator=generator())
    for targets, expected in ((3 * tokens, -0.7), (-tokens, 0.7)):
        network(tokens)
        assert float(loss(targets)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(RuntimeError, match="has seen no batch"):
        loss(tokens)


def test_alignment_stops_at_its_share_of_the_steps():
    settings = Alignment(block=2, projector=ConvolutionProjector(kind="convolution"), until=0.4)
    loss = AlignmentLoss(settings, Blocks(), hidden=6, target=5)
    assert [step for step in range(10) if loss.applies(step, 10)] == [0, 1, 2, 3]


def test_the_convolution_sees_neighbours_in_the_grid_of_tokens():
    projector = ConvolutionProjector(kind="convolution").build(1, 1)
    nn.init.ones_(projector.convolution.weight)
    nn.init.zeros_(projector.convolution.bias)
    tokens = torch.zeros(1, 16, 1)
    tokens[0, 6] = 1  # row 1, column 2
    expected = torch.zeros(4, 4)
    expected[0:3, 1:4] = 1
    assert torch.equal(projector(tokens).view(4, 4), expected)


def test_spatial_normalisation_of_targets():
    """By definition: no mean and unit deviation over the tokens with gamma 1; gamma 0 keeps mean over deviation."""
    tokens = 3 + 2 * torch.randn(2, 50, 4, generator=generator())
    full = normalised_over_space(tokens, 1.0)
    assert full.mean(1).abs().max() < 1e-5
    assert torch.allclose(full.std(1), torch.ones(2, 4), atol=1e-5)
    none = normalised_over_space(tokens, 0.0)
    assert torch.allclose(none.mean(1), tokens.mean(1) / tokens.std(1), atol=1e-4)


def test_tokens_are_averaged_over_coarser_cells():
    grid = torch.arange(16.0).view(4, 4)
    tokens = torch.stack([grid, -grid], dim=-1).view(1, 16, 2)
    assert pooled(tokens, 2)[0, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]
    assert pooled(tokens, 2)[0, :, 1].tolist() == [-2.5, -4.5, -10.5, -12.5]
    assert math.isclose(float(pooled(tokens, 1)[0, 0, 0]), 7.5)
