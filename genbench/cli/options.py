"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genbench.paths import cache_path, results_path
from genbench.precision import Precision

ImagesArgument = Annotated[Path, typer.Argument(help="Folder, .zip, .tar, .npz, .npy or .parquet of images.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Threads that decode.")]
ResultsOption = Annotated[
    Path | None,
    typer.Option(
        "--results",
        help="Folder of records, or the address of one: s3://bucket/place …",
        show_default="results",
        parser=results_path,
        metavar="PATH",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder of features and weights, or an address: s3://bucket/place …",
        show_default="~/.cache/genbench",
        parser=cache_path,
        metavar="PATH",
    ),
]
RegistryOption = Annotated[Path | None, typer.Option("--registry", help="Folder of method cards, searched first.")]
SuitesOption = Annotated[Path | None, typer.Option("--suites", help="Folder of suites, searched first.")]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1 …", show_default="cuda if there is one, else cpu")
]
BatchOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images a batch; changes rounding alone.")]
AllowPickleOption = Annotated[
    bool,
    typer.Option(
        "--allow-pickle",
        help="Let weight files run code while they are read, if you trust them as you trust a program; the record "
        "says so.",
    ),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=2, help="Only so many images: a smoke test, kept out of leaderboards.")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="fast: networks in bfloat16; each value says by how much exact features of 256 images differ from it, "
        "and enters leaderboards of its own.",
    ),
]

FactorOption = Annotated[
    float,
    typer.Option("--factor", min=1.0, help="How much larger one value must be than the other before it matters."),
]
ConfidenceOption = Annotated[
    float, typer.Option("--confidence", min=0.5, max=0.999999, help="Of the intervals of differences.")
]


def device(option: str | None) -> str:
    """The device to compute on. Imports torch.

    Raises `UsageError` for one that torch does not know, this machine does not have, or that holds no values.
    """
    import torch

    from genbench.errors import UsageError

    if option is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=option).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise UsageError(
            f"--device {option}: {reason}", hint="`genbench show environment` lists the devices"
        ) from error
    return option
