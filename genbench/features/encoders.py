"""The networks of `encoder_spaces`, as timm builds them, behind each convention's own preparation of images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from genbench.errors import WeightsError
from genbench.features import pillow
from genbench.features.optional import required
from genbench.features.resize import bicubic_antialiased
from genbench.weights import Located, load_tensors

Tensors = dict[str, Tensor]


class Normalisation(NamedTuple):
    """Mean and standard deviation of values of 0 to 1, by channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) => the same, centred and scaled."""
        mean = torch.tensor(self.mean, device=x.device).view(1, 3, 1, 1)
        return (x - mean) / torch.tensor(self.std, device=x.device).view(1, 3, 1, 1)


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def whole(images: Tensor, resample: Image.Resampling = pillow.BICUBIC) -> Tensor:
    """The whole picture, as it is: nothing is resampled yet."""
    return images


def adm256(images: Tensor, resample: Image.Resampling = pillow.BICUBIC) -> Tensor:
    """uint8 (N, 3, H, W) => (N, 3, 256, 256); only what is not 256x256 already is resized."""
    return pillow.adm_centre_crop(images, 256, resample)


def square336(images: Tensor, resample: Image.Resampling = pillow.BICUBIC) -> Tensor:
    """uint8 (N, 3, H, W) => (N, 3, 336, 336), the central square."""
    return pillow.centre_square(images, 336, resample)


def finish_dgm(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) => float32 (N, 3, 224, 224), rounded in between."""
    return IMAGENET(pillow.squash(images, 224).float() / 255)


def finish_edm2(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) => float32 (N, 3, 224, 224), neither rounded nor clamped."""
    return IMAGENET(bicubic_antialiased(images.float(), 224) / 255)


def finish_fdloss(images: Tensor, *, side: int, normalise: Normalisation) -> Tensor:
    """uint8 (N, 3, 256, 256) => float32 (N, 3, side, side)."""
    x = images.float() / 255
    return normalise(bicubic_antialiased(x, side) if side != 256 else x)


def finish_irepa(images: Tensor) -> Tensor:
    """uint8 (N, 3, 256, 256) => float32 (N, 3, 224, 224) by torch's bicubic, which skips pixels."""
    return functional.interpolate(IMAGENET(images.float() / 255), (224, 224), mode="bicubic")


def finish_cmmd(images: Tensor) -> Tensor:
    """uint8 (N, 3, 336, 336) => float32 of that size."""
    return OPENAI(images.float() / 255)


def read_cls(_: nn.Module, features: Tensor) -> Tensor:
    """(N, D): the class token after the last normalisation."""
    return features[:, 0]


def read_tokens(network: nn.Module, features: Tensor) -> Tensor:
    """(N, T, D): the patch tokens, or the places of the last grid, in raster order."""
    if features.ndim == 4:
        return features.flatten(2).mT
    prefix = network.num_prefix_tokens
    assert isinstance(prefix, int)
    return features[:, prefix:]


def read_mean(_: nn.Module, features: Tensor) -> Tensor:
    """(N, D): the mean over the last grid."""
    return features.float().mean((2, 3))


def read_pooled(network: nn.Module, features: Tensor) -> Tensor:
    """(N, D): by the network's own pool."""
    pooled: Tensor = network.forward_head(features)  # type: ignore[operator]
    return pooled


def read_embedding(network: nn.Module, features: Tensor) -> Tensor:
    """(N, D): projected, of unit length."""
    return functional.normalize(read_pooled(network, features).float(), dim=1)


LAYERS: Mapping[str, Callable[[nn.Module, Tensor], Tensor]] = MappingProxyType(
    {
        "cls": read_cls,
        "tokens": read_tokens,
        "mean": read_mean,
        "pooled": read_pooled,
        "embedding": read_embedding,
    }
)
"""Layers to how each is read from what the network's last block gives: (N, T, D) tokens, or an (N, D, H, W) grid."""


def hub_positions(tensors: Mapping[str, Tensor], *, grid: int = 16) -> Tensors:
    """DINOv2's tensors with its position embeddings brought from 37x37 to `grid` x `grid` as torch.hub's code does.

    That rule says (grid + 0.1) / 37 to torch's bicubic, which therefore samples at slightly other places than the
    sizes alone would give, and does not antialias.
    """
    positions = tensors["pos_embed"].float()
    side = round((positions.shape[1] - 1) ** 0.5)
    scale = (grid + 0.1) / side
    patches = positions[:, 1:].mT.reshape(1, -1, side, side)
    patches = functional.interpolate(patches, scale_factor=(scale, scale), mode="bicubic")
    return {**tensors, "pos_embed": torch.cat([positions[:, :1], patches.flatten(2).mT], 1)}


class Encoder(NamedTuple):
    """How one of the networks is built and fed."""

    architecture: str
    """timm's name of it."""
    options: Mapping[str, Any]
    frame: Callable[..., Tensor]
    """uint8 images, and Pillow's filter where it is not bicubic, to the part of the picture that is seen, in uint8."""
    finish: Callable[[Tensor], Tensor]
    """What `frame` gave to the network's input. All of it stays in sight, in its place."""
    adapt: Callable[[Mapping[str, Tensor]], Tensors] = dict
    """Applied to the file's tensors before timm's own conversion."""
    padding: int = 0
    """Rows and columns that the network itself adds at the bottom and the right, in pixels of the frame."""

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) of any size => float32 of the network's."""
        return self.finish(self.frame(images))

    def frame_masks(self, masks: Tensor) -> Tensor:
        """Boolean masks of pictures, (N, H, W) => (N, h, w): what the network sees of them, padding included.

        A pixel of the frame is True where True pixels take any of it, down to a five-hundredth: boxes do not bleed into
        their neighbours, as the images' bicubic does.
        """
        pixels = masks[:, None].expand(-1, 3, -1, -1).to(torch.uint8) * 255
        seen = self.frame(pixels, Image.Resampling.BOX)[:, 0] > 0
        return functional.pad(seen, (0, self.padding, 0, self.padding))


_PADDED = {"dynamic_img_size": True, "dynamic_img_pad": True}
_TO_266 = 10
"""From 256 to 19 patches of 14."""

ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "dinov2-l-dgm": Encoder("vit_large_patch14_dinov2", {"img_size": 224}, whole, finish_dgm, adapt=hub_positions),
        "dinov2-l-edm2": Encoder(
            "vit_large_patch14_dinov2", {"img_size": 224}, whole, finish_edm2, adapt=hub_positions
        ),
        "dinov2-l-fdloss": Encoder(
            "vit_large_patch14_dinov2",
            _PADDED,
            adm256,
            partial(finish_fdloss, side=256, normalise=IMAGENET),
            padding=_TO_266,
        ),
        "dinov2-b-reg": Encoder("vit_base_patch14_reg4_dinov2", {"img_size": 224}, adm256, finish_irepa),
        "clip-l14-336": Encoder("vit_large_patch14_clip_quickgelu_336", {"num_classes": 768}, square336, finish_cmmd),
        "clip-l14": Encoder(
            "vit_large_patch14_clip_224",
            _PADDED,
            adm256,
            partial(finish_fdloss, side=256, normalise=OPENAI),
            padding=_TO_266,
        ),
        "convnextv2-b": Encoder("convnextv2_base", {}, adm256, partial(finish_fdloss, side=224, normalise=IMAGENET)),
        "mae-l": Encoder("vit_large_patch16_224", {}, adm256, partial(finish_fdloss, side=224, normalise=IMAGENET)),
        "siglip2-so400m": Encoder(
            "vit_so400m_patch16_siglip_256",
            {"img_size": 224},
            adm256,
            partial(finish_fdloss, side=224, normalise=HALF),
        ),
    }
)
"""Extractor names to how each is made."""


def frame_masks(extractor: str, masks: Tensor) -> Tensor:
    """Boolean masks of pictures, (N, H, W) => (N, h, w): the part that the extractor sees of images of their size.

    Extractors that are none of `ENCODERS` see the whole picture.
    """
    encoder = ENCODERS.get(extractor)
    return masks if encoder is None else encoder.frame_masks(masks)


class EncoderExtractor:
    """uint8 images of any size to the layers asked for of an encoder."""

    def __init__(self, network: nn.Module, encoder: Encoder, layers: Collection[str]) -> None:
        self.network, self._encoder, self._layers = network, encoder, frozenset(layers)

    def __call__(self, images: Tensor) -> Tensors:
        """uint8 (N, 3, H, W) => float32 {layer: (N, *shape)}."""
        features: Tensor = self.network.forward_features(self._encoder.prepare(images))  # type: ignore[operator]
        return {layer: LAYERS[layer](self.network, features).float() for layer in self._layers}


def load(name: str, files: Sequence[Located], layers: Collection[str], device: torch.device | str) -> EncoderExtractor:
    """The extractor of that name.

    Raises `UsageError` if timm is not installed, `WeightsError` if the file does not hold the network.
    """
    ((_, path),) = files
    network = build(name, load_tensors(path), where=str(path))
    return EncoderExtractor(network.to(device), ENCODERS[name], layers)


def build(name: str, tensors: Mapping[str, Tensor], *, where: str, **overrides: Any) -> nn.Module:
    """timm's network with `tensors`, in float32; `overrides` go to timm's factory (``depth=1``).

    Raises `UsageError` if timm is not installed, `WeightsError`, naming `where`, if tensors are missing, left over or
    of other shapes.
    """
    timm = required("timm", by=name)
    encoder = ENCODERS[name]
    options = {"num_classes": 0, **encoder.options, **overrides}
    with torch.device("meta"):
        network: nn.Module = timm.create_model(encoder.architecture, pretrained=False, **options)
    try:
        state = _converted(encoder.adapt(tensors), network, headless=not options["num_classes"])
        network.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{where}: does not hold {encoder.architecture} ({type(error).__name__}: {str(error)[:300]})",
            hint=f"`genbench show space {name}` names the published file",
        ) from error
    return network.requires_grad_(False).eval()


def _converted(tensors: Tensors, network: nn.Module, *, headless: bool) -> Tensors:
    """The file's tensors under timm's names, by timm's own rules; classifier heads are dropped where none is read."""
    module = required(type(network).__module__, by="encoders")
    state: Tensors = module.checkpoint_filter_fn(tensors, network)
    heads = ("head.fc.", "head.weight", "head.bias") if headless else ()
    return {name: tensor.float() for name, tensor in state.items() if not (heads and name.startswith(heads))}
