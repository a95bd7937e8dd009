"""The reference of the documentation, made from the code when the site is built.

markdown    tables and headings
types       types in words
commands    commands with their options, and exit codes
metrics     statistics, short names and feature spaces
models      keys of cards, suites and presets, from pydantic models and the docstrings of their fields
registry    the methods and suites that come with genbench
store       tables and views, from the comments of the SQL files
hooks       what mkdocs calls
"""

from tools.reference.commands import commands, exit_codes
from tools.reference.metrics import metrics, spaces
from tools.reference.models import cards, presets, suites
from tools.reference.registry import registry
from tools.reference.store import tables

PAGES = {
    "reference/commands.md": commands,
    "reference/exit-codes.md": exit_codes,
    "reference/metrics.md": metrics,
    "reference/spaces.md": spaces,
    "reference/cards.md": cards,
    "reference/presets.md": presets,
    "reference/suites.md": suites,
    "reference/registry.md": registry,
    "reference/store.md": tables,
}
"""What makes each page, by its path in the site."""
