"""Malformed input of every kind that genbench reads: refused in two lines with exit code 2, never a traceback.

``pytest tests/fuzz --fuzz 10000`` gives as many; each is named by its kind, the seed and its number.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import images, results, texts
from tests.fuzz.campaign import Target, carry_out
from tests.pipeline.conftest import World, make_world

TARGETS = (
    Target("card", 12, texts.card),
    Target("preset", 4, texts.preset),
    Target("suite", 10, texts.suite),
    Target("decoder", 4, texts.decoder),
    Target("figures", 5, texts.figures),
    Target("prompts", 5, texts.prompts),
    Target("query", 5, texts.query),
    Target("record", 10, results.record),
    Target("baseline", 3, results.baseline),
    Target("picture", 9, images.picture),
    Target("container", 12, images.container),
    Target("masks", 3, images.masks),
    Target("statistics", 3, images.published_statistics),
    Target("reference", 3, images.reference_file),
    Target("weights", 10, images.weights),
    Target("vectors", 2, images.vectors),
)
assert sum(target.share for target in TARGETS) == 100


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Sound files for all inputs."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_malformed_input_is_refused_in_two_lines(
    target: Target,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    inputs = request.config.getoption("--fuzz") * target.share // 100
    tally = carry_out(target, inputs, request.config.getoption("--fuzz-seed"), tmp_path, world)
    assert not tally.wrong, f"{len(tally.wrong)} of {inputs}:\n\n" + "\n\n".join(tally.wrong[:5])
    assert tally.refused == inputs
    assert not list(tmp_path.iterdir()), "an input wrote outside its folder"
