"""The adapter of diffusers on small pipelines that are built here and saved; tests/pipeline runs whole commands."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from genbench.cards import Variant, load_card
from genbench.errors import ConfigError, UsageError, WeightsError
from genbench.methods.consistency.sampler import ConsistencySampler
from genbench.methods.consistency.settings import ConsistencySettings
from genbench.methods.noise import SeededNoise
from genbench.methods.pipelines.sampler import PipelineSampler
from genbench.methods.pipelines.settings import PipelineSettings, PipelineSource
from genbench.methods.pipelines.snapshot import find_pipeline
from genbench.methods.prompted import prompted
from genbench.methods.runs import make_run

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")
LABELS = torch.tensor([1, 4, 2])
SEEDS = (7, 8, 9)


@pytest.fixture(scope="module")
def consistency(hosted, tmp_path_factory):
    """diffusers' consistency pipeline."""
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline

    folder = tmp_path_factory.mktemp("consistency")
    scheduler = CMStochasticIterativeScheduler(num_train_timesteps=40)
    ConsistencyModelPipeline(hosted.unet, scheduler).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    """A DiT pipeline of random weights, whose call needs classes."""
    from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    torch.manual_seed(0)
    network = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1, sample_size=8
    )
    folder = tmp_path_factory.mktemp("transformer")
    DiTPipeline(network, AutoencoderKL(block_out_channels=(32,)), DDIMScheduler()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def unconditional(tmp_path_factory):
    """A DDPM pipeline of random weights, which draws noise at every step."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    unet = UNet2DModel(sample_size=8, layers_per_block=1, block_out_channels=(32, 32), **blocks)
    folder = tmp_path_factory.mktemp("unconditional")
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory):
    """A text-to-image pipeline of random weights, whose tokens are letters."""
    transformers = pytest.importorskip("transformers")
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    folder = tmp_path_factory.mktemp("stable-diffusion")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    torch.manual_seed(0)
    text = transformers.CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1, pad_token_id=0,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(32, 64), cross_attention_dim=32, attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        AutoencoderKL(block_out_channels=(32,), latent_channels=4),
        transformers.CLIPTextModel(text),
        tokenizer,
        unet,
        DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def sampler(folder, settings=None, **network):
    network = {"folder": str(folder), **network}
    found = find_pipeline(network)
    return PipelineSampler(
        network=network, settings=PipelineSettings(**(settings or {})), state=None, device=CPU, folder=found.folder
    )


def test_a_pipelines_images_are_those_of_genbenchs_own_sampler(consistency, hosted):
    """Timesteps 22, 0 of diffusers are OpenAI's ts 0,22,39, and a generator's draws are those of its seed."""
    made = sampler(consistency, {"timesteps": "22,0"}, num_classes=6)
    own = ConsistencySampler(
        network=hosted.network,
        settings=ConsistencySettings(sampler="multistep", ts="0,22,39"),
        state=hosted.unet.state_dict(),
        device=CPU,
    )
    found = made.sample(SeededNoise(SEEDS), LABELS)
    assert (found.shape, found.dtype) == ((3, 3, 16, 16), torch.float32)
    assert torch.allclose(found, own.sample(SeededNoise(SEEDS), LABELS), atol=2e-5)
    assert (made.nfe, made.parameters) == (own.nfe, own.parameters) == (2, 828_259)


@pytest.mark.parametrize(("name", "classes"), [("consistency", 6), ("transformer", 6), ("unconditional", None)])
def test_image_i_is_the_same_at_batch_1_and_3(name, classes, request):
    made = sampler(request.getfixturevalue(name), {"num_inference_steps": 2}, num_classes=classes)
    whole = made.sample(SeededNoise(SEEDS), LABELS)
    assert float(whole.abs().max()) <= 1
    for i, seed in enumerate(SEEDS):
        assert torch.allclose(made.sample(SeededNoise([seed]), LABELS[i : i + 1])[0], whole[i], atol=1e-4)
    assert not torch.allclose(whole[0], whole[1], atol=1e-2)
    assert made.nfe == 2
    if classes:
        with pytest.raises(UsageError, match="classes 0 to 5"):
            made.sample(SeededNoise([1]), torch.tensor([6]))


def test_images_are_made_from_prompts(stable_diffusion):
    settings = {"num_inference_steps": 2, "guidance_scale": 3.0}
    made = sampler(stable_diffusion, settings)
    texts = ["a dog", "a cat on a mat", "fish"]
    whole = made.sample_prompts(SeededNoise(SEEDS), texts)
    assert (whole.shape[:2], made.nfe) == ((3, 3), 2)
    numbered = prompted(made, texts, "run")
    one = numbered.sample(SeededNoise(SEEDS[1:2]), torch.tensor([1]))
    assert torch.allclose(one[0], whole[1], atol=1e-4)
    other = numbered.sample(SeededNoise(SEEDS[1:2]), torch.tensor([0]))
    assert not torch.allclose(one, other, atol=1e-4)
    assert (numbered.nfe, numbered.parameters) == (2, made.parameters)
    with pytest.raises(UsageError, match="StableDiffusionPipeline makes images from prompts"):
        made.sample(SeededNoise([1]), torch.tensor([0]))
    with pytest.raises(UsageError, match="run makes images from prompts, and there are none"):
        prompted(made, None, "run")


def test_a_pipeline_of_classes_takes_no_prompts(consistency):
    with pytest.raises(UsageError, match="takes no prompts"):
        sampler(consistency, num_classes=6).sample_prompts(SeededNoise([1]), ["a dog"])


@pytest.mark.parametrize(
    ("name", "settings", "network", "message", "hint"),
    [
        ("consistency", {"guidance_scale": 2.0}, {"num_classes": 6}, "takes no guidance_scale", "num_inference_steps"),
        ("consistency", {}, {}, "network has 6 classes, the card says none", "to 6"),
        ("consistency", {}, {"num_classes": 5}, "network has 6 classes, the card says 5", "to 6"),
        ("transformer", {}, {}, "DiTPipeline needs classes", "num_classes"),
        ("unconditional", {}, {"num_classes": 6}, "takes no classes", "num_classes"),
        ("stable_diffusion", {}, {"num_classes": 6}, "takes no classes", "num_classes"),
    ],
)
def test_what_a_pipeline_does_not_take_is_refused(name, settings, network, message, hint, request):
    with pytest.raises(ConfigError, match=message) as caught:
        sampler(request.getfixturevalue(name), settings, **network)
    assert hint in caught.value.hint


def test_a_folder_is_known_by_what_its_files_hold(consistency, tmp_path):
    copy = Path(shutil.copytree(consistency, tmp_path / "copy"))
    first = find_pipeline({"folder": str(consistency)}).sha256
    assert find_pipeline({"folder": str(copy)}).sha256 == first
    config = copy / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace('"num_train_timesteps": 40', '"num_train_timesteps": 41'))
    assert find_pipeline({"folder": str(copy)}).sha256 != first


def test_folders_that_hold_no_pipeline_are_refused(consistency, tmp_path):
    with pytest.raises(WeightsError, match=r"no model_index\.json"):
        find_pipeline({"folder": str(tmp_path)})
    copy = Path(shutil.copytree(consistency, tmp_path / "copy"))
    (copy / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(WeightsError, match="diffusers cannot load this pipeline"):
        sampler(copy, num_classes=6)


def test_a_safety_checker_is_not_even_loaded(stable_diffusion, tmp_path):
    """The index names one whose files are not there: only a loader that leaves it out succeeds."""
    copy = Path(shutil.copytree(stable_diffusion, tmp_path / "copy"))
    index = json.loads((copy / "model_index.json").read_text())
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    (copy / "model_index.json").write_text(json.dumps(index))
    assert sampler(copy).pipeline.safety_checker is None


def test_latents_are_decoded_one_by_one(stable_diffusion):
    made = sampler(stable_diffusion, {"num_inference_steps": 1})
    sizes = []
    made.pipeline.vae.decoder.register_forward_hook(lambda _module, given, _output: sizes.append(len(given[0])))
    made.sample_prompts(SeededNoise(SEEDS), ["a", "b", "c"])
    assert sizes == [1, 1, 1]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({}, "hub or folder"),
        ({"hub": "a/b", "folder": "c", "revision": "main"}, "hub or folder"),
        ({"hub": "a/b"}, "needs a revision"),
        ({"folder": "c", "revision": "main"}, "needs a revision"),
        ({"hub": "ab", "revision": "main"}, "hub"),
    ],
)
def test_a_card_names_one_place(network, message):
    with pytest.raises(ValidationError, match=message):
        PipelineSource(**network)


def test_two_schedules_are_refused():
    with pytest.raises(ValidationError, match="not both"):
        PipelineSettings(num_inference_steps=2, timesteps="22,0")


def test_a_variant_is_of_classes_or_of_prompts():
    given = {"summary": "x", "dataset": "x", "resolution": 8, "quantise": "half", "network": {"folder": "x"}}
    given |= {"presets": {"a": {}}, "default_preset": "a", "prompted": True}
    assert Variant(**given, classes=0).prompted
    with pytest.raises(ValidationError, match="prompted and 5 classes"):
        Variant(**given, classes=5)


def test_the_card_of_the_documentation_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0])
    runs = [make_run(load_card(path), "mine-512", preset, {}) for preset in ("steps4", "steps8")]
    assert [run.settings["num_inference_steps"] for run in runs] == [4, 8]
    named = set(re.findall(r"`(\w+)`", page.partition("**Settings**")[2].partition("- **")[0]))
    assert set(PipelineSettings.model_fields) <= named
