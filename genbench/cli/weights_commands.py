"""Commands that look after weight files: `weights convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

weights_app = typer.Typer(help="Look after weight files.", no_args_is_help=True)


@weights_app.callback()
def _weights() -> None:
    """A group although it has one command: `genbench weights convert`."""


@weights_app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="Weights in any form that genbench reads.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The safetensors file to write.", show_default=False)],
    *,
    entry: Annotated[
        str | None, typer.Option("--entry", help="Which state dict of a checkpoint that holds several, such as ema.")
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option("--allow-pickle", help="Let the file run code, if you trust it as you trust a program."),
    ] = False,
) -> None:
    """Write the tensors of a weight file as safetensors, which cannot hold code, and print the SHA-256 for a card.

    Pickled networks, as NVlabs releases them, are read without running what they hold and need no --allow-pickle.
    """
    from genbench.errors import UsageError
    from genbench.weights import convert as write

    if not file.is_file():
        raise UsageError(f"{file}: no such file", hint="name a weight file")
    typer.echo(f"{write(file, out, key=entry, allow_pickle=allow_pickle)}  {out}")
