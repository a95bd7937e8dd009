"""Image and text encoders of open_clip, by name: the space ``open-clip/MODEL:PRETRAINED``.

Whatever open_clip lists can be asked for; its package decides the architecture, the preparation of images and the
address of the weights, which `genbench show space` prints.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genbench.errors import UsageError, WeightsError, nearest
from genbench.features.optional import required
from genbench.features.pillow import pictures
from genbench.features.precision import strict_float32
from genbench.features.space import Space
from genbench.torchscript import is_torchscript
from genbench.weights import Located, WeightFile, load_tensors, locate

PREFIX = "open-clip/"
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI's archives keep beside the weights."""


class Pretrained(NamedTuple):
    """One of open_clip's models with one of its weights."""

    model: str
    tag: str
    config: Mapping[str, Any]
    """open_clip's entry: address, mean, std, interpolation, resize_mode, quick_gelu."""


def find_pretrained(name: str) -> Pretrained:
    """What ``open-clip/MODEL:PRETRAINED`` names.

    Raises `UsageError` if open_clip is not installed, or with the nearest names if it has no such model and weights.
    """
    open_clip = required("open_clip", by=name)
    model, _, tag = name.removeprefix(PREFIX).partition(":")
    known = {f"{m}:{t}" for m, t in open_clip.list_pretrained()}
    if f"{model}:{tag}" not in known:
        # Tags of the model come first: they are what is forgotten.
        close = [f"{model}:{t}" for t in open_clip.list_pretrained_tags_by_model(model)][:3]
        raise UsageError(
            f"open_clip has no {model!r} with weights {tag!r}",
            hint="did you mean "
            + " or ".join(
                f"{PREFIX}{other}" for other in close or nearest(f"{model}:{tag}", known) or sorted(known)[:3]
            )
            + "?",
        )
    return Pretrained(model, tag, open_clip.get_pretrained_cfg(model, tag))


def space(name: str) -> Space:
    """The space of that name: image embeddings, projected, not normalised.

    Raises `UsageError` as `find_pretrained` does.
    """
    model, tag, config = found = find_pretrained(name)
    open_clip = required("open_clip", by=name)
    architecture = open_clip.get_model_config(model)
    side = _side(architecture)
    return Space(
        name=name,
        extractor=name,
        layer="embedding",
        shape=(architecture["embed_dim"],),
        version=1,
        preprocessing=(
            f"open_clip's own: RGB uint8, {config.get('resize_mode') or 'shortest'} side to {side} by Pillow's "
            f"{config.get('interpolation') or 'bicubic'} and rounded, centre of {side}x{side}, v / 255, "
            f"mean {tuple(config.get('mean', ()))}, std {tuple(config.get('std', ()))}"
        ),
        weights=_weights(found),
        summary=f"open_clip's {model} with {tag} weights, projected image embedding",
        source="Radford et al. 2021 (arXiv:2103.00020); open_clip",
    )


def _side(architecture: Mapping[str, Any]) -> int:
    side = architecture["vision_cfg"].get("image_size", 224)
    return int(side if isinstance(side, int) else side[0])


def _weights(found: Pretrained) -> WeightFile:
    """The file by its published address; OpenAI's addresses carry the SHA-256, the others are pinned at first use."""
    url = found.config.get("url") or ""
    if not url:
        repository, _, file = found.config["hf_hub"].rpartition("/")
        url = f"https://huggingface.co/{repository}/resolve/main/{file or 'open_clip_model.safetensors'}"
    sha256 = re.search(r"/([0-9a-f]{64})/", url)
    return WeightFile(
        file=f"open_clip/{found.model}--{found.tag}{Path(url).suffix}".replace(":", "-"),
        sha256=sha256.group(1) if sha256 else None,
        url=url,
    )


class OpenClipExtractor:
    """uint8 images of any size to their embeddings."""

    def __init__(self, network: nn.Module, transform: Callable[[Any], Tensor]) -> None:
        self.network, self._transform = network, transform

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {embedding: (N, D)}."""
        x = torch.stack([self._transform(picture) for picture in pictures(images)]).to(images.device)
        return {"embedding": self.network(x).float()}


class TextEncoder:
    """Prompts to embeddings in the space of the same name: the other half of CLIP score."""

    def __init__(self, model: Any, tokenizer: Callable[[Sequence[str]], Tensor], device: torch.device | str) -> None:
        self._model, self._tokenizer, self._device = model, tokenizer, device

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """N prompts => float32 (N, D), not normalised; a prompt is cut at the model's context length."""
        with torch.inference_mode(), strict_float32():
            embedding: Tensor = self._model.encode_text(self._tokenizer(prompts).to(self._device))
        return embedding.float()


def load(
    name: str, files: Sequence[Located], _layers: Collection[str], device: torch.device | str
) -> OpenClipExtractor:
    """The extractor of that name; only the image half of the model is kept.

    Raises `UsageError` as `find_pretrained` does, `WeightsError` if the file does not hold the model.
    """
    ((_, path),) = files
    model, _, config = find_pretrained(name)
    open_clip = required("open_clip", by=name)
    transform = open_clip.image_transform(
        _side(open_clip.get_model_config(model)),
        is_train=False,
        mean=config.get("mean"),
        std=config.get("std"),
        resize_mode=config.get("resize_mode"),
        interpolation=config.get("interpolation"),
    )
    return OpenClipExtractor(build(model, path, quick_gelu=_quick(config)).visual.to(device), transform)


def load_text(
    name: str,
    *,
    cache: Path,
    device: torch.device | str = "cpu",
    extra_dirs: Sequence[Path] = (),
    offline: bool | None = None,
) -> TextEncoder:
    """The text half of the model of that name; raises what `load` and `weights.locate` raise."""
    found = find_pretrained(name)
    path = locate(_weights(found), cache=cache, extra_dirs=extra_dirs, offline=offline)
    model = build(found.model, path, quick_gelu=_quick(found.config)).to(device)
    return TextEncoder(model, required("open_clip", by=name).get_tokenizer(found.model), device)


def _quick(config: Mapping[str, Any]) -> bool:
    return bool(config.get("quick_gelu", False))


def build(model: str, path: Path, *, quick_gelu: bool) -> Any:
    """open_clip's model with the weights in `path`, in float32.

    Raises `WeightsError` if the file does not hold this model.
    """
    open_clip = required("open_clip", by=model)
    with _without_random_weights_warning():
        network = open_clip.create_model(model, load_weights=False, force_quick_gelu=quick_gelu)
    try:
        if is_torchscript(path):
            tensors = {k: v.float() for k, v in load_tensors(path).items() if k not in _NOT_WEIGHTS}
            network.load_state_dict(tensors)
        else:
            open_clip.load_checkpoint(network, str(path), weights_only=True)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: does not hold open_clip's {model} ({type(error).__name__}: {str(error)[:300]})",
            hint="delete it and fetch it again",
        ) from error
    return network.requires_grad_(False).eval()


@contextmanager
def _without_random_weights_warning() -> Iterator[None]:
    """open_clip warns that a model without weights is random; its weights come right after."""

    def others(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("No pretrained weights loaded")

    root = logging.getLogger()
    root.addFilter(others)
    try:
        yield
    finally:
        root.removeFilter(others)
