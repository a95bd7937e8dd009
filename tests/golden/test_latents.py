"""Autoencoders against vectors of diffusers and of LightningDiT's code, and against the official keys.

``<family>/config.json`` says which version, and what was run.
"""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genbench.errors import ConfigError, WeightsError
from genbench.images.quantise import to_uint8
from genbench.methods.latents.autoencoder import Autoencoder
from genbench.methods.latents.keys import standard_keys
from genbench.methods.latents.settings import AutoencoderNetwork
from genbench.methods.vectors import replay
from genbench.schema import check

HERE = Path(__file__).parent
MANIFESTS = HERE.parents[1] / "registry" / "manifests"
SD = {"widths": [128, 256, 512, 512], "latent_channels": 4}
CPU = torch.device("cpu")


@pytest.mark.parametrize("family", ["sdvae", "vavae"])
def test_agrees_with_what_was_recorded(family):
    found = {comparison.name: comparison for comparison in replay(HERE / family)}
    cases = [case["name"] for case in json.loads((HERE / family / "config.json").read_text())["forward_cases"]]
    assert list(found) == [name for name in cases if name != "uint8"]
    assert [c for c in found.values() if not c.difference <= 2e-5] == []


def test_pixels_follow_each_authors_rule():
    recorded = load_file(HERE / "sdvae" / "forward.safetensors")
    for rule, name in (("round", "dit_sit"), ("truncate", "repa"), ("half", "ddt")):
        expected = recorded[f"u8.{name}"]
        expected = expected if expected.shape[1] == 3 else expected.permute(0, 3, 1, 2)
        # The authors decoded once and quantised that; at a border the last bit decides.
        difference = (to_uint8(recorded["dec"], rule).int() - expected.int()).abs()
        assert int(difference.max()) <= 1
        assert float((difference > 0).float().mean()) < 1e-3


def test_the_first_hub_files_load_as_the_present_ones():
    """Before 2023 diffusers called the projections query, key, value and proj_attn; it renames them when it loads."""
    state = load_file(HERE / "sdvae" / "state.safetensors")
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    names = re.compile(r"(?<=attentions\.0\.)(to_q|to_k|to_v|to_out\.0)(?=\.)")
    old = {names.sub(lambda name: former[name[0]], key): value for key, value in state.items()}
    assert old.keys() != state.keys()
    renamed = standard_keys(old, 2)
    assert renamed.keys() == state.keys()
    assert all(torch.equal(renamed[key], state[key]) for key in state)


def test_what_belongs_to_training_is_left_out():
    state = load_file(HERE / "vavae" / "state.safetensors")
    extra = {
        f"{prefix}.weight": torch.zeros(2) for prefix in ("loss.discriminator", "foundation_model.x", "linear_proj")
    }
    assert standard_keys({**state, **extra}, 2).keys() == standard_keys(state, 2).keys()


def test_weights_of_another_autoencoder_are_refused():
    network = check(AutoencoderNetwork, {"widths": [16, 32], "latent_channels": 4, "blocks": 1, "groups": 8}, "here")
    with pytest.raises(WeightsError, match="do not fit"):
        Autoencoder(network, load_file(HERE / "sdvae" / "state.safetensors"), CPU)


@pytest.mark.parametrize(
    ("change", "message"), [({"widths": [24]}, "groups 32"), ({"attention": [4]}, "levels are 0 to 3")]
)
def test_a_network_that_cannot_be_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        check(AutoencoderNetwork, {**SD, **change}, "here")
