"""A report as a folder: every page, what pages share, and nothing of an earlier report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from genbench import __version__
from genbench.errors import StoreError
from genbench.features.optional import required
from genbench.files import write_atomically
from genbench.report.html.pictures import Files
from genbench.report.html.settings import Settings
from genbench.report.html.suite_page import SuitePage, suite_page
from genbench.store import Store

if TYPE_CHECKING:
    from jinja2 import Environment

INDEX = "index.html"
MANIFEST = "genbench-report.txt"
"""Paths of all files of a report: what the next one in the same folder replaces."""
_ASSETS = ("report.css", "report.js")


def write_report(store: Store, suites: Sequence[str], folder: Path, settings: Settings) -> Path:
    """Write the report of one suite, or of several with a page of contents; returns the page to open.

    `folder` is new, empty, or holds an earlier report, whose files go.

    Raises `UsageError` for an unknown suite, one without results, and missing packages, and `StoreError` for a folder
    that holds something else or cannot be written.
    """
    for package in ("jinja2", "matplotlib"):
        required(package, by="an HTML report", extra="report")
    stale = _earlier(folder)
    pages = [suite_page(store, suite, settings) for suite in suites]
    files = _files(pages)
    files[MANIFEST] = "".join(f"{path}\n" for path in sorted(files)).encode()
    _write(folder, files, stale - files.keys())
    return folder / INDEX


def _files(pages: Sequence[SuitePage]) -> Files:
    """One suite is the report; of several each has a folder."""
    environment = _environment()
    files: Files = {name: _asset(name) for name in _ASSETS}
    if len(pages) == 1:
        (page,) = pages
        return files | page.files | {INDEX: _rendered(environment, "suite.html", page=page, up="")}
    for page in pages:
        content = page.files | {INDEX: _rendered(environment, "suite.html", page=page, up="../")}
        files |= {f"{page.suite}/{path}": data for path, data in content.items()}
    return files | {INDEX: _rendered(environment, "contents.html", pages=pages, up="")}


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("genbench.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _rendered(environment: Environment, template: str, **values: Any) -> bytes:
    return environment.get_template(template).render(version=__version__, **values).encode()


def _asset(name: str) -> bytes:
    return (resources.files("genbench.report.html") / "assets" / name).read_bytes()


def _earlier(folder: Path) -> set[str]:
    """Paths of the report that is there."""
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise StoreError(f"{folder}: is a file", hint="name a new folder with --html")
    if not any(folder.iterdir()):
        return set()
    try:
        listed = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StoreError(
            f"{folder}: holds files, and none of them a report", hint="name a new or empty folder with --html"
        ) from error
    return {path for path in listed if not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts}


def _write(folder: Path, files: Files, stale: set[str]) -> None:
    """Pages go last, so that a page never refers to what is not there yet."""
    try:
        for path in sorted(files, key=lambda path: path.endswith(".html")):
            write_atomically(folder / path, files[path])
        for path in stale:
            (folder / path).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: the report cannot be written ({error.strerror})", hint="name another folder with --html"
        ) from error
