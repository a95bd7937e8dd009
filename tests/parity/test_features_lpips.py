"""LPIPS against torch-fidelity's module, with the same random weights: the published ones need a download."""

from __future__ import annotations

import math

import pytest
import torch
import torch_fidelity.sample_similarity_lpips as peer
import torchvision
from torch import Tensor

from genbench.errors import FeatureError, WeightsError
from genbench.features import pairs, vgg
from genbench.features.extractor import load_extractors
from genbench.features.sketch import sketches
from genbench.features.spaces import VGG16, get
from genbench.weights import Located


def pictures(n: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(n * height + width)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def backbone() -> dict[str, Tensor]:
    """VGG-16's tensors under torchvision's names, of a variance that keeps activations alive to the last stage."""
    with torch.device("meta"):
        shapes = torchvision.models.vgg16().features.state_dict()
    generator = torch.Generator().manual_seed(0)
    return {
        f"features.{name}": torch.randn(tensor.shape, generator=generator) * math.sqrt(2 / max(tensor[0].numel(), 9))
        for name, tensor in shapes.items()
    }


@pytest.fixture(scope="module")
def heads() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    widths = enumerate((64, 128, 256, 512, 512))
    return {f"lin{k}.model.1.weight": torch.rand(1, width, 1, 1, generator=generator) for k, width in widths}


@pytest.fixture(scope="module")
def theirs(backbone, heads) -> torch.nn.Module:
    """torch-fidelity's module; its two downloads come from the test."""

    def vgg16() -> torch.nn.Module:
        network = torchvision.models.vgg16()
        network.features.load_state_dict({k.removeprefix("features."): v for k, v in backbone.items()})
        return network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "load_state_dict_from_url", lambda *_, **__: heads)
        patch.setattr(peer, "torchvision_load_pretrained_vgg16", vgg16)
        return peer.SampleSimilarityLPIPS("lpips-vgg16")


@pytest.fixture(scope="module")
def ours(backbone, heads) -> vgg.LpipsExtractor:
    return vgg.LpipsExtractor(vgg.build(backbone, heads, where="test"))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 33)])
def test_distances_are_torch_fidelitys(ours, theirs, height, width):
    images = pictures(4, height, width)
    with torch.inference_mode():
        expected = theirs(images[:2], images[2:]).flatten()
        found = ours.distance(images[:2], images[2:])
    assert found.shape == (2,)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_pairs_are_compared_with_the_weights_of_the_space(ours, backbone, heads, tmp_path):
    files = [tmp_path / name for name in ("vgg16.pth", "heads.pth")]
    for path, tensors in zip(files, (backbone, heads), strict=True):
        torch.save(tensors, path)
    space = get("vgg16-lpips/pairs")
    spec = (space.weights, *space.further)
    compare = pairs.LOADERS[space.name]([Located(f, path) for f, path in zip(spec, files, strict=True)], "cpu")
    images = pictures(4, 32, 32)
    found = pairs.PairExtractors({space.name: compare}, "cpu")(images[:2], images[2:])
    with torch.inference_mode():
        assert torch.equal(found[space.name][:, 0], ours.distance(images[:2], images[2:]))


def test_squared_distances_of_features_are_lpips(ours):
    images = pictures(4, 32, 32)
    with torch.inference_mode():
        features = ours(images)["embedding"]
        expected = ours.distance(images[:2], images[2:])
        assert features.shape == (4, 124_928)
        assert torch.allclose((features[:2] - features[2:]).square().sum(1), expected, rtol=1e-5)
        # The docstring's shortcut: mean over all pairs, from the variance alone.
        pairs = [ours.distance(images[[i]], images[[j]]) for i in range(4) for j in range(i)]
    assert torch.allclose(2 * features.var(0).sum(), torch.stack(pairs).mean(), rtol=1e-5)


def test_sketches_of_features_keep_lpips(ours):
    """15 distances, each within five deviations, of which the projections have √(2/8192) where they are even."""
    images = pictures(6, 32, 32)
    with torch.inference_mode():
        kept = sketches(ours(images)["embedding"])
        for i in range(6):
            for j in range(i):
                expected = ours.distance(images[[i]], images[[j]])
                found = (kept[i] - kept[j]).square().sum(1).mean()
                assert abs(float(found / expected) - 1) < 5 * (2 / 8192) ** 0.5


def test_an_image_is_at_distance_zero_from_itself(ours):
    images = pictures(2, 32, 32)
    with torch.inference_mode():
        assert torch.equal(ours.distance(images, images), torch.zeros(2))


def test_what_cannot_be_compared_is_refused(ours):
    with pytest.raises(FeatureError, match="in pairs"):
        ours.distance(pictures(2, 32, 32), pictures(1, 32, 32))
    with pytest.raises(FeatureError, match="at least 16, not 8x32"):
        ours(pictures(1, 8, 32))


def test_other_weights_are_refused(backbone, heads):
    with pytest.raises(WeightsError, match="do not hold VGG-16"):
        vgg.build({}, heads, where="test")
    with pytest.raises(WeightsError, match="negatively"):
        vgg.build(backbone, {name: -head for name, head in heads.items()}, where="test")


def test_offline_the_error_names_the_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=VGG16.file) as caught:
        load_extractors([get("vgg16-lpips")], cache=tmp_path, offline=True)
    assert VGG16.url in caught.value.hint
    assert VGG16.sha256 in caught.value.hint
