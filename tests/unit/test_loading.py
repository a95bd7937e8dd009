"""From a run to its weights and sampler."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file

from genbench.cards import Decoder, DecoderCard, load_card, load_cards, load_decoder
from genbench.errors import ConfigError, UsageError, WeightsError
from genbench.methods.dit.network import DiT
from genbench.methods.families import import_object
from genbench.methods.initialisation import initialise
from genbench.methods.latents.autoencoder import Autoencoder
from genbench.methods.latents.decoder import latent_statistics
from genbench.methods.latents.families import DECODERS, decoder_network
from genbench.methods.latents.settings import AutoencoderNetwork
from genbench.methods.loading import WeightsOnDisk, find_weights, identity, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.rae.decoder import RAEDecoder, RAEImageDecoder
from genbench.methods.rae.network import DiTDH
from genbench.methods.rae.settings import ImageDecoderNetwork
from genbench.methods.resemblance import resemblance
from genbench.methods.runs import Run, make_run
from genbench.methods.sit.sampler import SiTSampler
from genbench.weights import load_tensors

REGISTRY = Path(__file__).parents[2] / "registry"
VECTORS = Path(__file__).parents[1] / "golden" / "sdvae"


LATENT = """
[method]
id = "latent"
name = "Latent"
title = "Latent"
sampler = "sit"
[variants.latent]
summary = "a model of latents"
dataset = "imagenet"
resolution = 16
classes = 3
quantise = "round"
default_preset = "ode"
presets.ode = { mode = "ode", steps = 3 }
[variants.latent.network]
input_size = 8
patch_size = 4
in_channels = 4
hidden_size = 16
depth = 1
num_heads = 2
num_classes = 3
learn_sigma = false
[variants.latent.weights]
file = "latent.safetensors"
[variants.latent.decoder]
name = "tiny"
scale = 0.5
statistics = { file = "statistics.safetensors" }
"""
DECODER = """
id = "tiny"
title = "a tiny autoencoder"
[network]
widths = [24, 48]
latent_channels = 4
blocks = 1
groups = 8
[weights]
file = "decoder.safetensors"
"""


def latent_registry(folder: Path, card: str = LATENT, decoder: str = DECODER) -> Run:
    """A registry of one small latent model, its weights those of recorded vectors where there are such."""
    (folder / "decoders").mkdir(parents=True)
    (folder / "weights").mkdir()
    (folder / "latent.toml").write_text(card)
    (folder / "decoders" / "tiny.toml").write_text(decoder)
    run = make_run(load_card(folder / "latent.toml"), "latent", "ode", {})
    torch.manual_seed(0)
    network = DiT(**run.variant.network)
    initialise(network)
    save_file(dict(network.state_dict()), folder / "weights" / "latent.safetensors")
    statistics = {"mean": torch.full((1, 4, 1, 1), 0.25), "std": torch.full((1, 4, 1, 1), 3.0)}
    save_file(statistics, folder / "weights" / "statistics.safetensors")
    shutil.copy(VECTORS / "state.safetensors", folder / "weights" / "decoder.safetensors")
    return run


def test_latents_are_rescaled_and_decoded(tmp_path: Path) -> None:
    run = latent_registry(tmp_path / "registry")
    weights = find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / "registry"])
    assert weights is not None
    sampler = load_sampler(run, weights, "cpu")
    images = sampler.sample(SeededNoise([0, 1]), torch.tensor([0, 2]))
    network = AutoencoderNetwork(widths=(24, 48), latent_channels=4, blocks=1, groups=8)
    autoencoder = Autoencoder(network, load_tensors(VECTORS / "state.safetensors"), torch.device("cpu"))
    # An initialised network predicts zero, so what is decoded is the noise.
    noise = SeededNoise([0, 1]).normal((4, 8, 8))
    assert torch.allclose(images, autoencoder.decode(noise / 0.5 * 3 + 0.25), atol=1e-5)
    assert images.shape == (2, 3, 16, 16)
    assert sampler.nfe == 2
    assert sampler.parameters == autoencoder.parameters + sum(
        p.numel() for p in DiT(**run.variant.network).parameters()
    )
    assert weights.bytes == sum(path.stat().st_size for path in (tmp_path / "registry" / "weights").iterdir())


@pytest.mark.parametrize(
    ("card", "decoder"),
    [
        (LATENT.replace("scale = 0.5", "scale = 0.4"), DECODER),
        (LATENT.replace('statistics = { file = "statistics.safetensors" }', ""), DECODER),
        (LATENT, DECODER.replace("blocks = 1", "blocks = 2")),
        (LATENT.replace("scale = 0.5", 'scale = 0.5\nweights = { file = "latent.safetensors" }'), DECODER),
        (LATENT.replace("scale = 0.5", "scale = 0.5\ntile = 8"), DECODER),
    ],
)
def test_the_identity_of_a_decoder_covers_what_can_change_a_pixel(tmp_path: Path, card: str, decoder: str) -> None:
    found = []
    for name, texts in (("a", (LATENT, DECODER)), ("b", (card, decoder))):
        run = latent_registry(tmp_path / name, *texts)
        weights = find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / name])
        assert weights is not None
        assert weights.decoder is not None
        found.append((weights.decoder.digest, run.digest(weights.sha256, weights.decoder.digest)))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_a_decoder_without_weights_or_of_no_known_name_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    run = latent_registry(tmp_path / "a", decoder=DECODER.partition("[weights]")[0])
    with pytest.raises(ConfigError, match="tiny has no weights of its own"):
        find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / "a"])
    run = latent_registry(tmp_path / "b", LATENT.replace('"tiny"', '"tny"'))
    with pytest.raises(UsageError, match="no latent decoder named 'tny'"):
        find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / "b"])
    assert not (tmp_path / "cache").exists()


def test_statistics_of_other_names_are_refused(tmp_path: Path) -> None:
    save_file({"average": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="holds average"):
        latent_statistics(tmp_path / "other.safetensors")
    save_file({"latents_scale": torch.tensor([4.0]), "latents_bias": torch.tensor([1.0])}, tmp_path / "e.safetensors")
    assert latent_statistics(tmp_path / "e.safetensors") == (torch.tensor([1.0]), torch.tensor([0.25]))


@pytest.mark.parametrize("axis", [2, 3])
def test_large_latents_are_decoded_in_tiles_that_overlap_by_a_quarter(axis: int) -> None:
    """14 cells in tiles of 8 every 6: 12 pixels of each remain, whose first 4 go over from the tile before."""
    network = AutoencoderNetwork(widths=(24, 48), latent_channels=4, blocks=1, groups=8)
    state, cpu = load_tensors(VECTORS / "state.safetensors"), torch.device("cpu")
    whole, tiling = Autoencoder(network, state, cpu), Autoencoder(network, state, cpu)
    tiling.decode_in_tiles(8)
    z = torch.randn(2, 4, 6, 14, generator=torch.Generator().manual_seed(4)).transpose(axis, 3)
    first, second, third = (whole.decode(z.narrow(axis, start, min(8, 14 - start))) for start in (0, 6, 12))
    share = (torch.arange(4) / 4).view([-1 if dimension == axis else 1 for dimension in range(4)])

    def over(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        return before.narrow(axis, 12, 4) * (1 - share) + after.narrow(axis, 0, 4) * share

    kept = [first.narrow(axis, 0, 12), over(first, second), second.narrow(axis, 4, 8), over(second, third)]
    found = tiling.decode(z)
    assert torch.allclose(found, torch.cat(kept, axis), atol=1e-5)
    assert not torch.allclose(found, whole.decode(z), atol=1e-2)
    assert torch.equal(tiling.decode(z.narrow(axis, 0, 8)), whole.decode(z.narrow(axis, 0, 8)))


def test_tiles_are_set_by_the_command_line_and_are_part_of_the_runs_identity(tmp_path: Path) -> None:
    plain = latent_registry(tmp_path / "registry", LATENT.replace("input_size = 8", "input_size = 16"))
    card = load_card(tmp_path / "registry" / "latent.toml")
    tiled = make_run(card, "latent", "ode", {"decoder.tile": 8})
    assert (tiled.name, tiled.given["decoder.tile"]) == ("latent@ode+decoder.tile=8", 8)
    assert tiled.settings == plain.settings
    assert make_run(card, "latent", "ode", {"decoder.tile": None}).name == plain.name
    find = partial(find_weights, cache=tmp_path / "cache", registry=[tmp_path / "registry"])
    both = [(run, find(run)) for run in (plain, tiled)]
    assert len({identity(run, weights) for run, weights in both}) == 2
    images = [load_sampler(run, w, "cpu").sample(SeededNoise([0]), torch.tensor([1])) for run, w in both]
    assert images[0].shape == images[1].shape
    assert not torch.allclose(*images, atol=1e-2)
    with pytest.raises(ConfigError, match="decoder with --set: tile: should be greater than or equal to 8"):
        make_run(card, "latent", "ode", {"decoder.tile": 4})
    with pytest.raises(ConfigError, match="unknown key 'tiles'"):
        make_run(card, "latent", "ode", {"decoder.tiles": 8})
    with pytest.raises(ConfigError, match="has no decoder to change"):
        make_run(load_card(REGISTRY / "sit.toml"), "sit-emoji32", "ode25", {"decoder.tile": 8})


def test_a_decoder_of_tokens_has_no_tiles_and_says_so_before_anything_is_fetched(tmp_path: Path) -> None:
    run = make_run(load_card(REGISTRY / "rae.toml"), "rae-ditdh-xl-256", "ode50", {"decoder.tile": 8})
    with pytest.raises(ConfigError, match="family 'rae' cannot decode in tiles"):
        find_weights(run, cache=tmp_path, registry=[REGISTRY])


def test_an_rae_decoder_gives_the_range_of_every_other(tmp_path: Path) -> None:
    sizes = {"decoder_intermediate_size": 24, "decoder_num_attention_heads": 2, "decoder_num_hidden_layers": 1}
    shape = {"hidden_size": 6, "decoder_hidden_size": 16, **sizes, "image_size": 8, "patch_size": 4}
    state = dict(RAEDecoder(**shape).state_dict())
    state["decoder_pred.weight"] = torch.zeros_like(state["decoder_pred.weight"])
    state["decoder_pred.bias"] = torch.zeros_like(state["decoder_pred.bias"])
    network = ImageDecoderNetwork(**shape, image_mean=(0.5, 0.25, 1.0), image_std=(1, 1, 1))
    images = RAEImageDecoder(network, state, torch.device("cpu")).decode(torch.randn(2, 6, 2, 2))
    # Patches of zero are the mean of the encoder's processor, in [0, 1].
    assert torch.equal(images, torch.tensor([0.0, -0.5, 1.0]).view(1, 3, 1, 1).expand(2, 3, 8, 8))
    save_file({"mean": torch.ones(6, 2, 2), "var": torch.full((6, 2, 2), 4 - 1e-5)}, tmp_path / "stat.safetensors")
    assert torch.allclose(latent_statistics(tmp_path / "stat.safetensors").std, torch.tensor(2.0))


def test_every_packaged_decoder_is_known_and_its_network_can_be_built() -> None:
    used = {v.decoder.name for card in load_cards([REGISTRY]).values() for v in card.variants.values() if v.decoder}
    for name in used:
        assert decoder_network(load_decoder(name, [REGISTRY]))
    assert {"sd-vae-ft-ema", "vavae-f16d32", "var-vqvae-256"} <= used
    assert set(DECODERS) == set(get_args(DecoderCard.model_fields["family"].annotation))


TOKENS = """
[method]
id = "tokens"
name = "Tokens"
title = "Tokens"
sampler = "var"
[variants.tokens]
summary = "a model of codes"
dataset = "imagenet"
resolution = 12
classes = 10
quantise = "truncate"
default_preset = "plain"
presets.plain = { cfg = 1.5, top_k = 20 }
[variants.tokens.network]
num_classes = 10
depth = 2
embed_dim = 64
num_heads = 2
patch_nums = [1, 2, 3, 4, 6]
vocab_size = 64
code_channels = 8
[variants.tokens.weights]
file = "transformer.safetensors"
[variants.tokens.decoder]
name = "codes"
"""
CODES = """
id = "codes"
title = "a tiny tokenizer"
family = "var"
[network]
widths = [32, 64]
blocks = 1
attention = [1]
codebook_size = 64
code_channels = 8
patch_nums = [1, 2, 3, 4, 6]
[weights]
file = "vqvae.safetensors"
"""


def token_registry(folder: Path, card: str = TOKENS, decoder: str = CODES) -> Run:
    """A registry of the small VAR of the recorded vectors: the transformer's file and its tokenizer's."""
    (folder / "decoders").mkdir(parents=True)
    (folder / "weights").mkdir()
    (folder / "tokens.toml").write_text(card)
    (folder / "decoders" / "codes.toml").write_text(decoder)
    for name in ("transformer", "vqvae"):
        shutil.copy(VECTORS.parent / "var" / f"{name}.safetensors", folder / "weights")
    return make_run(load_card(folder / "tokens.toml"), "tokens", "plain", {})


@pytest.mark.parametrize(("resize", "side"), [("", 12), ("resize = 8", 8)])
def test_codes_are_sampled_with_their_tokenizer_and_decoded_by_it(tmp_path: Path, resize: str, side: int) -> None:
    run = token_registry(tmp_path / "registry", TOKENS + resize)
    weights = find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / "registry"])
    assert weights is not None
    sampler = load_sampler(run, weights, "cpu")
    images = sampler.sample(SeededNoise([0, 1]), torch.tensor([0, 9]))
    assert (images.shape, sampler.nfe) == ((2, 3, side, side), 5)
    assert not torch.allclose(images[0], images[1], atol=1e-2)
    assert weights.bytes == sum(path.stat().st_size for path in (tmp_path / "registry" / "weights").iterdir())
    assert weights.decoder is not None
    assert (weights.decoder.digest == weights.decoder._replace(use=Decoder(name="codes")).digest) == (resize == "")


def test_a_decoder_that_has_no_such_codes_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    run = token_registry(tmp_path / "a", decoder=DECODER.replace('"tiny"', '"codes"'))
    with pytest.raises(ConfigError, match="codes is of family 'autoencoder-kl', the method samples codes of 'var'"):
        find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / "a"])
    run = token_registry(tmp_path / "b", TOKENS.partition("[variants.tokens.decoder]")[0])
    with pytest.raises(ConfigError, match="names no decoder, whose codes it samples"):
        find_weights(run, cache=tmp_path / "cache", registry=[tmp_path / "b"])
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("preset", ["ode8-cfg2", "heun12-cfg2"])
def test_the_embedded_model_loads_and_paints_on_white(tmp_path: Path, preset: str) -> None:
    run = make_run(load_cards([REGISTRY])["sit"], "sit-emoji32", preset, {})
    weights = find_weights(run, cache=tmp_path, registry=[REGISTRY])
    assert weights is not None
    sampler = load_sampler(run, weights, "cpu")
    images = sampler.sample(SeededNoise([0, 1, 2, 3]), torch.tensor([2, 3, 5, 6]))
    assert images.shape == (4, 3, 32, 32)
    assert sampler.parameters == sum(tensor.numel() for tensor in load_tensors(weights.path).values())
    corners = images[:, :, ::31, ::31].flatten(1)
    assert (corners > 0.8).float().mean() > 0.9, "an emoji leaves the corners white"


CARD = """
[method]
id = "boxed"
name = "Boxed"
title = "Boxed"
sampler = "sit"
[variants.boxed]
summary = "a network inside a checkpoint"
dataset = "emoji32"
resolution = 8
classes = 3
quantise = "round"
default_preset = "ode"
presets.ode = { mode = "ode", steps = 2 }
[variants.boxed.network]
input_size = 8
patch_size = 4
in_channels = 3
hidden_size = 16
depth = 1
num_heads = 2
num_classes = 3
[variants.boxed.weights]
file = "boxed.pt"
"""


def boxed(tmp_path: Path, part: str) -> Run:
    path = tmp_path / "boxed.toml"
    path.write_text(CARD + part)
    return make_run(load_card(path), "boxed", "ode", {})


def test_the_entry_and_prefix_of_a_checkpoint_are_what_is_loaded(tmp_path: Path) -> None:
    run = boxed(tmp_path, 'entry = "ema"\nprefix = "net."')
    state = DiT(**run.variant.network).state_dict()
    other = {f"net.{key}": torch.zeros_like(value) for key, value in state.items()}
    inside = {f"net.{key}": value for key, value in state.items()} | {"head.weight": torch.zeros(2)}
    path = tmp_path / "boxed.pt"
    torch.save({"model": other, "ema": inside, "step": 7}, path)
    sampler = load_sampler(run, WeightsOnDisk(path, "0" * 64), "cpu")
    assert isinstance(sampler, SiTSampler)
    assert all(torch.equal(value, state[key]) for key, value in sampler.network.state_dict().items())


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ('entry = "ema"\nprefix = "ema_net."', r"no key begins with 'ema_net\.' \(the first is 'net\."),
        ('entry = "emma"', r"no entry 'emma' \(it has \['ema'\]\)"),
        ("", "not a mapping of names to tensors"),
        ('entry = "ema"', r"unexpected net\.blocks"),
    ],
)
def test_a_part_that_the_checkpoint_does_not_have_is_named(tmp_path: Path, part: str, message: str) -> None:
    run = boxed(tmp_path, part)
    path = tmp_path / "boxed.pt"
    torch.save({"ema": {f"net.{key}": value for key, value in DiT(**run.variant.network).state_dict().items()}}, path)
    with pytest.raises(WeightsError, match=message):
        load_sampler(run, WeightsOnDisk(path, "0" * 64), "cpu")


def test_the_part_of_a_checkpoint_is_in_the_digest_of_a_run(tmp_path: Path) -> None:
    parts = ["", 'entry = "ema"', 'entry = "model"', 'prefix = "ema"', 'entry = "ema"\nprefix = "net."']
    assert len({boxed(tmp_path, part).digest("0" * 64) for part in parts}) == len(parts)


GUIDED = """
[method]
id = "guided"
name = "Guided"
title = "Guided"
sampler = "rae"
[variants.guided]
summary = "a network and a weaker one"
dataset = "imagenet"
resolution = 4
classes = 3
quantise = "round"
default_preset = "plain"
network = {input_size = 4, in_channels = 3, hidden_size = [16, 16], depth = [2, 1], num_heads = [2, 2], num_classes = 3}
presets.plain = { steps = 3 }
presets.guided = { steps = 3, guidance = "autoguidance", scale = 2.0 }
[variants.guided.weights]
file = "strong.safetensors"
[variants.guided.companions.guide]
network = {input_size = 4, in_channels = 3, hidden_size = [8, 16], depth = [1, 1], num_heads = [2, 2], num_classes = 3}
weights = { file = "weak.safetensors" }
"""


def guided(tmp_path: Path, preset: str) -> tuple[Run, WeightsOnDisk]:
    path = tmp_path / "guided.toml"
    path.write_text(GUIDED)
    run = make_run(load_card(path), "guided", preset, {})
    (tmp_path / "weights").mkdir(exist_ok=True)
    found = find_weights(run, cache=tmp_path / "cache", registry=[tmp_path])
    assert found is not None
    return run, found


def random_dh(network: dict[str, Any], path: Path) -> None:
    torch.manual_seed(len(str(network)))
    state = {key: 0.3 * torch.randn_like(value) for key, value in DiTDH(**network).state_dict().items()}
    path.parent.mkdir(exist_ok=True)
    save_file(state, path)


def test_a_guide_is_loaded_for_the_presets_that_need_it(tmp_path: Path) -> None:
    path = tmp_path / "guided.toml"
    path.write_text(GUIDED)
    variant = load_card(path).variants["guided"]
    random_dh(variant.network, tmp_path / "weights" / "strong.safetensors")
    plain, files = guided(tmp_path, "plain")
    assert files.companions == {}
    with pytest.raises(WeightsError, match=r"weak\.safetensors"):
        guided(tmp_path, "guided")
    random_dh(variant.companions["guide"].network, tmp_path / "weights" / "weak.safetensors")
    run, both = guided(tmp_path, "guided")
    assert both.bytes > files.bytes
    noise, labels = SeededNoise([1, 2]), torch.tensor([0, 2])
    images = [load_sampler(r, w, "cpu").sample(noise, labels) for r, w in ((plain, files), (run, both))]
    assert not torch.allclose(images[0], images[1], atol=1e-2)
    other = both._replace(companions={"guide": both.companions["guide"]._replace(sha256="0" * 64)})
    assert len({identity(r, w) for r, w in ((plain, files), (run, both), (run, other))}) == 3


@pytest.mark.parametrize(
    ("card", "variant", "said"),
    [
        ("dit", "dit-xl2-256", "exactly the keys and shapes of dit-XL-2-256"),
        ("lightningdit", "lightningdit-xl1-256-800ep", "exactly the keys and shapes of lightningdit-XL-1"),
    ],
)
def test_a_file_of_another_network_is_recognised(card: str, variant: str, said: str) -> None:
    official = load_card(REGISTRY / f"{card}.toml")
    run = make_run(official, variant, official.variants[variant].default_preset, {})
    assert run.family.module is not None
    with torch.device("meta"):
        state = import_object(run.family.module, card)(**run.variant.network).state_dict()
    assert said in (resemblance(state, [REGISTRY / "manifests"]) or "")
    fewer = {key: value for key, value in state.items() if "blocks.7." not in key}
    assert card in (resemblance(fewer, [REGISTRY / "manifests"]) or "")


def test_a_file_that_fits_nothing_is_not_guessed_at() -> None:
    assert resemblance({"conv.weight": torch.zeros(3)}, [REGISTRY / "manifests"]) is None


def test_the_error_of_a_file_that_does_not_fit_says_what_it_is(tmp_path: Path) -> None:
    run = boxed(tmp_path, "")
    path = tmp_path / "boxed.safetensors"
    save_file({"conv.weight": torch.zeros(3)}, path)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "odd-B.json").write_text('{"keys": {"conv.weight": [3]}}')
    with pytest.raises(WeightsError, match=r"boxed\.safetensors: .*unexpected conv\.weight.*shapes of odd-B"):
        load_sampler(run, WeightsOnDisk(path, "0" * 64), "cpu", registry=[tmp_path])
