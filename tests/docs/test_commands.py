"""Every command line of the README and of the documentation names a command that there is, with options it takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tools.reference.commands import every_command

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")), REPOSITORY / "zoo" / "README.md"]
COMMANDS = {name: {option for p in command.params for option in p.opts} for name, command in every_command()}


def command_lines(page: Path) -> list[str]:
    """Lines of code blocks that begin with genbench, after what a shell reads before it; words of prose cut off."""
    blocks = re.findall(r"^```(?:console|bash)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    found = [re.match(r"(?:\$ )?(?:.*&& )?(?:[A-Z_]+=\S+ )*(?:uv run )?genbench (.*)", line) for line in lines]
    return [re.split(r" {3,}", match[1])[0] for match in found if match]


@pytest.mark.parametrize("page", [page for page in PAGES if command_lines(page)], ids=lambda page: page.stem)
def test_command_lines_can_be_typed(page: Path) -> None:
    for line in command_lines(page):
        words = shlex.split(line)
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
        assert name, f"{page}: genbench {line}"
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= COMMANDS[name] | {"--help"}, f"{page}: genbench {line}"


def test_the_readmes_first_command_is_among_them() -> None:
    assert "run quick" in command_lines(REPOSITORY / "README.md")
