"""inception-tf against torch-fidelity's module with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from genbench.features import inception
from genbench.features.resize import tf1_bilinear
from genbench.features.spaces import INCEPTION_BACKBONE
from genbench.weights import load_tensors, locate

SIZES = [(32, 32), (64, 64), (256, 256), (299, 299), (500, 333)]


def pictures(height: int, width: int) -> Tensor:
    """One noise image, the worst case for a resize, and one smooth one."""
    generator = torch.Generator().manual_seed(height * width)
    noise = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8, generator=generator)
    coarse = torch.rand(1, 3, 5, 5, generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").to(torch.uint8)
    return torch.cat([noise, smooth])


@pytest.fixture(scope="module")
def tensors(tmp_path_factory) -> dict[str, Tensor]:
    return load_tensors(locate(INCEPTION_BACKBONE, cache=tmp_path_factory.mktemp("cache"), offline=True))


@pytest.fixture(scope="module")
def theirs(tensors, tmp_path_factory) -> FeatureExtractorInceptionV3:
    """torch-fidelity's module with the offline backbone, its convolutions taken in order; the head stays random."""
    with torch.device("meta"):
        network = inception.Inception(head=False)
    ours = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Conv2d)]
    old = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    state = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    for name, prefix in zip(ours, old, strict=True):
        state[f"{name}.conv.weight"] = tensors[f"{prefix}.weight"]
        state[f"{name}.bn.weight"] = torch.ones_like(tensors[f"{prefix}.beta"])
        state[f"{name}.bn.bias"] = tensors[f"{prefix}.beta"]
        state[f"{name}.bn.running_mean"] = tensors[f"{prefix}.mean"]
        state[f"{name}.bn.running_var"] = tensors[f"{prefix}.var"]
        state[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    path = Path(tmp_path_factory.mktemp("theirs")) / "weights.pth"
    torch.save(state, path)
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))


@pytest.fixture(scope="module")
def ours(tensors) -> inception.InceptionExtractor:
    return inception.InceptionExtractor(inception.build(tensors, where="test"), {"pool3", "spatial"})


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_features_are_torch_fidelitys(ours, theirs, height, width):
    seen: dict[str, Tensor] = {}
    hook = theirs.Mixed_6d.branch1x1.register_forward_hook(lambda *call: seen.update(branch=call[2]))
    images = pictures(height, width)
    with torch.inference_mode():
        (pool3,) = theirs(images)
        features = ours(images)
    hook.remove()
    # Tensor.flatten walks (row, column, channel) here: the layout of TensorFlow's mixed_6/conv:0.
    spatial = seen["branch"][:, :7].permute(0, 2, 3, 1).flatten(1)
    assert spatial.shape == (2, 2023)
    assert (features["pool3"] - pool3).abs().max() <= 1e-5 * pool3.abs().max()
    assert (features["spatial"] - spatial).abs().max() <= 1e-5 * spatial.abs().max()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_resize_is_torch_fidelitys(height, width):
    images = pictures(height, width).float()
    expected = interpolate_bilinear_2d_like_tensorflow1x(images, size=(299, 299), align_corners=False)
    # Grey levels of 0 to 255: float32 rounding of a sum of four products.
    assert (tf1_bilinear(images, 299) - expected).abs().max() < 1e-4
