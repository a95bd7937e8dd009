"""The distance between the images of two runs, from what a suite left in the cache."""

import csv
import io
import shutil

import numpy as np
import pytest

from genbench.metrics.frechet import frechet_distance_of_moments
from genbench.metrics.moments import Moments
from genbench.shards import Shard, ShardCache

RUNS = ("tiny@ode2", "tiny@ode3-cfg2")


def compared(world, genbench, *arguments):
    return genbench("compare", *RUNS, "--images", *arguments, "--results", world.results, "--cache", world.cache)


def test_the_distance_is_that_of_the_cached_features(measured_copy, genbench):
    answer = compared(measured_copy, genbench, "--format", "csv").ok()
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(answer.out))}
    by_run = {record.run.name: record for record in measured_copy.records()}
    features = []
    for name in RUNS:
        (shard,) = (measured_copy.features / by_run[name].images.digest).glob("effnet-lite0-*/*.npy")
        features.append(np.load(shard))
    expected = frechet_distance_of_moments(*(Moments.from_features(f, "test") for f in reversed(features)))
    assert float(rows["fd@effnet-lite0"]["value"]) == pytest.approx(expected, rel=1e-6)
    assert rows["fd@effnet-lite0"]["n"] == "24"


def test_features_that_are_gone_are_told(measured_copy, genbench):
    shutil.rmtree(measured_copy.features)
    error, hint = compared(measured_copy, genbench).problem(2)
    assert "no longer in the cache" in error
    assert "the same command" in hint


def test_shards_that_other_runs_left_beside_them_are_not_mixed_in(measured_copy, genbench):
    expected = compared(measured_copy, genbench, "--format", "csv").ok().out
    for record in measured_copy.records():
        for space in (measured_copy.features / record.images.digest).glob("*-*"):
            cache = ShardCache(measured_copy.cache)
            (shard,) = cache.shards(record.images.digest, space.name)
            first = cache.read(record.images.digest, space.name, shard)[:5]
            cache.write(record.images.digest, space.name, Shard(shard.first, 5), first)
    assert compared(measured_copy, genbench, "--format", "csv").ok().out == expected
