"""Records of a toy world, for tests of what is made of records; a small network of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import pytest

from genbench.methods.catalog import Sampler
from genbench.provenance import Provenance
from genbench.records import (
    ContributionFacts,
    Costs,
    ImageFacts,
    MeasurementFacts,
    Record,
    ReferenceFacts,
    RunFacts,
    SuiteFacts,
    write_record,
)

PROVENANCE = Provenance(
    genbench="0",
    python="3",
    packages={},
    commit=None,
    dirty=None,
    platform="p",
    processor="c",
    cores=1,
    threads=1,
    device="cpu",
    tf32=False,
    deterministic=True,
    argv=[],
)

Values = Mapping[str, tuple[float, float | None]]
"""Value and standard error by metric."""


class Add(Protocol):
    """Writes a record and returns its path."""

    def __call__(
        self,
        results: Path,
        number: int,
        run: str | None,
        values: Values,
        *,
        suite: str | None = "quick",
        suite_digest: str = "5" * 64,
        block: int = 0,
        n: int = 256,
        limited: bool = False,
        precision: Literal["exact", "fast"] = "exact",
        deviation: float | None = None,
        contributions: tuple[ContributionFacts, ...] = (),
        costs: Mapping[str, Any] | None = None,
        images: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Path: ...


@pytest.fixture
def add() -> Add:
    """Record `number`, written `number` days after the first; `changes` are fields of the record."""
    return _add


def _add(
    results: Path,
    number: int,
    run: str | None,
    values: Values,
    *,
    suite: str | None = "quick",
    suite_digest: str = "5" * 64,
    block: int = 0,
    n: int = 256,
    limited: bool = False,
    precision: Literal["exact", "fast"] = "exact",
    deviation: float | None = None,
    contributions: tuple[ContributionFacts, ...] = (),
    costs: Mapping[str, Any] | None = None,
    images: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    image_facts = {"source": "sampler" if run else "pictures", "digest": f"images of {number}", "n": n}
    record = Record(
        id=f"20250101T000000Z-{number:08x}",
        created=datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number),
        kind="run" if run else "score",
        limited=limited,
        block=block,
        suite=SuiteFacts(id=suite, digest=suite_digest) if suite else None,
        run=_run(run) if run else None,
        images=ImageFacts(**image_facts | {"first_seed": block * 1_000_000 if run else None} | dict(images or {})),
        reference=ReferenceFacts(name="toy", sha256={}, n={}),
        spaces={},
        precision=precision,
        measurements=tuple(
            _measurement(metric, value, stderr, n, deviation) for metric, (value, stderr) in values.items()
        ),
        contributions=contributions,
        costs=Costs(**{"nfe": 50, "seconds_per_image": 0.01234, "wall_seconds": 1.0} | dict(costs or {})),
        provenance=PROVENANCE.model_copy(update=dict(provenance or {})),
    )
    return write_record(record.model_copy(update=changes), results)


def _run(name: str) -> RunFacts:
    variant, _, preset = name.partition("@")
    return RunFacts(
        name=name,
        method="toy",
        variant=variant,
        preset=preset,
        digest="a" * 64,
        given={},
        settings={},
        weights_sha256=None,
    )


def _measurement(metric: str, value: float, stderr: float | None, n: int, deviation: float | None) -> MeasurementFacts:
    statistic, _, space = metric.partition("@")
    return MeasurementFacts(
        metric=metric,
        statistic=statistic,
        space=space,
        version=1,
        direction="higher" if statistic == "precision" else "lower",
        value=value,
        stderr=stderr,
        n=n,
        n_reference=1000,
        deviation=deviation,
        deviation_n=None if deviation is None else 128,
    )


class Hosted(NamedTuple):
    """A consistency network as diffusers has it, and the arguments of the same one here."""

    unet: Any
    network: dict[str, Any]


@pytest.fixture(scope="session")
def hosted() -> Hosted:
    """One of six classes, small, of random weights."""
    import torch
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=16,
        layers_per_block=1,
        num_class_embeds=6,
        block_out_channels=(32, 64),
        attention_head_dim=16,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        resnet_time_scale_shift="scale_shift",
        attn_norm_num_groups=32,
        downsample_type="resnet",
        upsample_type="resnet",
    )
    network = {"image_size": 16, "num_channels": 32, "num_res_blocks": 1, "channel_mult": (1, 2)}
    return Hosted(unet, {**network, "attention_resolutions": (8,), "num_head_channels": 16, "num_classes": 6})


@pytest.fixture
def flipped() -> Callable[[Sampler], int]:
    """Counts, of a small sampler of codes of five classes, the images of eight that are others when sampled alone.

    A draw that lies on the border of two codes may fall to either side, by the rounding of another batch size.
    """
    import torch

    from genbench.methods.noise import SeededNoise

    def count(made: Sampler) -> int:
        labels = torch.arange(8) % 5
        whole = made.sample(SeededNoise(range(8)), labels)
        assert (whole.shape, whole.dtype) == ((8, 4, 4, 4), torch.float32)
        assert not torch.allclose(whole[0], whole[5], atol=1e-2), "of one class, but of other seeds"
        alone = torch.cat([made.sample(SeededNoise([i]), labels[i : i + 1]) for i in range(8)])
        return sum(not torch.allclose(a, b, atol=1e-4) for a, b in zip(alone, whole, strict=True))

    return count
