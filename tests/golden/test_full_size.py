"""The networks of the cards have exactly the keys, shapes and parameters of the authors' full-size ones."""

import json
from pathlib import Path

import pytest
import torch

from genbench.cards import load_card
from genbench.methods.ddt.network import DDT
from genbench.methods.dit.network import DiT
from genbench.methods.jit.network import JiT
from genbench.methods.lightningdit.network import LightningDiT
from genbench.methods.rae.decoder import RAEDecoder
from genbench.methods.rae.network import DiTDH
from genbench.methods.rae.settings import DecoderNetwork, DiTDHNetwork
from genbench.methods.repa.network import RepresentationAlignedSiT

REGISTRY = Path(__file__).parent.parent.parent / "registry"
NETWORKS = [
    # Manifests were listed from the authors' classes; the counts are those they print, frozen parameters included.
    ("sit", "sit-xl2-256", DiT, "sit-XL-2-256", 675_129_632),
    ("dit", "dit-xl2-256", DiT, "dit-XL-2-256", 675_129_632),
    ("dit", "dit-xl2-512", DiT, "dit-XL-2-512", 676_014_368),
    ("repa", "repa-sitxl2-256", RepresentationAlignedSiT, "repa-SiT-XL-2-256", 675_111_184),
    ("irepa", "irepa-dinov2b-sitxl2-256", RepresentationAlignedSiT, "irepa-SiT-XL-2-256-train", 675_111_184),
    ("haste", "haste-sitxl2-256", RepresentationAlignedSiT, "haste-SiT-XL-2-256", 675_111_184),
    ("repa-e", "repa-e-sdvae-sitxl2-256", RepresentationAlignedSiT, "repa_e-SiT-XL-2-f8d4", 675_111_184),
    ("repa-e", "repa-e-vavae-sitxl1-256", RepresentationAlignedSiT, "repa_e-SiT-XL-1-f16d32", 675_148_064),
    ("ddt", "ddt-xl2-256", DDT, "ddt-XL-2-22en6de", 674_646_352),
    ("ddt", "ddt-xl2-512", DDT, "ddt-XL-2-22en6de", 674_646_352),
    ("jit", "jit-b16-256", JiT, "jit-B-16", 131_320_320),
    ("jit", "jit-b32-512", JiT, "jit-B-32", 133_387_008),
    ("jit", "jit-l16-256", JiT, "jit-L-16", 459_139_808),
    ("jit", "jit-l32-512", JiT, "jit-L-32", 461_796_320),
    ("jit", "jit-h16-256", JiT, "jit-H-16", 952_842_048),
    ("jit", "jit-h32-512", JiT, "jit-H-32", 956_383_296),
    ("lightningdit", "lightningdit-xl1-256-800ep", LightningDiT, "lightningdit-XL-1", 675_256_736),
    ("rae", "rae-ditdh-xl-256", DiTDH, "rae-DiTDH-XL-256", 838_675_796),
    ("rae", "rae-ditdh-xl-512", DiTDH, "rae-DiTDH-XL-512", 839_560_532),
    ("lightningdit", "lightningdit-xl1-256-64ep", LightningDiT, "lightningdit-XL-1", 675_256_736),
]


@pytest.mark.parametrize(("card", "variant", "network", "manifest", "count"), NETWORKS, ids=[n[1] for n in NETWORKS])
def test_a_variants_network_is_the_official_one(card, variant, network, manifest, count):
    official = json.loads((REGISTRY / "manifests" / f"{manifest}.json").read_text())
    with torch.device("meta"):
        built = network(**load_card(REGISTRY / f"{card}.toml").variants[variant].network)
    training_only = tuple(official.get("ignore_prefixes", ()))
    keys = {key: shape for key, shape in official["keys"].items() if not key.startswith(training_only)}
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == keys
    printed = official.get("n_params_without_projectors", official["n_params"])
    assert sum(p.numel() for p in built.parameters()) == printed == count
    assert sorted(name for name, p in built.named_parameters() if not p.requires_grad) == sorted(official["frozen"])
    assert sorted(name for name, _ in built.named_buffers()) == sorted(official["buffers"])


@pytest.mark.parametrize(
    ("network", "model", "manifest", "count"),
    [
        (DiTDH, DiTDHNetwork, "rae-DiTDH-S-256", 196_455_764),
        (DiTDH, DiTDHNetwork, "rae-DiTDH-S-512", 196_750_676),
        (RAEDecoder, DecoderNetwork, "rae-decoder-ViTXL-256", 415_352_704),
        (RAEDecoder, DecoderNetwork, "rae-decoder-ViTXL-512", 416_237_440),
    ],
)
def test_a_network_that_no_card_names_is_the_official_one(network, model, manifest, count):
    """RAE's guides and decoders, built from the arguments that the manifest was listed with."""
    official = json.loads((REGISTRY / "manifests" / f"{manifest}.json").read_text())
    given = official["config"]["ctor"]
    given = given.get("config", given)
    with torch.device("meta"):
        built = network(**{name: given[name] for name in model.model_fields if name in given})
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in built.parameters()) == official["n_params"] == count
    assert sorted(name for name, p in built.named_parameters() if not p.requires_grad) == sorted(official["frozen"])
