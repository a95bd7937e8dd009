"""One file over HTTP: resumed where it broke off, checked, and under its own name only when it is whole.

While it comes in, a file is called ``<name>.part``. What a broken connection left is continued with a Range request,
also by a later run if the published SHA-256 will tell whether the pieces fit; without one, only within one call
and only while the server says that the file is unchanged (If-Range).
"""

from __future__ import annotations

import http.client
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TimeRemainingColumn, TransferSpeedColumn

from genbench import __version__
from genbench.digest import digest_file

_BLOCK = 1 << 20
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(Exception):
    """A file could not be had from its address, or what came is not the published file."""


def fetch(url: str, target: Path, *, sha256: str | None, retries: int = 4, pause: float = 1.0) -> None:
    """Download `url` to `target`, with a progress bar on stderr.

    A connection that fails or ends early is tried again `retries` times, after `pause` seconds, then twice as many, and
    so on. Several processes may fetch the same file at once: one downloads, the others wait and find it there.

    Raises `DownloadError` if the address is not http or https, or leads elsewhere; if the server has no such file or
    does not answer; or if the SHA-256 of what came is not `sha256`, in which case nothing of it is kept.
    """
    _require_http(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(target.with_name(target.name + ".lock")):
        if target.exists():
            return
        part = target.with_name(target.name + ".part")
        if sha256 is None:
            part.unlink(missing_ok=True)
        _fetch_part(url, part, retries=retries, pause=pause)
        if sha256 is not None and (actual := digest_file(part)) != sha256:
            part.unlink()
            raise DownloadError(f"what {url} sent is not the published file (sha256 {actual}, expected {sha256})")
        part.replace(target)


def _fetch_part(url: str, part: Path, *, retries: int, pause: float) -> None:
    transfer = _Transfer(url, part)
    with _progress(part.name.removesuffix(".part")) as (bar, task):
        for attempt in range(retries + 1):
            if attempt:
                time.sleep(pause * 2 ** (attempt - 1))
            try:
                transfer.run(bar, task)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code not in _TRANSIENT:
                    raise DownloadError(f"{url} answered {error.code} {error.reason}") from error
                failure = f"{error.code} {error.reason}"
            except (OSError, http.client.HTTPException, ValueError) as error:  # the last of headers that are nonsense
                failure = str(getattr(error, "reason", error)) or type(error).__name__
            else:
                return
    raise DownloadError(f"{url} could not be fetched in {retries + 1} tries ({failure})")


class _Transfer:
    """The part of a file that has come so far, and what is needed to ask for the rest."""

    def __init__(self, url: str, part: Path) -> None:
        self._url, self._part = url, part
        self._validator: str | None = None

    def run(self, bar: Progress, task: TaskID) -> None:
        """Ask once for what is missing; raises `OSError` if the body ends early."""
        have = self._part.stat().st_size if self._part.exists() else 0
        request = urllib.request.Request(self._url, headers={"User-Agent": f"genbench/{__version__}"})
        if have:
            request.add_header("Range", f"bytes={have}-")
            if self._validator:
                request.add_header("If-Range", self._validator)
        try:
            response = _opener().open(request, timeout=30)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
                raise
            if _size_of(error.headers) == have:
                error.close()
                return
            self._part.unlink()
            raise ConnectionError("the server's file is shorter than the part that was kept") from error
        with response:
            self._receive(response, have, bar, task)

    def _receive(self, response: http.client.HTTPResponse, have: int, bar: Progress, task: TaskID) -> None:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        self._validator = _validator(response.headers)
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        bar.update(task, total=total, completed=start)
        with self._part.open("ab" if resumed else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                bar.advance(task, len(block))
            size = file.tell()
        if total is not None and size < total:
            raise ConnectionError(f"the connection ended after {size} of {total} bytes")


def _size_of(headers: Message) -> int | None:
    """The full size in ``Content-Range: bytes */N``."""
    size = headers.get("Content-Range", "").rpartition("/")[2]
    return int(size) if size.isdecimal() else None


def _validator(headers: Message) -> str | None:
    """What If-Range may carry: a strong entity tag, else the date of the last change."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


class _HttpRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _require_http(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_http(url: str) -> None:
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise DownloadError(f"{url} is not an address ({error})") from error
    if scheme not in ("http", "https"):
        raise DownloadError(f"{url} is not an http or https address, and is not followed")


def _opener() -> urllib.request.OpenerDirector:
    """Like urllib's default opener, without its handlers for file:, ftp: and data: addresses."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _HttpRedirects(),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _progress(name: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield bar, bar.add_task(name, total=None)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Wait until no other process holds `path`, then hold it; a process that dies lets go of it."""
    with path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            yield
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
            yield
