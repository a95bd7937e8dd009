"""What the zoo is trained on: the train split of emoji32, and an encoder's tokens of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genbench.console import note
from genbench.digest import digest, digest_bytes
from genbench.evaluation import Extraction
from genbench.features import spaces
from genbench.files import write_atomically
from genbench.images import emoji32
from genbench.methods.latents.codebook import QuantisedAutoencoder
from genbench.methods.var.quantiser import MultiScaleQuantiser
from genbench.paths import cache_folder
from zoo.alignment import pooled
from zoo.objectives import Codes

ENCODER = "effnet-lite0/tokens"
BLOCK = 64


class Data(NamedTuple):
    """Training images (N, 3, H, W) float32 in [-1, 1], labels (N,), and what tokens are aligned with, if anything."""

    images: Tensor
    labels: Tensor
    targets: Tensor | None = None
    """(N, T, D) float16."""
    codes: Codes | None = None
    """Of a tokenizer, where those are learned."""

    @property
    def null(self) -> int:
        """The label that stands for none: one above the classes."""
        return int(self.labels.max()) + 1


def training_data() -> Data:
    """The train split of emoji32."""
    split = emoji32.load("train")
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Data(images, torch.from_numpy(split.labels))


def encoder_tokens(images: npt.NDArray[np.uint8], folder: Path, side: int) -> Tensor:
    """EfficientNet-Lite0's stride-16 tokens of images (N, H, W, 3) on a grid of `side`: (N, side², 112) float16.

    The feature space ``effnet-lite0/tokens`` (images upsampled to 224 pixels, 14x14 tokens), averaged over the cells
    of the coarser grid. Computed once, and kept in `folder` under the identity of images, space and grid.
    """
    space = spaces.get(ENCODER)
    identity = digest({"images": digest_bytes(images.tobytes()), "space": space.digest, "side": side})
    path = folder / f"{identity[:16]}.safetensors"
    if not path.exists():
        note(f"tokens of {len(images)} images: {path}")
        extraction = Extraction([space], device="cpu", cache=cache_folder(None))
        blocks = torch.split(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), BLOCK)
        tokens = torch.cat([pooled(extraction(block)[ENCODER], side).half() for block in blocks])
        write_atomically(path, save({"tokens": tokens}))
    return load_file(path)["tokens"]


@torch.inference_mode()
def codes(autoencoder: QuantisedAutoencoder[MultiScaleQuantiser], images: Tensor) -> Codes:
    """Images (N, 3, H, W) as a multi-scale tokenizer codes them."""
    found = [autoencoder.quantize(autoencoder.features(part)).indices for part in torch.split(images, BLOCK)]
    inputs = [autoencoder.quantize.inputs(part) for part in found]
    return Codes(torch.cat(found).clone(), torch.cat(inputs).clone())


def batch_indices(seed: int, step: int, batch: int, size: int) -> npt.NDArray[np.int64]:
    """The images of one step: consecutive places in an endless sequence of shuffled epochs."""
    first, chosen = step * batch, np.empty(0, np.int64)
    while len(chosen) < batch:
        epoch, start = divmod(first + len(chosen), size)
        order = np.random.default_rng([seed, epoch]).permutation(size)
        chosen = np.concatenate([chosen, order[start : start + batch - len(chosen)]])
    return chosen
