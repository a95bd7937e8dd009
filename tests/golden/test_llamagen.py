"""LlamaGen against vectors of its authors' code, and against the official keys. ``llamagen/config.json`` says which."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from genbench.cards import load_card, load_decoder
from genbench.errors import ConfigError
from genbench.images.quantise import to_uint8
from genbench.methods.latents.families import decoder_network
from genbench.methods.latents.keys import standard_keys
from genbench.methods.llamagen.network import LlamaGen
from genbench.methods.llamagen.quantiser import module
from genbench.methods.vectors import replay

HERE = Path(__file__).parent
VECTORS = HERE / "llamagen"
REGISTRY = HERE.parents[1] / "registry"
INPUTS = {"gpt/idx", "gpt/labels", "vq/image"}


def test_agrees_with_the_authors_code():
    found = {comparison.name: comparison for comparison in replay(VECTORS)}
    runs = {run["name"] for run in json.loads((VECTORS / "sampler.json").read_text())["runs"]}
    with safe_open(VECTORS / "forward.safetensors", framework="pt") as forward:
        assert found.keys() == (set(forward.keys()) - INPUTS) | runs
    assert found["vq/indices"].difference == 0
    # Other kernels of the authors' own code differ by up to 4e-5.
    assert [c for c in found.values() if not c.difference <= 4e-5 * c.scale or c.draws_left] == []


def test_pixels_follow_the_authors_rule():
    recorded = load_file(VECTORS / "sampler.safetensors")
    for run in ("greedy", "plain", "topk_topp", "argmax_nocfg"):
        expected = recorded[f"{run}/image_uint8_nhwc"].permute(0, 3, 1, 2)
        assert torch.equal(to_uint8(recorded[f"{run}/image"], "round"), expected)


@pytest.mark.parametrize("tensor", ["topk_topp/probs", "greedy/logits_guided", "plain/image", "argmax_nocfg/seq"])
def test_a_result_that_is_off_disagrees(tmp_path, tensor):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "llamagen"))
    tensors = load_file(folder / "sampler.safetensors")
    tensors[tensor] = tensors[tensor].clone()
    tensors[tensor].view(-1)[0] += 1 if tensor.endswith("seq") else 1.5e-4 * max(1, float(tensors[tensor].abs().max()))
    save_file(tensors, folder / "sampler.safetensors")
    assert [c.name for c in replay(folder) if not c.agrees] == [tensor.partition("/")[0]]


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("gpt_args", {"model_type": "t2i"}, "model_type is 't2i'"),
        ("gpt_args", {"rope_base": 500}, "rope_base is 500"),
        ("vq_args", {"decoder_ch_mult": [1, 1]}, "encoder_ch_mult is not decoder_ch_mult"),
    ],
)
def test_networks_that_genbench_has_not_are_refused(tmp_path, part, change, message):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "llamagen"))
    config = json.loads((folder / "config.json").read_text())
    config[part] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=message):
        list(replay(folder))


@pytest.mark.parametrize(
    ("variant", "count"),
    [
        # The counts are those of the authors' class; 256 and 384 px have the same tensors.
        ("llamagen-b-256", 110_888_448),
        ("llamagen-b-384", 110_888_448),
        ("llamagen-l-256", 342_910_976),
        ("llamagen-xl-384", 774_699_520),
        ("llamagen-xxl-384", 1_410_972_672),
    ],
)
def test_a_variants_network_is_the_official_one(variant, count):
    chosen = load_card(REGISTRY / "llamagen.toml").variants[variant]
    official = json.loads((REGISTRY / "manifests" / f"{chosen.manifest}.json").read_text())
    with torch.device("meta"):
        built = LlamaGen(**chosen.network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in built.parameters()) == official["n_params"] == count


@pytest.mark.parametrize("name", ["llamagen-vq-ds16", "llamagen-vq-ds8"])
def test_the_tokenizers_keys_are_the_official_ones(name):
    card = load_decoder(name, [REGISTRY])
    official = json.loads((REGISTRY / "manifests" / f"{card.manifest}.json").read_text())
    state = {key: torch.empty(shape, device="meta") for key, shape in official["keys"].items()}
    network = decoder_network(card)
    with torch.device("meta"):
        built = module(network)
    codebook = {"quantize.embedding.weight": state["quantize.embedding.weight"].shape}
    found = {key: value.shape for key, value in standard_keys(state, len(network.widths)).items()} | codebook
    assert found == {key: value.shape for key, value in built.state_dict().items()}
    assert sum(p.numel() for p in built.parameters()) == official["n_params"]
