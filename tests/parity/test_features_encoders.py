"""Encoders with random weights against the peers' own pipelines: their preparation of images, and timm's modules.

The published weights need a download; what is checked here is all that stands between them and a feature. Networks
have their full width and one block.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from genbench.errors import WeightsError
from genbench.features import encoders
from genbench.features.encoders import ENCODERS, EncoderExtractor
from genbench.features.precision import computing, lower, strict_float32
from genbench.features.spaces import get

timm = pytest.importorskip("timm", reason="the encoders extra is not installed")
transforms = pytest.importorskip("torchvision.transforms")

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def pictures(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * width)
    coarse = torch.rand(2, 3, 9, 9, generator=generator) * 255
    smooth = functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + torch.randn(smooth.shape, generator=generator) * 8).clamp(0, 255).to(torch.uint8)


def pil(images: Tensor) -> list[Image.Image]:
    return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


def randomised(network: nn.Module) -> nn.Module:
    """Random everywhere: what starts at zero or one would hide a mistake."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        scale = 1 / max(parameter[0].numel(), 1) ** 0.5 if parameter.ndim > 1 else 0.2
        scale = 0.5 if "pos_embed" in name or "token" in name else scale
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale
        if parameter.ndim == 1 and name.endswith(("weight", "gamma")):
            parameter.data += 1
    return network.eval().requires_grad_(False)


def shallow(architecture: str, **options: object) -> nn.Module:
    depth = {"depths": (1, 1, 1, 1)} if "convnext" in architecture else {"depth": 1}
    return randomised(timm.create_model(architecture, pretrained=False, **depth, **options))


def ours(name: str, tensors: dict[str, Tensor], images: Tensor, layer: str | None = None) -> Tensor:
    """The layer asked for, or else that of the space called `name`."""
    depth = {"depths": (1, 1, 1, 1)} if "convnext" in name else {"depth": 1}
    network = encoders.build(name, tensors, where="test", **depth)
    extractor = EncoderExtractor(network, ENCODERS[name], {layer or get(name).layer})
    with torch.inference_mode(), strict_float32():
        ((_, features),) = extractor(images).items()
    return features


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def metas_names(network: nn.Module) -> dict[str, Tensor]:
    """A timm DINOv2's tensors as Meta's file has them; its registers and class token stand apart from positions."""
    tensors = dict(network.state_dict()) | {"mask_token": torch.zeros(1, network.embed_dim)}
    if "reg_token" in tensors:
        generator = torch.Generator().manual_seed(3)
        first = torch.randn(1, 1, network.embed_dim, generator=generator)
        tensors["register_tokens"] = tensors.pop("reg_token")
        tensors["cls_token"] = tensors["cls_token"] - first
        tensors["pos_embed"] = torch.cat([first, tensors["pos_embed"]], 1)
    return tensors


def hub_cls(network: nn.Module, x: Tensor) -> Tensor:
    """The class token as torch.hub's DINOv2 computes it at 224 pixels, from its 37x37 grid of positions."""
    tokens = torch.cat([network.cls_token.expand(len(x), -1, -1), network.patch_embed.proj(x).flatten(2).mT], 1)
    grid = network.pos_embed[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, scale_factor=((16 + 0.1) / 37, (16 + 0.1) / 37), mode="bicubic")
    positions = torch.cat([network.pos_embed[:, :1], grid.permute(0, 2, 3, 1).reshape(1, 256, -1)], 1)
    return network.norm(network.blocks(tokens + positions))[:, 0]


@pytest.fixture(scope="module")
def dinov2() -> nn.Module:
    return shallow("vit_large_patch14_dinov2", num_classes=0, dynamic_img_size=True, dynamic_img_pad=True)


def test_dinov2_l_dgm_is_dgm_evals_pipeline(dinov2):
    images = pictures(180, 260)
    squashed = [np.asarray(p.resize((224, 224), Image.Resampling.BICUBIC)) for p in pil(images)]
    x = torch.stack([transforms.Normalize(MEAN, STD)(transforms.ToTensor()(image.copy())) for image in squashed])
    with torch.inference_mode():
        expected = hub_cls(dinov2, x)
    close(ours("dinov2-l-dgm", metas_names(dinov2), images), expected, 1e-5)


def test_dinov2_l_edm2_is_edm2s_pipeline(dinov2):
    images = pictures(180, 260)
    x = functional.interpolate(images.float(), (224, 224), mode="bicubic", antialias=True) / 255
    with torch.inference_mode():
        expected = hub_cls(dinov2, transforms.Normalize(MEAN, STD)(x))
    close(ours("dinov2-l-edm2", metas_names(dinov2), images), expected, 1e-5)


def test_dinov2_l_fdloss_is_timms_padded_network_at_256(dinov2):
    images = pictures(256, 256)
    with torch.inference_mode():
        x = transforms.Normalize(MEAN, STD)(images.float() / 255)
        expected, tokens = dinov2(x), dinov2.forward_features(x)[:, 1:]
    close(ours("dinov2-l-fdloss", metas_names(dinov2), images), expected, 1e-5)
    assert tokens.shape[1:] == get("dinov2-l-fdloss/tokens").shape
    close(ours("dinov2-l-fdloss", metas_names(dinov2), images, "tokens"), tokens, 1e-5)


def test_dinov2_b_reg_gives_patch_tokens_as_irepa_reads_them():
    network = shallow("vit_base_patch14_reg4_dinov2", num_classes=0, dynamic_img_size=True)
    images = pictures(256, 256)
    x = functional.interpolate(transforms.Normalize(MEAN, STD)(images.float() / 255), (224, 224), mode="bicubic")
    with torch.inference_mode():
        expected = network.forward_features(x)[:, 5:]  # one class token, four registers
    assert expected.shape == (2, 256, 768)
    close(ours("dinov2-b-reg", metas_names(network), images), expected, 1e-5)


@pytest.mark.parametrize(
    ("name", "architecture", "mean", "std"),
    [
        ("mae-l", "vit_large_patch16_224", MEAN, STD),
        ("convnextv2-b", "convnextv2_base", MEAN, STD),
        ("siglip2-so400m", "vit_so400m_patch16_siglip_256", (0.5,) * 3, (0.5,) * 3),
    ],
)
def test_fdr6_networks_at_224_are_timms(name, architecture, mean, std):
    at_224 = {"dynamic_img_size": True} if "siglip" in name else {}
    network = shallow(architecture, num_classes=0, **at_224)
    images = pictures(256, 256)
    x = functional.interpolate(images.float() / 255, (224, 224), mode="bicubic", antialias=True)
    x = transforms.Normalize(mean, std)(x)
    with torch.inference_mode():
        expected = network.forward_features(x).mean((2, 3)) if "convnext" in name else network(x)
    classifier = {"head.fc.weight": torch.zeros(1000, 1024)} if "convnext" in name else {}
    close(ours(name, network.state_dict() | classifier, images), expected, 1e-5)
    with torch.inference_mode():
        grid = network.forward_features(x)
    tokens = grid.permute(0, 2, 3, 1).flatten(1, 2) if "convnext" in name else grid[:, -14 * 14 :]
    assert tokens.shape[1:] == get(f"{name}/tokens").shape
    close(ours(name, network.state_dict() | classifier, images, "tokens"), tokens, 1e-5)


def openais_names(network: nn.Module) -> dict[str, Tensor]:
    """A timm CLIP's tensors as OpenAI's file has them, in its float16."""
    swaps = (
        ("patch_embed.proj", "conv1"),
        ("norm_pre", "ln_pre"),
        ("blocks.", "transformer.resblocks."),
        ("norm1", "ln_1"),
        ("norm2", "ln_2"),
        ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    )
    tensors = {}
    for name, tensor in network.state_dict().items():
        new = {"norm.weight": "ln_post.weight", "norm.bias": "ln_post.bias", "pos_embed": "positional_embedding"}.get(
            name, name
        )
        for theirs, old in swaps:
            new = new.replace(theirs, old)
        tensors[f"visual.{new}"] = tensor.half()
    tensors["visual.class_embedding"] = tensors.pop("visual.cls_token").flatten()
    tensors["visual.positional_embedding"] = tensors["visual.positional_embedding"][0]
    tensors["visual.proj"] = tensors.pop("visual.head.weight").T
    tensors.pop("visual.head.bias")
    return tensors


def halved(network: nn.Module) -> nn.Module:
    """Weights as float16 can hold them, computed with in float32."""
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()
    network.head.bias.data.zero_()
    return network


def test_clip_l14_336_is_cmmds_pipeline():
    network = halved(shallow("vit_large_patch14_clip_quickgelu_336", num_classes=768))
    images = pictures(200, 300)
    squares = [p.crop((50, 0, 250, 200)).resize((336, 336), Image.Resampling.BICUBIC) for p in pil(images)]
    x = torch.stack([transforms.Normalize(CLIP_MEAN, CLIP_STD)(transforms.ToTensor()(p)) for p in squares])
    with torch.inference_mode():
        embedding = network(x)
    found = ours("clip-l14-336", openais_names(network), images)
    close(found, embedding / embedding.norm(dim=1, keepdim=True), 1e-5)
    tokens = ours("clip-l14-336", openais_names(network), images, "tokens")
    assert tokens.shape[1:] == get("clip-l14-336/tokens").shape


def test_clip_l14_is_timms_class_token_before_projection():
    options = {"num_classes": 768, "dynamic_img_size": True, "dynamic_img_pad": True}
    network = halved(shallow("vit_large_patch14_clip_224", **options))
    images = pictures(256, 256)
    with torch.inference_mode():
        x = transforms.Normalize(CLIP_MEAN, CLIP_STD)(images.float() / 255)
        expected = network.forward_features(x)[:, 0]
    close(ours("clip-l14", openais_names(network), images), expected, 1e-5)


def test_fast_is_near_exact(dinov2):
    images = pictures(224, 224)
    exact = ours("dinov2-l-edm2", metas_names(dinov2), images)
    network = encoders.build("dinov2-l-edm2", metas_names(dinov2), where="test", depth=1)
    lower(network)
    extractor = EncoderExtractor(network, ENCODERS["dinov2-l-edm2"], {"cls"})
    with torch.inference_mode(), computing("fast", torch.device("cpu")):
        fast = extractor(images)["cls"]
    assert fast.dtype == torch.float32
    assert 1e-4 < (fast - exact).norm() / exact.norm() < 0.03


def test_another_networks_file_is_refused_by_name(dinov2):
    with pytest.raises(WeightsError, match=r"some\.pth: does not hold vit_large_patch16_224"):
        encoders.build("mae-l", metas_names(dinov2), where="some.pth", depth=1)
