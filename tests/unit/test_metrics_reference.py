from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from genbench.errors import FeatureError, StoreError
from genbench.metrics.frechet import frechet_distance
from genbench.metrics.labels import Labels
from genbench.metrics.reference import Reference, fixed_subset

RNG = np.random.default_rng(0)
FEATURES = np.abs(RNG.standard_normal((300, 20))).astype(np.float32)
GENERATED = np.abs(RNG.standard_normal((250, 20)) * 1.1).astype(np.float32)


def reference(**options) -> Reference:
    settings = {"space": "toy", "space_digest": "a" * 64, "source": {"dataset": "made up"}}
    return Reference.from_features(FEATURES, **(settings | options))


def test_a_saved_reference_comes_back(tmp_path: Path) -> None:
    kept = reference(keep=40)
    kept.save(tmp_path / "new" / "toy.safetensors")
    loaded = Reference.load(tmp_path / "new" / "toy.safetensors", space="toy", space_digest="a" * 64)
    assert (loaded.n, loaded.n_features, loaded.width) == (300, 40, 20)
    assert loaded.source == {"dataset": "made up"}
    assert loaded.digest == kept.digest
    np.testing.assert_array_equal(loaded.mean, kept.mean)
    np.testing.assert_array_equal(loaded.cov, loaded.cov.T)
    np.testing.assert_allclose(loaded.cov, kept.cov, rtol=2**-24)
    np.testing.assert_array_equal(loaded.indices, fixed_subset(300, 40))
    np.testing.assert_allclose(loaded.features, FEATURES[loaded.indices], rtol=2**-11)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["toy.safetensors"]


def test_rounding_to_float32_moves_the_distance_by_less_than_one_in_a_million(tmp_path: Path) -> None:
    reference().save(tmp_path / "r")
    exact, stored = (frechet_distance(GENERATED, r).value for r in (reference(), Reference.load(tmp_path / "r")))
    assert stored == pytest.approx(exact, rel=1e-6)


def test_a_file_of_2048_wide_moments_is_at_most_nine_megabytes(tmp_path: Path) -> None:
    Reference("wide", "", 10, np.zeros(2048), np.eye(2048)).save(tmp_path / "r")
    assert (tmp_path / "r").stat().st_size < 9e6


@pytest.mark.parametrize("scale", [1e6, 1e-7])
def test_features_that_float16_cannot_hold_stay_float32(tmp_path: Path, scale: float) -> None:
    scaled = (FEATURES * scale).astype(np.float32)
    Reference.from_features(scaled, space="toy", space_digest="").save(tmp_path / "r")
    np.testing.assert_array_equal(Reference.load(tmp_path / "r").features, scaled)


def test_the_digest_covers_content_and_space_but_not_the_source() -> None:
    assert reference().digest == reference(source={"dataset": "renamed"}).digest
    others = [reference(keep=40), reference(keep=0), reference(space="b"), reference(space_digest="b" * 64)]
    assert len({reference().digest, *(other.digest for other in others)}) == 5


def test_labels_stay_with_the_features_that_are_kept(tmp_path: Path) -> None:
    labels = Labels(np.arange(300) % 3, ("birds", "cats & dogs", "naïve"))
    kept = reference(keep=40, labels=labels)
    kept.save(tmp_path / "r")
    loaded = Reference.load(tmp_path / "r")
    np.testing.assert_array_equal(loaded.labels.classes, fixed_subset(300, 40) % 3)
    assert loaded.labels.names == labels.names
    assert loaded.digest == kept.digest
    renamed = reference(keep=40, labels=labels._replace(names=("a", "b", "c")))
    assert len({kept.digest, renamed.digest, reference(keep=40).digest}) == 3
    assert reference(keep=0, labels=labels).labels is None


def test_a_reference_without_labels_has_the_digest_that_it_had_before_there_were_any() -> None:
    # Computed by the first release's `Reference.digest` of these arrays.
    zeros = Reference("toy", "b" * 64, 9, np.zeros(2), np.eye(2))
    assert zeros.digest == "59dd62f90fd79a61194bb281c759b7efdf21b1f1a332e20db3802fb27bf99b9b"


def test_packets_keep_the_covariance_within_each_alone(tmp_path: Path) -> None:
    kept = reference(packets=4, keep=0)
    assert (kept.packets, kept.cov.shape) == (4, (4, 5, 5))
    whole = np.cov(FEATURES.astype(np.float64), rowvar=False)
    for packet, start in enumerate(range(0, 20, 5)):
        np.testing.assert_allclose(kept.cov[packet], whole[start : start + 5, start : start + 5], rtol=1e-12)
    np.testing.assert_allclose(kept.mean, reference().mean, rtol=1e-14)
    kept.save(tmp_path / "r")
    loaded = Reference.load(tmp_path / "r")
    np.testing.assert_array_equal(loaded.cov, kept.cov.astype(np.float32))
    assert (loaded.digest, loaded.packets) == (kept.digest, 4)
    assert kept.digest not in {reference(keep=0).digest, reference(packets=2, keep=0).digest}
    tensors = kept._tensors() | {"cov_upper": np.zeros((0, 5), np.float32)}
    metadata = {"format": "genbench-reference", "version": "2", "space": "toy", "space_digest": "", "n": "300"}
    save_file(tensors, tmp_path / "damaged", metadata | {"source": "{}"})
    with pytest.raises(FeatureError, match=r"cov_upper has shape \(0, 5\) at width 20"):
        Reference.load(tmp_path / "damaged")


def test_a_whole_covariance_is_not_read_from_those_of_packets() -> None:
    for read in (lambda r: r.factor, lambda r: r.check_whole("fd@toy")):
        with pytest.raises(
            FeatureError, match="reads a whole covariance, and the toy reference has those of its 4"
        ) as e:
            read(reference(packets=4))
        assert "fwd" in e.value.hint
    with pytest.raises(FeatureError, match="20 coefficients are not 3 packets of one size"):
        reference(packets=3)
    with pytest.raises(FeatureError, match="cov not of width 3"):
        Reference("toy", "", 9, np.zeros(3), np.zeros((2, 1, 1)))


def test_the_fixed_subset_is_fixed() -> None:
    # Values of the first release: a change would move KD, precision and recall of every kept record.
    assert fixed_subset(100, 8).tolist() == EXPECTED_SUBSET
    assert fixed_subset(5, 8).tolist() == [0, 1, 2, 3, 4]
    assert fixed_subset(5, 0).tolist() == []


EXPECTED_SUBSET = [2, 3, 11, 13, 20, 53, 59, 92]


def test_another_space_is_refused_by_name(tmp_path: Path) -> None:
    reference().save(tmp_path / "r")
    with pytest.raises(FeatureError, match="is of feature space toy, but inception-tf"):
        Reference.load(tmp_path / "r", space="inception-tf")
    with pytest.raises(FeatureError, match=r"another toy \(digest a{12}\) .* \(digest b{12}\)"):
        Reference.load(tmp_path / "r", space="toy", space_digest="b" * 64)


def test_files_that_are_no_reference_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with pytest.raises(FeatureError, match="no such reference"):
        Reference.load(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(FeatureError, match="not a readable safetensors"):
        Reference.load(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(FeatureError, match="not a genbench-reference file"):
        Reference.load(path)
    reference().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FeatureError, match="not a readable safetensors"):
        Reference.load(path)


@pytest.mark.parametrize("missing", ["mean", "cov_upper", "indices"])
def test_a_file_without_an_array_is_damaged(tmp_path: Path, missing: str) -> None:
    whole = reference(keep=3)
    tensors = {name: tensor for name, tensor in whole._tensors().items() if name != missing}
    metadata = {"format": "genbench-reference", "version": "1", "space": "toy", "space_digest": "", "n": "300"}
    save_file(tensors, tmp_path / "r", metadata | {"source": "{}"})
    with pytest.raises(FeatureError, match=missing):
        Reference.load(tmp_path / "r")


def test_saving_where_nothing_can_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(StoreError, match="cannot be written"):
        reference().save(tmp_path / "file" / "r")
    assert (tmp_path / "file").read_text() == "kept"
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        reference().save(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_reference_needs_two_images_and_finite_features() -> None:
    for features in (FEATURES[:1], np.full((3, 2), np.nan, np.float32)):
        with pytest.raises(FeatureError, match="toy reference features"):
            Reference.from_features(features, space="toy", space_digest="")
    with pytest.raises(FeatureError, match="cov not of width 3"):
        Reference("toy", "", 9, np.zeros(3), np.eye(4))
