"""Where a pipeline's files lie on this machine: a folder, or a commit of the hub in the hub's own cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from genbench import console
from genbench.digest import digest, digest_file
from genbench.errors import UsageError, WeightsError
from genbench.methods.pipelines.settings import PipelineSource

INDEX = "model_index.json"


def pipeline_class() -> Any:
    """diffusers' class that loads every pipeline. Raises `UsageError` when the library is not installed."""
    try:
        from diffusers import DiffusionPipeline
    except ImportError as error:
        raise UsageError(
            "pipelines are run by diffusers, which is not installed", hint='pip install "genbench[pipelines]"'
        ) from error
    return DiffusionPipeline


class Snapshot(NamedTuple):
    """A pipeline's files, and what identifies their content."""

    folder: Path
    sha256: str


def find_pipeline(network: Mapping[str, Any]) -> Snapshot:
    """The files of the pipeline that a card names (see `PipelineSource`), fetched if need be.

    A commit of the hub is identified by its hash, a folder by the content of its files. With ``GENBENCH_OFFLINE``
    nothing is fetched.

    Raises `WeightsError` for a folder that holds no pipeline, for a repository, revision or file that the hub does not
    have or does not give, and where the hub cannot be reached.
    """
    source = PipelineSource.model_validate(network)
    if source.hub is not None:
        return _from_hub(source)
    folder = Path(source.folder or "").expanduser()
    if not (folder / INDEX).is_file():
        raise WeightsError(f"{folder}: no {INDEX}", hint="name a folder that a pipeline's save_pretrained wrote")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return Snapshot(folder, digest({path.relative_to(folder).as_posix(): digest_file(path) for path in files}))


def _from_hub(source: PipelineSource) -> Snapshot:
    pipeline = pipeline_class()
    from huggingface_hub import hf_hub_download

    hub, offline = str(source.hub), os.environ.get("GENBENCH_OFFLINE", "") not in ("", "0")
    with _explained(source):
        index = Path(hf_hub_download(hub, INDEX, revision=source.revision, local_files_only=offline))
        commit = index.parent.name
        if commit != source.revision:
            console.note(f"{hub}: {source.revision} is commit {commit}; name that as its revision to stay with it")
        folder = pipeline.download(hub, revision=commit, variant=source.variant, local_files_only=offline)
    return Snapshot(Path(folder), digest({"hub": hub, "commit": commit}))


@contextmanager
def _explained(source: PipelineSource) -> Iterator[None]:
    """Errors of the hub's client as ones that say what to do."""
    from huggingface_hub import errors

    place = f"{source.hub} at {source.revision}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{place}: its owners ask for an agreement first", hint="agree on its page, then `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(
            f"{place}: the hub has no such revision", hint="name a commit, branch or tag it has"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise WeightsError(
            f"{place}: not in the hub's cache, and the hub cannot be reached",
            hint=f"connect this machine, or fetch it on another one with `hf download {source.hub} --revision "
            f"{source.revision}` and set HF_HOME to a copy of its cache",
        ) from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(
            f"{place}: a file of a pipeline is not there ({_first_line(error)})",
            hint="name a repository that holds a diffusers pipeline, and a variant that it has",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"{place}: the hub has no such repository, or it is private", hint="correct hub, or `hf auth login`"
        ) from error
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        raise WeightsError(
            f"{place}: {_first_line(error)}", hint="correct the card's network, or try again later"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
