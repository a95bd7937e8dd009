"""The Inception spaces against the peers that define them, with the same weights."""

from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path

import cleanfid.inception_pytorch
import numpy as np
import pytest
import torch
from cleanfid.resize import make_resizer
from torch import Tensor
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchmetrics.image.fid import NoTrainInceptionV3

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
def named(tensors) -> dict[str, Tensor]:
    """The offline backbone under the peers' names, its convolutions taken in order; the head is zero."""
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
    return state


@pytest.fixture(scope="module")
def weights(named, tmp_path_factory) -> str:
    path = Path(tmp_path_factory.mktemp("theirs")) / "weights.pth"
    torch.save(named, path)
    return str(path)


@pytest.fixture(scope="module")
def theirs(weights) -> FeatureExtractorInceptionV3:
    """torch-fidelity's module, whose graph is clean-fid's."""
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=weights)


@pytest.fixture(scope="module")
def torchmetrics_(weights) -> torch.nn.Module:
    """torchmetrics' whole extractor, resize included."""
    return NoTrainInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=weights)


@pytest.fixture(scope="module")
def pytorch_fids(named) -> torch.nn.Module:
    """pytorch-fid's module, as clean-fid carries it; its weights come from the test instead of from the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleanfid.inception_pytorch, "load_state_dict_from_url", lambda *_, **__: named)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The parameter 'pretrained' is deprecated", UserWarning)
            warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
            return cleanfid.inception_pytorch.InceptionV3(resize_input=False).eval()


@pytest.fixture(scope="module")
def network(tensors) -> inception.Inception:
    return inception.build(tensors, where="test")


@pytest.fixture(scope="module")
def ours(network) -> inception.InceptionExtractor:
    return inception.InceptionExtractor(network, {"pool3", "spatial"})


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


def pool3(theirs: FeatureExtractorInceptionV3, x: Tensor) -> Tensor:
    """torch-fidelity's graph from the network's input on: its `forward` would resize once more."""
    for name in (
        *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
        *("MaxPool_2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"),
        *("Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
    ):
        x = getattr(theirs, name)(x)
    return x.flatten(1)


def prepared(network: inception.Inception, space: str, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return inception.InceptionExtractor(network, {"pool3"}, inception.PREPROCESSING[space])(images)["pool3"]


PIPELINE_SIZES = [(32, 32), (256, 256), (500, 333)]


@pytest.mark.parametrize(("height", "width"), PIPELINE_SIZES)
def test_inception_clean_is_clean_fids_pipeline(network, theirs, height, width):
    images = pictures(height, width)
    resize = make_resizer("PIL", False, "bicubic", (299, 299))
    resized = np.stack([resize(image.permute(1, 2, 0).numpy()) for image in images])
    with torch.inference_mode():
        expected = pool3(theirs, (torch.from_numpy(resized).permute(0, 3, 1, 2) - 128) / 128)
    # Pillow rounds its weights and both of its passes to float32 in another order.
    found = prepared(network, "inception-clean", images)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("height", "width"), PIPELINE_SIZES)
def test_inception_torch_is_pytorch_fids_pipeline(network, pytorch_fids, height, width):
    images = pictures(height, width)
    # pytorch-fid: ToTensor gives v / 255, then its module resizes and maps to -1..1 (clean-fid's copy only maps).
    resized = functional.interpolate(images.float() / 255, (299, 299), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        expected = pytorch_fids(resized)[0].flatten(1)
    found = prepared(network, "inception-torch", images)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("height", "width"), PIPELINE_SIZES)
def test_inception_aa_is_torchmetrics_pipeline(network, torchmetrics_, height, width):
    images = pictures(height, width)
    with torch.inference_mode():
        expected = torchmetrics_(images)
    found = prepared(network, "inception-aa", images)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_four_conventions_are_four(network):
    images = pictures(500, 333)
    found = {space: prepared(network, space, images) for space in inception.PREPROCESSING}
    scale = found["inception-tf"].abs().max()
    for one, other in combinations(found.values(), 2):
        assert (one - other).abs().max() > 0.01 * scale
