"""DDT's samplers: which steps are guided, which compute the encoder's state, and what multistep weights integrate.

tests/golden compares whole runs with the authors' code.
"""

import inspect
import itertools
import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from genbench.errors import ConfigError, UsageError
from genbench.methods.ddt.multistep import adams_weights
from genbench.methods.ddt.network import DDT
from genbench.methods.ddt.sampler import DDTSampler
from genbench.methods.ddt.settings import DDTNetwork, DDTSettings
from genbench.methods.ddt.sharing import evenly, most_similar, similarities
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.vectors import replay

VECTORS = Path(__file__).parent.parent / "golden" / "ddt"
NETWORK = {
    "input_size": 4,
    "in_channels": 3,
    "patch_size": 2,
    "num_groups": 2,
    "hidden_size": 16,
    "num_blocks": 3,
    "num_encoder_blocks": 2,
    "num_classes": 3,
}
CPU = torch.device("cpu")


def weights():
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    state = DDT(**NETWORK).state_dict()
    for value in state.values():
        value.normal_(std=0.1 if value.ndim == 1 else value[0].numel() ** -0.5, generator=generator)
    return state


STATE = weights()


def sampler(state=None, **settings):
    return DDTSampler(network=NETWORK, settings=DDTSettings(**settings), state=state or STATE, device=CPU)


def noise(n, draws=1):
    return list(torch.randn(draws, n, 3, 4, 4, generator=torch.Generator().manual_seed(1)))


LABELS = torch.arange(8) % 3


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"order": 3},
        {"share": 3},
        {"share": 2, "share_by": "similarity", "shift": 2.0},
        {"noise": "preserve", "last_step": None},
        {"cfg": 1.0},
    ],
    ids=str,
)
def test_image_i_is_the_same_at_batch_1_and_8(settings):
    made = sampler(steps=7, **settings)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    assert (whole.shape, whole.dtype) == ((8, 3, 4, 4), torch.float32)
    assert made.nfe == 7
    fresh = sampler(steps=7, **settings)
    for i in range(8):
        assert torch.allclose(fresh.sample(SeededNoise([i]), LABELS[i : i + 1]), whole[i : i + 1], atol=1e-4)


def test_guidance_lies_strictly_within_its_interval():
    """One step from t = 0, which the interval (0, 1) leaves out; with two more, the second is at 0.48 and guided."""
    x = noise(2)
    one = {"steps": 1}
    assert torch.equal(
        sampler(**one, cfg=3.0, cfg_start=0.0).sample(RecordedNoise(x), LABELS[:2]),
        sampler(**one, cfg=1.0).sample(RecordedNoise(x), LABELS[:2]),
    )
    three = {"steps": 3, "cfg": 3.0}  # times 0, 0.48, 0.96
    plain = sampler(steps=3, cfg=1.0).sample(RecordedNoise(x), LABELS[:2])
    outside = sampler(**three, cfg_start=0.5, cfg_end=0.9).sample(RecordedNoise(x), LABELS[:2])
    inside = sampler(**three, cfg_start=0.4, cfg_end=0.5).sample(RecordedNoise(x), LABELS[:2])
    assert torch.equal(outside, plain)
    assert not torch.allclose(inside, plain, atol=1e-2)


@pytest.mark.parametrize(("share", "encoded"), [(1, 10), (2, 5), (4, 3)])
def test_a_shared_state_is_computed_every_share_th_step(share, encoded):
    made = sampler(steps=10, share=share)
    calls = []
    made.network.s_embedder.register_forward_hook(lambda *_: calls.append(1))
    made.sample(RecordedNoise(noise(2)), LABELS[:2])
    assert len(calls) == encoded
    assert evenly(10, 4) == {0, 4, 8}


def test_given_its_state_the_decoder_sees_neither_time_nor_label():
    """Two steps that share a state differ from two that do not, unless the network's state is constant."""
    x, y = noise(2), LABELS[:2]
    apart, shared = (sampler(steps=2, cfg=1.0, share=share).sample(RecordedNoise(x), y) for share in (1, 2))
    assert not torch.allclose(apart, shared, atol=1e-3)
    constant = {k: torch.zeros_like(v) if "embedder" in k and "x_" not in k else v for k, v in STATE.items()}
    apart, shared = (sampler(constant, steps=2, cfg=1.0, share=n).sample(RecordedNoise(x), y) for n in (1, 2))
    assert torch.allclose(apart, shared, atol=1e-6)


@pytest.mark.parametrize(("steps", "count"), [(6, 1), (6, 2), (6, 3), (7, 4), (5, 5)])
def test_the_most_similar_states_by_trying_every_choice(steps, count):
    states = torch.randn(steps, 2, 3, 4, generator=torch.Generator().manual_seed(steps)).cumsum(0)
    similarity = similarities(list(states))
    expected = torch.cosine_similarity(states[1], states[3], dim=-1).mean()
    assert float(similarity[1, 3]) == pytest.approx(float(expected), abs=1e-6)

    def total(chosen):
        return sum(float(similarity[max(c for c in chosen if c <= step), step]) for step in range(steps))

    choices = [{0, *others} for others in itertools.combinations(range(1, steps), count - 1)]
    found = most_similar(similarity, count)
    assert len(found) == count
    assert total(found) == pytest.approx(max(map(total, choices)), abs=1e-9)


def test_the_authors_templates_give_the_steps_that_their_code_chose():
    recorded = load_file(VECTORS / "sampler.safetensors")
    arguments = json.loads((VECTORS / "config.json").read_text())["modules"]["model"]
    made = DDTSampler(
        network={**arguments, "input_size": 8},
        settings=DDTSettings(steps=12, share=2, share_by="similarity"),
        state=load_file(VECTORS / "state.safetensors"),
        device=CPU,
    )
    chosen = made.choose(recorded["sharing_dp.template_noise"], recorded["sharing_dp.template_condition"])
    assert sorted(chosen) == recorded["sharing_dp.recompute_timesteps"].tolist()


def test_multistep_weights_by_the_textbook_and_by_the_authors_code():
    """Adams-Bashforth on an even grid: (3, -1)/2, (23, -16, 5)/12, (55, -59, 37, -9)/24, oldest first here."""
    grid = torch.linspace(0, 1, 6)
    for order, expected in ((2, [-1, 3]), (3, [5, -16, 23]), (4, [-9, 37, -59, 55])):
        found = adams_weights(grid, order)
        assert found[-1].tolist() == pytest.approx([w / sum(expected) for w in expected], abs=1e-5)
        assert found[0].tolist() == [0] * (order - 1) + [1]
        assert found.sum(1).tolist() == pytest.approx([1] * 5)
    recorded = load_file(VECTORS / "sampler.safetensors")
    found = adams_weights(recorded["adam_lm2.timesteps"], 2)
    assert torch.allclose(found.float(), recorded["adam_lm2.solver_coeffs"], atol=1e-7)


def test_multistep_weights_integrate_their_degree_on_an_uneven_grid():
    grid = torch.tensor([0.0, 0.2, 0.3, 0.7, 0.75])
    slopes = grid.double()[:3] ** 2
    found = (adams_weights(grid, 3)[2] * slopes).sum() * (grid[3] - grid[2])
    assert float(found) == pytest.approx((0.7**3 - 0.3**3) / 3, abs=1e-6)


def test_steps_with_noise_by_hand():
    """A network of velocity zero: x' = x - dt·x/2 + sqrt((1 - t)·dt)·kick, and the last step adds nothing."""
    zero = {k: torch.zeros_like(v) for k, v in STATE.items()}
    start, kick = noise(2, 2)
    source = RecordedNoise([start, kick])
    found = sampler(zero, steps=2, noise="preserve", last_step=0.25).sample(source, LABELS[:2])
    assert source.left == 0
    assert torch.allclose(found, start - 0.75 * start / 2 + 0.75**0.5 * kick, atol=1e-6)


def test_the_grid_by_hand():
    """Times 0, .., 1 - last_step, 1, each moved to t / (t + (1 - t)·shift)."""
    grid = sampler(steps=3, last_step=0.2, shift=2.0)._grid()
    assert grid.tolist() == pytest.approx([0, 0.4 / (0.4 + 0.6 * 2), 0.8 / (0.8 + 0.2 * 2), 1])
    assert sampler(steps=4, last_step=None)._grid().tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_a_recorded_run_of_another_step_is_refused(tmp_path):
    for path in VECTORS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    recorded = json.loads((tmp_path / "sampler.json").read_text())
    recorded["runs"][0]["step_fn"] = "sde_step_fn"
    (tmp_path / "sampler.json").write_text(json.dumps(recorded))
    with pytest.raises(ConfigError, match=r"euler_official: .*sde_step_fn"):
        list(replay(tmp_path))


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(UsageError, match="classes 0 to 2"):
        sampler(steps=2).sample(RecordedNoise(noise(1)), torch.tensor([3]))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"steps": 0}, "steps"),
        ({"last_step": 1.0}, "last_step"),
        ({"order": 5}, "order"),
        ({"order": 2, "noise": "preserve"}, "order 1"),
        ({"steps": 3, "share": 4}, "share 4 is more"),
        ({"shift": 0}, "shift"),
    ],
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        DDTSettings(**settings)


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"num_encoder_blocks": 3}, "no decoder"), ({"patch_size": 3}, "patch_size 3"), ({"num_groups": 3}, "heads")],
)
def test_networks_that_cannot_be_are_refused(changes, key):
    with pytest.raises(ValidationError, match=key):
        DDTNetwork(**{**NETWORK, **changes})


def test_a_card_may_say_what_the_constructor_takes():
    assert list(DDTNetwork.model_fields) == list(inspect.signature(DDT).parameters)
