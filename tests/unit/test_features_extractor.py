"""Extractors: what they accept, what they share, and that an image's features are its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage import data as skimage_data
from sklearn.datasets import load_sample_image

from genbench.errors import FeatureError, WeightsError
from genbench.features import effnet, inception
from genbench.features.extractor import CPU_BLOCK, Extractors, Reading, load_extractors
from genbench.features.precision import strict_float32
from genbench.features.spaces import EFFICIENTNET_LITE0, INCEPTION_BACKBONE, INCEPTION_WITH_HEAD, get
from genbench.tokens.correlogram import correlograms
from genbench.tokens.layout import layouts
from genbench.weights import WeightFile, load_tensors, locate

OFFLINE = tuple(
    get(name)
    for name in ("inception-tf", "inception-tf/spatial", "effnet-lite0", "effnet-lite0/logits", "effnet-lite0/tokens")
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def extractors(cache) -> Extractors:
    return load_extractors(OFFLINE, cache=cache, offline=True)


@pytest.fixture(scope="module")
def backbone(cache) -> dict[str, torch.Tensor]:
    return load_tensors(locate(INCEPTION_BACKBONE, cache=cache, offline=True))


@pytest.fixture(scope="module")
def lite0(cache) -> dict[str, torch.Tensor]:
    return load_tensors(locate(EFFICIENTNET_LITE0, cache=cache, offline=True))


def pictures(n: int, side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    coarse = torch.rand(n, 3, 4, 4, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 255).to(torch.uint8)


def with_head(backbone: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The offline backbone under torch-fidelity's names, and a head, as the published file with head has them."""
    with torch.device("meta"):
        network = inception.Inception(head=False)
    ours = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Conv2d)]
    theirs = [name.removesuffix(".weight") for name in backbone if name.endswith(".weight")]
    tensors = {"fc.weight": torch.randn(1008, 2048), "fc.bias": torch.randn(1008)}
    for name, old in zip(ours, theirs, strict=True):
        tensors[f"{name}.conv.weight"] = backbone[f"{old}.weight"]
        tensors[f"{name}.bn.weight"] = torch.ones_like(backbone[f"{old}.beta"])
        tensors[f"{name}.bn.bias"] = backbone[f"{old}.beta"]
        tensors[f"{name}.bn.running_mean"] = backbone[f"{old}.mean"]
        tensors[f"{name}.bn.running_var"] = backbone[f"{old}.var"]
    return tensors


def test_every_space_has_the_shape_that_it_declares(extractors):
    features = extractors(pictures(2))
    assert features.keys() == {space.name for space in OFFLINE}
    for space in OFFLINE:
        assert features[space.name].shape == (2, *space.shape)
        assert features[space.name].dtype == torch.float32
        assert features[space.name].isfinite().all()


def test_the_other_inception_conventions_need_no_download(cache):
    spaces = [get(name) for name in ("inception-clean", "inception-torch", "inception-aa")]
    features = load_extractors(spaces, cache=cache, offline=True)(pictures(2, side=400))
    assert {name: tuple(values.shape) for name, values in features.items()} == {s.name: (2, 2048) for s in spaces}
    assert not torch.equal(features["inception-torch"], features["inception-aa"])


def test_an_image_does_not_see_its_batch(extractors):
    images = pictures(CPU_BLOCK + 2)
    together = extractors(images)
    alone = [extractors(image.unsqueeze(0)) for image in images[:: len(images) - 1]]
    for space in OFFLINE:
        batch = together[space.name][:: len(images) - 1]
        single = torch.cat([features[space.name] for features in alone])
        # Only rounding differs: float32 sums are taken in another order for another batch size.
        assert (batch - single).abs().max() < 1e-5 * batch.abs().max()


def test_the_same_batch_gives_the_same_bits(extractors):
    images = pictures(3)
    first, second = extractors(images), extractors(images)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_no_images_give_no_features(extractors):
    features = extractors(pictures(2)[:0])
    assert all(features[space.name].shape == (0, *space.shape) for space in OFFLINE)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 8, 8),
        torch.zeros(2, 8, 8, 3, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 1, 8, 8, dtype=torch.uint8),
    ],
    ids=["float", "NHWC", "one image", "grey"],
)
def test_other_images_than_uint8_rgb_nchw_are_refused(extractors, images):
    with pytest.raises(FeatureError, match="uint8 images"):
        extractors(images)


def test_one_pass_of_a_network_serves_all_its_spaces():
    class Counting:
        network = None
        calls = 0

        def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            self.calls += 1
            return {"pool3": images.float().mean((2, 3)), "spatial": images.float().flatten(1)}

    counting = Counting()
    both = Extractors([Reading(counting, (get("inception-tf"), get("inception-tf/spatial")))], "cpu")
    features = both(pictures(3, side=8))
    assert counting.calls == 1
    assert features["inception-tf"].shape == (3, 3)
    assert features["inception-tf/spatial"].shape == (3, 192)


def test_tokens_are_kept_as_correlograms_and_layouts(cache, extractors):
    spaces = [get("effnet-lite0/correlogram"), get("effnet-lite0/layout")]
    images = pictures(CPU_BLOCK + 2)
    tokens = extractors(images)["effnet-lite0/tokens"]
    kept = load_extractors(spaces, cache=cache, offline=True)(images)
    assert kept.keys() == {space.name for space in spaces}
    for space, reduce in zip(spaces, (correlograms, layouts), strict=True):
        assert kept[space.name].shape == (len(images), *space.shape)
        assert kept[space.name].dtype == torch.float32
        assert torch.allclose(kept[space.name], reduce(tokens).float(), atol=1e-6)


def test_a_layer_alone_is_the_layer_among_others(backbone, lite0):
    images = pictures(2)
    with torch.inference_mode():
        for network, module in (
            (inception.build(backbone, where="test"), inception),
            (effnet.build(lite0, where="test"), effnet),
        ):
            x = module.preprocess(images)
            layers = module.LAYERS - ({"logits"} if module is inception else set())
            everything = network(x, layers)
            for layer in layers:
                alone = network(x, {layer})
                assert alone.keys() == {layer}
                assert torch.equal(alone[layer], everything[layer])


def test_fast_is_another_space_near_the_exact_one(cache):
    spaces = [get("inception-tf"), get("effnet-lite0")]
    fast = load_extractors(spaces, cache=cache, offline=True, precision="fast")
    assert [space.precision for space in fast.spaces] == ["fast", "fast"]
    assert {space.digest for space in fast.spaces}.isdisjoint(space.digest for space in spaces)
    exact = load_extractors(spaces, cache=cache, offline=True)(pictures(3))
    found = fast(pictures(3))
    assert found["inception-tf"].dtype == torch.float32
    off = (found["inception-tf"] - exact["inception-tf"]).norm() / exact["inception-tf"].norm()
    # bfloat16 has 8 bits: above float32's rounding, and below what tells two pictures apart.
    assert 1e-4 < off < 0.06
    # Lite0 loses too much in bfloat16 and stays as it is.
    assert torch.equal(found["effnet-lite0"], exact["effnet-lite0"])


def test_the_images_are_prepared_in_float32_for_the_fast_network_too():
    with torch.autocast("cpu", torch.bfloat16):
        inside = inception.preprocess(pictures(1, side=64))
    assert torch.equal(inside, inception.preprocess(pictures(1, side=64)))


def test_precision_settings_are_left_as_they_were():
    torch.set_float32_matmul_precision("high")
    before = torch.backends.cudnn.allow_tf32
    try:
        with strict_float32():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_logits_without_the_file_that_has_the_head_say_which_file_has_it(cache):
    with pytest.raises(FeatureError, match="has no classifier head") as caught:
        load_extractors([get("inception-tf"), get("inception-tf/logits")], cache=cache, offline=True)
    assert INCEPTION_WITH_HEAD.file in str(caught.value)
    assert INCEPTION_WITH_HEAD.url in caught.value.hint


def test_logits_of_a_network_without_head_are_refused(backbone):
    with pytest.raises(FeatureError, match="has no classifier head"):
        inception.InceptionExtractor(inception.build(backbone, where="test"), {"logits"})


def test_the_file_with_head_carries_the_same_backbone(backbone):
    tensors = with_head(backbone)
    network = inception.build(tensors, where="test")
    inception.check_backbone(network, where="test")
    layers = {"pool3", "logits"}
    with torch.inference_mode():
        features = inception.InceptionExtractor(network, layers)(pictures(2))
        ours = inception.InceptionExtractor(inception.build(backbone, where="test"), {"pool3"})(pictures(2))
    assert torch.equal(features["pool3"], ours["pool3"])
    # Without the bias, as Inception Score takes its logits.
    expected = features["pool3"] @ tensors["fc.weight"].T
    assert (features["logits"] - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_changed_backbone_is_refused(backbone, tmp_path):
    tensors = with_head(backbone)
    tensors["Mixed_7c.branch_pool.bn.bias"] = tensors["Mixed_7c.branch_pool.bn.bias"] + 0.01
    path = tmp_path / "weights.pth"
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match="its backbone is not the one"):
        inception.load(WeightFile(path.name), path, {"pool3"}, "cpu")


@pytest.mark.parametrize("build", [inception.build, effnet.build])
def test_another_networks_file_is_refused_by_name(build):
    with pytest.raises(WeightsError, match=r"some\.pth: does not hold"):
        build({"conv.weight": torch.zeros(2, 2)}, where="some.pth")


def test_lite0_is_the_published_network(lite0):
    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(lite0)
    ours = effnet.build(lite0, where="test")
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs.eval()(x)
        grid = theirs.extract_features(x)
        found = ours(x, effnet.LAYERS)
    assert (found["logits"] - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (found["pooled"] - grid.mean((2, 3))).abs().max() < 1e-5 * grid.mean((2, 3)).abs().max()


def test_tokens_are_the_last_block_at_stride_16_in_raster_order(lite0):
    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(lite0)
    seen = {}
    theirs._blocks[effnet.TOKEN_BLOCK].register_forward_hook(lambda *call: seen.update(grid=call[2]))
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs.eval()(x)
        tokens = effnet.build(lite0, where="test")(x, {"tokens"})["tokens"]
    expected = seen["grid"][0]
    assert expected.shape == (112, 14, 14)
    assert (tokens[0, 14 * 3 + 5] - expected[:, 3, 5]).abs().max() < 1e-5 * expected.abs().max()
    assert theirs._blocks[effnet.TOKEN_BLOCK + 1]._depthwise_conv.stride == [2, 2]


def bundled(name: str) -> np.ndarray:
    if name.endswith(".jpg"):
        return load_sample_image(name)
    with Image.open(Path(skimage_data.__file__).with_name(name)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea.png", {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
        ("coffee.png", {967}),  # espresso
        ("camera.png", {872}),  # tripod
        ("flower.jpg", {985}),  # daisy; it is a dahlia, which ImageNet has not
    ],
)
def test_lite0_sees_what_is_in_the_picture(extractors, name, classes):
    picture = torch.from_numpy(bundled(name).copy()).permute(2, 0, 1).unsqueeze(0)
    logits = extractors(picture)["effnet-lite0/logits"][0]
    assert int(logits.argmax()) in classes


def test_a_space_of_pairs_is_not_read_from_single_images(cache):
    with pytest.raises(FeatureError, match="pixels/psnr is read from an image together with its original") as caught:
        load_extractors([get("effnet-lite0"), get("pixels/psnr")], cache=cache, offline=True)
    assert "--originals" in caught.value.hint
