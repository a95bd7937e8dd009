"""FlexVAR against vectors of its authors' code and the official keys. ``flexvar/config.json`` says what was run."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from genbench.cards import load_card
from genbench.errors import ConfigError
from genbench.methods.flexvar.settings import FlexVARSettings
from genbench.methods.manifests import load_manifest
from genbench.methods.runs import make_run
from genbench.methods.vectors import replay
from genbench.validate import validate

HERE = Path(__file__).parent
VECTORS = HERE / "flexvar"
REGISTRY = HERE.parents[1] / "registry"


def test_agrees_with_the_authors_code():
    found = {comparison.name: comparison for comparison in replay(VECTORS)}
    runs = [run["name"] for run in json.loads((VECTORS / "sampler.json").read_text())["runs"]]
    assert list(found)[-len(runs) :] == runs == ["own", "fewer", "more", "beyond", "constant", "unguided"]
    assert {"vq/indices", "vq/decode_code", "logits_BLV"} <= found.keys()
    assert found["vq/indices"].difference == 0
    # Other kernels of the authors' own code differ by up to 4e-5 in logits of size 10, as VAR's do.
    assert [c for c in found.values() if not c.difference <= 4e-5 * c.scale or c.draws_left] == []


@pytest.mark.parametrize(
    "tensor",
    # Of `more`, the scales that are guided beyond cfg; of the others, sides that are not drawn.
    ["own/logits_cfg.5", "fewer/probs.3", "more/logits_cfg.11", "beyond/probs.4", "unguided/image", "own/f_hat.0"],
)
def test_a_result_that_is_off_disagrees(tmp_path, tensor):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "flexvar"))
    tensors = load_file(folder / "sampler.safetensors")
    tensors[tensor].view(-1)[0] += 1.5e-4 * max(1, float(tensors[tensor].abs().max()))
    save_file(tensors, folder / "sampler.safetensors")
    assert [c.name for c in replay(folder) if not c.agrees] == [tensor.partition("/")[0]]


@pytest.mark.parametrize("name", ["flexvar", "sar"])
def test_every_variants_network_is_the_official_one_and_samples(name):
    card = load_card(REGISTRY / f"{name}.toml")
    findings = list(validate(card, [REGISTRY / "manifests"]))
    assert [f for f in findings if not f.passed] == []
    assert {(f.variant, f.check) for f in findings} >= {(variant, "keys") for variant in card.variants}


@pytest.mark.parametrize(
    ("manifest", "count"),
    [
        # SAR's demo notebook prints 72,049,827 for the tokenizer and 315.56M for d16.
        ("flexvar-vae", 72_049_827),
        ("flexvar-d16", 315_561_936),
        ("flexvar-d20", 607_513_952),
        ("flexvar-d24", 1_041_314_576),
    ],
)
def test_the_official_networks_have_the_parameters_that_the_authors_print(manifest, count):
    assert load_manifest(REGISTRY / "manifests" / f"{manifest}.json").parameters == count


def test_the_presets_of_other_steps_are_the_authors_lists():
    """README of the authors' repository, and the list of their evaluation script."""
    run = make_run(load_card(REGISTRY / "flexvar.toml"), "flexvar-d24-256", "cfg2.5-13steps", {})
    own = run.network["patch_nums"]
    assert FlexVARSettings(**run.settings).sides(own) == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16)
    nine = make_run(load_card(REGISTRY / "flexvar.toml"), "flexvar-d24-256", "cfg2.5-9steps", {})
    assert FlexVARSettings(**nine.settings).sides(own) == (1, 2, 3, 4, 5, 7, 10, 13, 16)
    assert tuple(own) == (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)


def test_a_run_that_ends_at_another_grid_is_refused_before_its_weights_are_fetched():
    card = load_card(REGISTRY / "flexvar.toml")
    with pytest.raises(ConfigError, match=r"infer_patch_nums 1_2_8 ends at 8, the tokenizer's grid has a side of 16"):
        make_run(card, "flexvar-d16-256", "cfg2.5", {"infer_patch_nums": "1_2_8"})


def test_vectors_of_another_tokenizer_are_refused(tmp_path):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "flexvar"))
    config = json.loads((folder / "config.json").read_text())
    config["vq_args"]["decoder_ch_mult"] = [1, 2]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="encoder_ch_mult is not decoder_ch_mult"):
        list(replay(folder))
