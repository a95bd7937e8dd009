"""What must not change a number: the batch size, and the order in which shards are made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from genbench.cards import load_cards
from genbench.evaluation import Extraction, gather
from genbench.methods.runs import select
from genbench.protocol import load_protocol
from genbench.references import Shelf
from genbench.runner import Settings, blocks
from genbench.shards import ShardCache
from genbench.suites import find_suite

if TYPE_CHECKING:
    from tests.pipeline.conftest import Measured, World

RUN = "tiny@ode3-cfg2"


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batch_size_changes_no_number(measured: Measured, world: World, batch_size: int) -> None:
    """Against the batches of 64 of `measured`: rounding moves a pixel by a level at most, here and there."""
    world.run("tiny", "-m", RUN, "--batch-size", str(batch_size)).ok()
    (record,) = world.records()
    (other,) = (other for other in measured.world.records() if other.run and other.run.name == RUN)
    assert record.images.digest == other.images.digest

    def arrays(place: World, space: str) -> np.ndarray:
        (path,) = (place.features / record.images.digest).glob(f"{space}*/*.npy")
        return np.load(path).astype(np.float64)

    pixels, other_pixels = arrays(world, "preview"), arrays(measured.world, "preview")
    assert np.abs(pixels - other_pixels).max() <= 1
    assert (pixels != other_pixels).mean() <= 1e-4
    features, other_features = arrays(world, "effnet-lite0"), arrays(measured.world, "effnet-lite0")
    np.testing.assert_allclose(features, other_features, rtol=0, atol=1e-3 * np.abs(other_features).max())
    for ours, theirs in zip(record.measurements, other.measurements, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-4), ours.metric
        assert ours.stderr == pytest.approx(theirs.stderr, rel=1e-3), ours.metric


def test_the_order_of_shards_changes_nothing(world: World, tmp_path: Path) -> None:
    suite = find_suite("tiny", [world.suites])
    repository = Path(__file__).parents[2] / "registry"
    registry = [world.registry, repository]
    runs = select(load_cards([world.registry]), [RUN], {}, dataset=suite.dataset, resolution=suite.resolution)
    protocol = load_protocol(suite, Shelf(registry, tmp_path / "cache"))
    gathered = []
    for order in (1, -1):
        cache = tmp_path / f"cache{order}"
        settings = Settings(results=tmp_path / "results", cache=cache, registry=registry, shard_size=5)
        (block,) = blocks(protocol, runs, settings)
        plan = block.plan._replace(work=block.plan.work[::order])
        assert [work.shard.size for work in block.plan.work] == [5, 5, 5, 5, 4]
        extraction = Extraction(list(protocol.questions.spaces.values()), device="cpu", cache=cache)
        features = gather(block.subject, plan, extraction, ShardCache(cache), batch_size=64)
        files = {path.relative_to(cache): path.read_bytes() for path in cache.rglob("*.npy")}
        gathered.append((features.by_space["effnet-lite0"], files))
    (forward, files), (backward, other_files) = gathered
    np.testing.assert_array_equal(forward, backward)
    assert files == other_files
    assert len(files) == 6, "five shards of features and one of previews"
