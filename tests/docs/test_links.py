"""Links between the files that are read in a checkout; `mkdocs build --strict` checks those within the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "zoo/README.md"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: str) -> None:
    path = REPOSITORY / page
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((REPOSITORY / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_links_out_of_the_documentation_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((\.\./[^)#\s]+)", page.read_text(encoding="utf-8"))
    inside = REPOSITORY / "docs"
    targets = [(page.parent / link).resolve() for link in links]
    assert [target for target in targets if not target.is_relative_to(inside) and not target.exists()] == []


def test_what_pages_take_from_the_readme_is_there() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (REPOSITORY / "docs").rglob("*.md"))
    sections = re.findall(r'^--8<-- "README\.md:(.+)"$', text, re.MULTILINE)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert len(sections) >= 3
    for section in sections:
        start, end = (readme.index(f"<!-- --8<-- [{edge}:{section}] -->") for edge in ("start", "end"))
        assert start < end


def test_the_tests_of_every_promise_of_security_exist() -> None:
    rows = re.findall(
        r"^\| (.+) \| (.+) \| (.+) \|$", (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    promises = [tests for of, _, tests in rows if of != "of"]
    assert len(promises) >= 10
    known = {path.name for path in (REPOSITORY / "tests").rglob("test_*.py")}
    for tests in promises:
        named = re.findall(r"`(test_\w+\.py)`", tests)
        assert named, tests
        assert set(named) <= known
