"""The generated reference names everything that there is, and explains it. What there is comes from the code's own
registries and, for commands, from what ``--help`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from genbench.cards import DecoderCard, MethodCard
from genbench.cli.main import EXIT_CODES, run
from genbench.features.spaces import SPACES
from genbench.methods.settings import NetworkSettings
from genbench.metrics.catalog import ALIASES, STATISTICS
from genbench.suites import ReconstructionSuite, Suite
from tools.reference import PAGES
from tools.reference.commands import every_command
from tools.reference.models import explanations, settings_models


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {path: make() for path, make in PAGES.items()}


def sections(page: str, level: str = "## ") -> dict[str, str]:
    """What stands below each heading."""
    parts = re.split(f"^{level}(.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each row after the first, by the first."""
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in found}


@pytest.mark.parametrize("name", [name for name, _ in every_command()])
def test_every_command_and_option_is_explained(
    pages: dict[str, str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    section = sections(pages["reference/commands.md"])[f"genbench {name}"]
    explained = rows(section)
    assert run([*name.split(), "--help"]) == 0
    told = {option for row in explained for option in re.findall(r"`(-[\w-]+)`", row)}
    assert options_of(capsys.readouterr().out) - {"--help"} == told
    assert all(cells[0] for row, cells in explained.items() if row.startswith("`"))
    assert len(section.split("```")[0].strip()) > 20


def options_of(text: str) -> set[str]:
    """The names of the options that ``--help`` prints, without their values and explanations."""
    names = re.findall(r"^ {2,6}(-.*?)(?= <|  |$)", text.partition("Options:\n")[2], re.MULTILINE)
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(names)))


def test_every_metric_is_there_with_its_estimator_bias_cost_and_citation(pages: dict[str, str]) -> None:
    explained = sections(pages["reference/metrics.md"])
    assert set(ALIASES) == {name.strip("`") for name in rows(explained.pop("Short names")) if name.startswith("`")}
    assert set(explained) == set(STATISTICS)
    for name, section in explained.items():
        facts = rows(section)
        for fact in ("estimator", "bias", "cost", "standard error", "citation"):
            assert facts[fact][0], (name, fact)


def test_every_space_is_there_with_its_preprocessing_and_source(pages: dict[str, str]) -> None:
    explained = sections(pages["reference/spaces.md"])
    assert set(explained) == set(SPACES)
    for name, section in explained.items():
        facts = rows(section)
        assert facts["preprocessing"][0], name
        assert facts["source"][0], name


def models_within(model: type[BaseModel]) -> Iterator[tuple[str, set[str]]]:
    """Every table of a file's JSON schema with its keys."""
    schema = model.model_json_schema()
    yield model.__name__, set(schema["properties"])
    for name, inner in schema.get("$defs", {}).items():
        yield name, set(inner["properties"])


@pytest.mark.parametrize(
    ("page", "model"),
    [
        ("reference/cards.md", MethodCard),
        ("reference/cards.md", DecoderCard),
        ("reference/suites.md", Suite),
        ("reference/suites.md", ReconstructionSuite),
    ],
)
def test_every_key_of_cards_and_suites_is_explained(pages: dict[str, str], page: str, model: type[BaseModel]) -> None:
    explained = sections(pages[page])
    for name, keys in models_within(model):
        told = rows(explained[name])
        for key in keys:
            assert told[f"`{key}`"][2], f"{name}.{key} has no docstring"


def test_every_key_of_presets_is_explained(pages: dict[str, str]) -> None:
    text = pages["reference/presets.md"]
    shared, families = rows(text.partition("\n## ")[0]), sections(text)
    models = settings_models()
    assert set(families) == set(models)
    for name, model in models.items():
        told = rows(families[name]) | (shared if issubclass(model, NetworkSettings) else {})
        for key in model.model_fields:
            assert told[f"`{key}`"][2], f"{name}: {key} has no docstring"


def test_docstrings_of_fields_are_found_in_bases_and_below_the_field() -> None:
    said = explanations(ReconstructionSuite)
    assert said["crop"] == "Of the originals."
    assert said["resolution"].startswith("Side of the images")
    assert "kind" in said


def test_every_exit_code_is_there(pages: dict[str, str]) -> None:
    assert {f"`{code}`": [meaning] for code, meaning in EXIT_CODES.items()}.items() <= rows(
        pages["reference/exit-codes.md"]
    ).items()


def test_every_table_of_the_store_is_there_with_every_column_explained(pages: dict[str, str]) -> None:
    explained = sections(pages["reference/store.md"], "### ")
    assert {"runs", "measurements", "leaderboard", "pareto", "published"} <= set(explained)
    for name, section in explained.items():
        assert section.partition("|")[0].strip(), name
        for column, cells in rows(section).items():
            assert cells[1], f"{name}.{column}"
