"""Markdown of generated pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GENERATED = "*Made from the code when this page was built.*"


def page(title: str, *parts: str) -> str:
    """A page of blocks, a blank line between."""
    return "\n\n".join([f"# {title}", GENERATED, *(part for part in parts if part)]) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, or nothing where there are no rows."""
    lines = [_row(cells) for cells in rows]
    return "\n".join([_row(headings), "|---" * len(headings) + "|", *lines]) if lines else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"


def code(text: object) -> str:
    """Text in a fixed font; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def prose(text: str | None) -> str:
    """A docstring's ``code`` as Markdown's, and angle brackets outside of code shown as they are."""
    pieces = (text or "").replace("``", "`").split("`")
    return "`".join(piece if index % 2 else piece.replace("<", "&lt;") for index, piece in enumerate(pieces))
