"""The command `validate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench.cli.options import RegistryOption
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption
from genbench.errors import UsageError, unknown
from genbench.paths import data_folders
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.cards import DecoderCard, MethodCard


def validate(
    card: Annotated[
        str | None, typer.Argument(help="A method or a decoder, or the path of a method's card.", show_default=False)
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every card of the registry, decoders too.")] = False,
    vectors: Annotated[
        list[Path] | None,
        typer.Option(
            "--vectors", help="Replay a folder of reference vectors, or a full-size network's JSON file; repeatable."
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
    registry: RegistryOption = None,
) -> int:
    """Check method cards without their weights, or replay vectors that the authors' code made.

    Exits with 1 when a check fails or a result differs by more than its bound, 1e-4·max(1, largest reference).
    """
    if (card is not None) + every + bool(vectors) != 1:
        raise UsageError(
            "give a card, --all, or --vectors", hint="genbench validate sit, genbench validate --all, or --vectors DIR"
        )
    if vectors:
        return _vectors(vectors, form)
    folders = data_folders("registry", registry)
    methods, decoders = _chosen(card, folders)
    return _cards(methods, decoders, folders, form)


def _vectors(folders: list[Path], form: Format) -> int:
    from genbench.methods.vectors import replay

    compared = [(folder.name, c) for folder in folders for c in replay(folder)]
    rows = [
        (folder, c.name, c.difference, c.bound, "ok" if c.agrees else "FAIL", c.draws_left or None)
        for folder, c in compared
    ]
    print_rows(("vectors", "case", "difference", "bound", "result", "draws_left"), rows, form)
    return 0 if all(c.agrees for _, c in compared) else 1


def _chosen(name: str | None, folders: Sequence[Path]) -> tuple[list[MethodCard], list[DecoderCard]]:
    from genbench.cards import decoder_files, load_card, load_cards, load_decoder, variants

    if name is not None and name.endswith(".toml"):
        return [load_card(Path(name))], []
    cards, decoders = load_cards(folders), decoder_files(folders)
    if name is None:
        return list(cards.values()), [load_decoder(decoder, folders) for decoder in decoders]
    if name in decoders:
        return [], [load_decoder(name, folders)]
    if name not in cards:
        variant, known = name.partition("@")[0], variants(cards)
        if variant in known:
            method = known[variant][0].method.id
            raise UsageError(f"{variant} is a variant of card {method}", hint=f"`genbench validate {method}`")
        raise unknown("method or decoder", name, [*cards, *decoders], lister="genbench list methods")
    if cards[name].method.unavailable:
        raise cards[name].refusal()
    return [cards[name]], []


def _cards(methods: list[MethodCard], decoders: list[DecoderCard], registries: Sequence[Path], form: Format) -> int:
    from genbench.validate import validate as check
    from genbench.validate import validate_decoder

    folders = [folder / "manifests" for folder in registries]
    findings = [(card.method.id, finding) for card in methods for finding in check(card, folders)]
    findings += [("decoder", validate_decoder(card, folders)) for card in decoders]
    answers = {True: "ok", False: "FAIL", None: "-"}
    rows = [(method, f.variant, f.check, answers[f.passed], f.detail) for method, f in findings]
    print_rows(("method", "variant", "check", "result", "detail"), rows, form)
    return 1 if any(f.passed is False for _, f in findings) else 0
