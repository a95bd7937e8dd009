"""What mkdocs calls: the reference's pages join the written ones, and links into the repository lead to it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

from tools.reference import PAGES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_LINK = re.compile(r"\]\((\.\./[^)#\s]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave the folder of documentation, which work in a checkout, into links to the repository."""
    folder = PurePosixPath("docs") / PurePosixPath(page.file.src_uri).parent

    def follow(link: re.Match[str]) -> str:
        target = normpath(folder / link[1])
        return link[0] if target.startswith("docs/") else f"]({config.repo_url}/blob/main/{target}"

    return _LINK.sub(follow, markdown)
