"""VAR against vectors of its authors' code, and against the official keys. ``var/config.json`` says what was run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genbench.cards import load_card, load_decoder
from genbench.errors import ConfigError
from genbench.methods.latents.families import decoder_network
from genbench.methods.latents.keys import standard_keys
from genbench.methods.var.network import VAR
from genbench.methods.var.quantiser import module, phi_of_scales
from genbench.methods.vectors import replay

HERE = Path(__file__).parent
VECTORS = HERE / "var"
REGISTRY = HERE.parents[1] / "registry"


def test_agrees_with_the_authors_code():
    found = {comparison.name: comparison for comparison in replay(VECTORS)}
    runs = [run["name"] for run in json.loads((VECTORS / "sampler.json").read_text())["runs"]]
    assert list(found)[-len(runs) :] == runs
    assert {"vae.idx_Bl", "vae.img_to_reconstructed_img", "var.logits_BLV", "var_nol2.logits_BLV"} <= found.keys()
    assert found["vae.idx_Bl"].difference == 0
    # Other kernels of the authors' own code differ by up to 4e-5 in logits of size 10.
    assert [c for c in found.values() if not c.difference <= 4e-5 * c.scale or c.draws_left] == []


@pytest.mark.parametrize("tensor", ["topk_topp/probs.3", "greedy/logits_cfg.2", "smooth/f_hat.4", "plain/image"])
def test_a_result_that_is_off_disagrees(tmp_path, tensor):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "var"))
    tensors = load_file(folder / "sampler.safetensors")
    tensors[tensor].view(-1)[0] += 1.5e-4 * max(1, float(tensors[tensor].abs().max()))
    save_file(tensors, folder / "sampler.safetensors")
    assert [c.name for c in replay(folder) if not c.agrees] == [tensor.partition("/")[0]]


def test_phis_that_no_vector_has_are_refused(tmp_path):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "var"))
    config = json.loads((folder / "config.json").read_text())
    config["vqvae_args"]["share_quant_resi"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="share_quant_resi 1"):
        list(replay(folder))


def test_phis_of_ten_scales_are_the_authors():
    """Scales 2 and 7 lie midway between two ticks; the list is what the authors' code prints for its ten scales."""
    assert phi_of_scales(10, 4) == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    recorded = load_file(VECTORS / "forward.safetensors")
    assert phi_of_scales(5, 4) == [int(recorded[f"vae.phi_index.{scale}"]) for scale in range(5)]


@pytest.mark.parametrize(
    ("card", "variant", "count"),
    [
        # The counts are those of the authors' classes, without buffers.
        ("var", "var-d16-256", 310_283_520),
        ("var", "var-d20-256", 600_917_136),
        ("var", "var-d24-256", 1_033_399_360),
        ("var", "var-d30-256", 2_010_020_356),
        ("var", "var-d36-512", 2_353_893_904),
        ("ddo", "var-d30-ddo-256", 2_010_020_356),
        ("neon", "var-d36-neon-512", 2_353_893_904),
    ],
)
def test_a_variants_network_is_the_official_one(card, variant, count):
    chosen = load_card(REGISTRY / f"{card}.toml").variants[variant]
    official = json.loads((REGISTRY / "manifests" / f"{chosen.manifest}.json").read_text())
    with torch.device("meta"):
        built = VAR(**chosen.network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sorted(name for name, _ in built.named_buffers()) == sorted(official["buffers"])
    assert sum(p.numel() for p in built.parameters()) == official["n_params"] == count


@pytest.mark.parametrize("name", ["var-vqvae-256", "var-vqvae-512"])
def test_the_tokenizers_keys_are_the_official_ones(name):
    card = load_decoder(name, [REGISTRY])
    official = json.loads((REGISTRY / "manifests" / f"{card.manifest}.json").read_text())
    state = {key: torch.empty(shape, device="meta") for key, shape in official["keys"].items()}
    network = decoder_network(card)
    with torch.device("meta"):
        built = module(network)
    codebook = {k: v.shape for k, v in state.items() if k.startswith("quantize.") and k not in official["buffers"]}
    found = {key: value.shape for key, value in standard_keys(state, len(network.widths)).items()} | codebook
    assert found == {key: value.shape for key, value in built.state_dict().items()}
    assert sum(p.numel() for p in built.parameters()) == official["n_params"] == 108_948_355
