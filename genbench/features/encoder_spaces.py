"""Feature spaces of networks that need a download: DINOv2, CLIP, ConvNeXt-V2, MAE and SigLIP 2. Imports no torch.

One network under several names is several spaces: what is done to an image before it moves FD-DINOv2 more than
most models differ by.
"""

from __future__ import annotations

import dataclasses

from genbench.features.space import Space
from genbench.weights import WeightFile

DINOV2_L = WeightFile(
    file="dinov2_vitl14_pretrain.pth",
    sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
    licence="Apache-2.0",
)
"""Meta's ViT-L/14, from which timm's lvd142m file is converted."""

DINOV2_B_REG = WeightFile(
    file="dinov2_vitb14_reg4_pretrain.pth",
    sha256="73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth",
    licence="Apache-2.0",
)

CLIP_L14 = WeightFile(
    file="ViT-L-14.pt",
    sha256="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
    url=(
        "https://openaipublic.azureedge.net/clip/models/"
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt"
    ),
    licence="MIT",
)
"""OpenAI's release, in float16; its address carries its SHA-256."""

CLIP_L14_336 = WeightFile(
    file="ViT-L-14-336px.pt",
    sha256="3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
    url=(
        "https://openaipublic.azureedge.net/clip/models/"
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt"
    ),
    licence="MIT",
)


def _timm(name: str, licence: str) -> WeightFile:
    """timm's own conversion; no digest is published, so it is pinned at first use."""
    return WeightFile(
        file=f"{name}.safetensors",
        url=f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors",
        licence=licence,
    )


CONVNEXTV2_B = _timm("convnextv2_base.fcmae_ft_in22k_in1k", "CC-BY-NC-4.0")
MAE_L = _timm("vit_large_patch16_224.mae", "CC-BY-NC-4.0")
SIGLIP2_SO400M = _timm("vit_so400m_patch16_siglip_256.v2_webli", "Apache-2.0")

_IMAGENET = "ImageNet mean and std"
_HUB = "position embeddings by torch.hub's rule (bicubic, offset 0.1, not antialiased)"
_ADM256 = "ADM's centre crop to 256x256 on uint8, v / 255"
_FDR = "Yang et al. 2026 (arXiv:2604.28190), FDr^6; its own figures were taken under bfloat16 autocast"
_OPENAI = "OpenAI's mean and std"


def _encoder(
    name: str, layer: str, shape: tuple[int, ...], preprocessing: str, weights: WeightFile, summary: str, source: str
) -> Space:
    return Space(
        name=name,
        extractor=name,
        layer=layer,
        shape=shape,
        version=1,
        preprocessing=preprocessing,
        weights=weights,
        summary=summary,
        source=source,
    )


def _tokens(space: Space, side: int, width: int) -> Space:
    """The patch tokens behind a space that reads one vector of them."""
    return dataclasses.replace(
        space,
        name=f"{space.name}/tokens",
        layer="tokens",
        shape=(side * side, width),
        summary=f"{side}x{side} tokens in raster order, of the network of {space.name}",
    )


_VECTORS = (
    _encoder(
        "dinov2-l-dgm",
        "cls",
        (1024,),
        f"RGB uint8, squashed to 224x224 by Pillow's bicubic and rounded, v / 255, {_IMAGENET}; {_HUB}",
        DINOV2_L,
        "DINOv2 ViT-L/14 class token, behind Pillow's rounded bicubic (dgm-eval)",
        "Stein et al. 2023 (arXiv:2306.04675), dgm-eval",
    ),
    _encoder(
        "dinov2-l-edm2",
        "cls",
        (1024,),
        f"RGB uint8 to float32, squashed to 224x224 by antialiased bicubic, not clamped, v / 255, {_IMAGENET}; {_HUB}",
        DINOV2_L,
        "DINOv2 ViT-L/14 class token, behind torch's float bicubic (EDM2's default)",
        "Karras et al. 2024 (arXiv:2312.02696), EDM2's FD-DINOv2",
    ),
    _encoder(
        "dinov2-l-fdloss",
        "cls",
        (1024,),
        (
            f"{_ADM256}, {_IMAGENET}, zeros at the right and the bottom to 266x266 (19x19 tokens); position "
            "embeddings by timm's rule (bicubic, antialiased)"
        ),
        DINOV2_L,
        "DINOv2 ViT-L/14 class token at 256 pixels (FD-loss, fd_evaluator)",
        _FDR,
    ),
    _encoder(
        "clip-l14-336",
        "embedding",
        (768,),
        f"RGB uint8, largest central square, Pillow's bicubic to 336x336 and rounded, v / 255, {_OPENAI}",
        CLIP_L14_336,
        "CLIP ViT-L/14 at 336 pixels, projected, of unit length (CMMD)",
        "Jayasumana et al. 2024 (arXiv:2401.09603), CMMD",
    ),
    _encoder(
        "clip-l14",
        "cls",
        (1024,),
        (
            f"{_ADM256}, {_OPENAI}, zeros at the right and the bottom to 266x266 (19x19 tokens); position embeddings "
            "by timm's rule (bicubic, antialiased); GELU as timm has it, not OpenAI's QuickGELU"
        ),
        CLIP_L14,
        "CLIP ViT-L/14 class token before projection, as FDr^6 reads it (GELU)",
        _FDR,
    ),
    _encoder(
        "convnextv2-b",
        "mean",
        (1024,),
        f"{_ADM256}, 224x224 by antialiased bicubic, not clamped, {_IMAGENET}",
        CONVNEXTV2_B,
        "ConvNeXt-V2-B, mean of the last 7x7 grid before its normalisation (FDr^6)",
        _FDR,
    ),
    _encoder(
        "mae-l",
        "cls",
        (1024,),
        f"{_ADM256}, 224x224 by antialiased bicubic, not clamped, {_IMAGENET}",
        MAE_L,
        "MAE ViT-L/16 class token (FDr^6)",
        _FDR,
    ),
    _encoder(
        "siglip2-so400m",
        "pooled",
        (1152,),
        (
            f"{_ADM256}, 224x224 by antialiased bicubic, not clamped, 2v - 1; position embeddings by timm's rule "
            "(bicubic, antialiased)"
        ),
        SIGLIP2_SO400M,
        "SigLIP 2 So400m/16, attention pool (FDr^6)",
        _FDR,
    ),
)

_DINOV2_B_REG = _encoder(
    "dinov2-b-reg",
    "tokens",
    (256, 768),
    (
        f"{_ADM256}, {_IMAGENET}, resized to 224x224 by bicubic (a = -0.75) without antialiasing; position "
        "embeddings by timm's rule (bicubic, antialiased)"
    ),
    DINOV2_B_REG,
    "DINOv2 ViT-B/14 with registers, 16x16 patch tokens in raster order (spatial metrics)",
    "Singh et al. 2025 (arXiv:2512.10794), iREPA's encoders",
)

_GRIDS = {
    "dinov2-l-dgm": (16, 1024),
    "dinov2-l-edm2": (16, 1024),
    "dinov2-l-fdloss": (19, 1024),
    "clip-l14-336": (24, 1024),
    "clip-l14": (19, 1024),
    "convnextv2-b": (7, 1024),
    "mae-l": (14, 1024),
    "siglip2-so400m": (14, 1152),
}
"""Side of each network's last grid, and how wide its tokens are."""

ENCODER_SPACES = (*_VECTORS, _DINOV2_B_REG, *(_tokens(space, *_GRIDS[space.name]) for space in _VECTORS))
