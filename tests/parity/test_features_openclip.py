"""open_clip's models by name, with a tiny architecture and random weights, against open_clip's own pipeline."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from PIL import Image
from torch import Tensor

from genbench.errors import UsageError, WeightsError
from genbench.features import openclip
from genbench.features.extractor import load_extractors
from genbench.features.precision import computing, lower, strict_float32
from genbench.features.spaces import get

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    open_clip = pytest.importorskip("open_clip", reason="the encoders extra is not installed")

TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}
NAME = "open-clip/ViT-B-32:openai"


def pictures(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> str:
    """A model that open_clip lists after this, and that takes a moment to build."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "genbench-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    return "genbench-tiny"


@pytest.fixture(scope="module")
def theirs(tiny) -> torch.nn.Module:
    torch.manual_seed(0)
    return open_clip.create_model(tiny, load_weights=False, force_quick_gelu=True).eval()


@pytest.fixture(scope="module")
def weights(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in theirs.state_dict().items()}}, path)
    return path


def test_embeddings_are_open_clips(tiny, theirs, weights):
    images = pictures(50, 70)
    transform = open_clip.image_transform(32, is_train=False)
    with torch.inference_mode(), strict_float32():
        x = torch.stack([transform(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images])
        expected = theirs.encode_image(x)
        network = openclip.build(tiny, weights, quick_gelu=True).visual
        found = openclip.OpenClipExtractor(network, transform)(images)["embedding"]
    assert found.shape == (3, 24)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def scripted(tensors: dict[str, Tensor]) -> torch.nn.Module:
    """A TorchScript module with these tensors under these names, as OpenAI's archives are."""
    root = torch.nn.Module()
    for name, tensor in tensors.items():
        *path, last = name.split(".")
        module = root
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, torch.nn.Module())
            module = getattr(module, part)
        module.register_buffer(last, tensor)
    return torch.jit.script(root)


def test_openais_archives_are_read_without_running_them(tiny, theirs, tmp_path):
    numbers = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates what OpenAI's files are
        scripted({k: v.half() for k, v in theirs.state_dict().items()} | numbers).save(tmp_path / "tiny.pt")
    found = openclip.build(tiny, tmp_path / "tiny.pt", quick_gelu=True).state_dict()
    assert found.keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(found[name], tensor.half().float())


def test_building_does_not_say_that_the_weights_are_random(tiny, weights, caplog):
    openclip.build(tiny, weights, quick_gelu=True)
    assert "No pretrained weights" not in caplog.text


def test_fast_is_near_exact(tiny, weights):
    images = pictures(50, 70)
    network = openclip.build(tiny, weights, quick_gelu=True).visual
    extractor = openclip.OpenClipExtractor(network, open_clip.image_transform(32, is_train=False))
    found = {}
    for precision in ("exact", "fast"):
        if precision == "fast":
            lower(network)
        with torch.inference_mode(), computing(precision, torch.device("cpu")):
            found[precision] = extractor(images)["embedding"]
    assert found["fast"].dtype == torch.float32
    assert 1e-4 < (found["fast"] - found["exact"]).norm() / found["exact"].norm() < 0.05


def test_prompts_share_the_space(tiny, theirs, weights):
    prompts = ["a photo of a cat", "two dogs"]
    tokenizer = open_clip.get_tokenizer(tiny)
    found = openclip.TextEncoder(openclip.build(tiny, weights, quick_gelu=True), tokenizer, "cpu")(prompts)
    with torch.inference_mode():
        expected = theirs.encode_text(tokenizer(prompts))
    assert found.shape == (2, 24)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_another_models_file_is_refused(tiny, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="does not hold open_clip's genbench-tiny"):
        openclip.build(tiny, path, quick_gelu=True)


def test_a_name_gives_a_space_with_address_and_digest(tmp_path):
    space = get(NAME)
    assert space.shape == (512,)
    # The SHA-256 that OpenAI publishes in the address itself.
    assert space.weights.sha256 == "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
    assert space.weights.sha256 in space.weights.url
    with pytest.raises(WeightsError, match=r"ViT-B-32--openai\.pt is not on this machine"):
        load_extractors([space], cache=tmp_path, offline=True)


def test_weights_without_a_published_digest_have_an_address():
    weights = get("open-clip/ViT-L-14:datacomp_xl_s13b_b90k").weights
    assert weights.sha256 is None
    assert weights.url.startswith("https://")
    assert weights.url.endswith("/resolve/main/open_clip_model.safetensors")


def test_an_unknown_tag_is_answered_with_those_of_the_model():
    with pytest.raises(UsageError, match="no 'ViT-B-32' with weights 'openia'") as caught:
        get("open-clip/ViT-B-32:openia")
    assert "open-clip/ViT-B-32:openai" in caught.value.hint
    with pytest.raises(UsageError, match="no 'ViT-B-33'") as caught:
        get("open-clip/ViT-B-33:openai")
    assert "open-clip/ViT-B-32:openai" in caught.value.hint
