"""`genbench report`: pages from records, previews and caches, whatever of them is there."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import EpsImagePlugin

from genbench.engine.job import PREVIEW
from genbench.images import emoji32
from genbench.report.html.neighbours import training
from genbench.report.html.remaking import remake
from genbench.report.html.settings import Settings
from genbench.shards import Shard, ShardCache
from tests.fuzz.containers import png

if TYPE_CHECKING:
    from tests.pipeline.conftest import Measured, World

RUNS = ("tiny@ode2", "tiny@ode3-cfg2", "tiny@sde2")


class Page(HTMLParser):
    """Addresses, text and sections of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [value for name in ("href", "src", "srcset") if (value := found.get(name))]
        self.anchors |= {value for name in ("id",) if (value := found.get(name))}
        if tag == "img":
            assert found["alt"], "every image has a text"

    def missing(self) -> list[str]:
        """What the page says is not there."""
        return [unescape(text) for text in re.findall(r'class="missing">([^<]*)', self.source)]

    def notes(self) -> str:
        return " ".join(unescape(text) for text in re.findall(r'<p class="quiet">([^<]*)', self.source))


def dangling(folder: Path) -> Iterator[str]:
    """Links of all pages that lead nowhere, or out of the folder."""
    for path in folder.rglob("*.html"):
        page = Page(path)
        for address in page.addresses:
            if address.startswith("#"):
                if address[1:] not in page.anchors:
                    yield address
            elif address != "data:," and not (path.parent / unquote(address)).is_file():
                yield address


@pytest.fixture(scope="session")
def written(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the measured world."""
    folder = tmp_path_factory.mktemp("report") / "html"
    measured.world.report(folder, "tiny").ok()
    return folder


def test_nothing_dangles_and_nothing_comes_from_outside(written: Path) -> None:
    assert list(dangling(written)) == []
    assert len(Page(written / "index.html").addresses) > 50
    texts = [path.read_text() for path in written.rglob("*") if path.suffix in {".html", ".css", ".js"}]
    assert not any("http" in text or "//" in text.replace("// ", "") for text in texts)


def test_what_a_page_refers_to_is_what_is_there(written: Path) -> None:
    referred = {unquote(address) for address in Page(written / "index.html").addresses}
    there = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    assert there - referred == {"index.html", "genbench-report.txt"}
    assert set((written / "genbench-report.txt").read_text().split()) == there - {"genbench-report.txt"}
    assert sum(path.stat().st_size for path in written.rglob("*") if path.is_file()) < 2**20


def test_every_figure_has_its_answer_as_csv_and_its_sql(written: Path, measured: Measured) -> None:
    source = (written / "index.html").read_text()
    found = re.findall(r'<a href="(data/[^"]+)" download>CSV</a>.*?<code>(.*?)</code>', source, flags=re.DOTALL)
    names = {path for path, _ in found}
    assert {f"data/{name}.csv" for name in ("leaderboard", "quality-cost", "metric-agreement", "samples")} <= names
    for path, sql in found:
        answer = measured.world.sql(unescape(sql), "--format", "csv").ok().out
        asked, kept = (list(csv.reader(io.StringIO(text))) for text in (answer, (written / path).read_text()))
        assert len(asked) > 1
        if path in {"data/samples.csv", "data/influential-images.csv"}:
            assert {row[0] for row in asked[1:]} == {row[0] for row in kept[1:]} == set(RUNS)
        else:
            assert sorted(asked) == sorted(kept)


def test_samples_are_of_the_same_seeds(written: Path, measured: Measured) -> None:
    from PIL import Image

    rows = list(csv.DictReader(io.StringIO((written / "data" / "samples.csv").read_text())))
    assert [(row["run"], int(row["seed"])) for row in rows] == [
        (run, seed) for run in dict.fromkeys(row["run"] for row in rows) for seed in range(16)
    ]
    previews = {row["run"]: row["images_digest"] for row in measured.world.rows("SELECT run, images_digest FROM runs")}
    for row in rows[::5]:
        with Image.open(written / row["image"]) as image:
            drawn = np.asarray(image)
        sampled = preview(measured.world, previews[row["run"]])[int(row["seed"])]
        assert np.array_equal(drawn[::3, ::3], sampled), "as the cache has it, drawn three times as large"


def preview(world: World, images_digest: str) -> Any:
    return np.moveaxis(ShardCache(world.cache).read(images_digest, PREVIEW, Shard(0, 24)), 1, -1)


def settings(world: World) -> Settings:
    return Settings(world.results, world.cache, [world.registry, Path(__file__).parents[2] / "registry"])


def test_images_are_sampled_again_to_the_last_bit(measured: Measured) -> None:
    world = measured.world
    for row in world.rows("SELECT * FROM runs"):
        kept = preview(world, row["images_digest"])
        seeds = [17, 3, 3, 20]
        classes = influences(world, row["influence"])
        made = remake(row, seeds, [classes[seed] for seed in seeds], settings(world))
        assert all(np.array_equal(image, kept[seed]) for image, seed in zip(made, seeds, strict=True))


def influences(world: World, path: str) -> dict[int, int]:
    """Class by seed."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute("SELECT image, class FROM read_parquet(?)", [str(world.cache / path)]).fetchall()
    return dict(rows)


def test_influential_images_are_those_of_the_table_and_their_neighbours_are_found(written: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((written / "data" / "influential-images.csv").read_text())))
    by_run = {run: [row for row in rows if row["run"] == run] for run in RUNS}
    for own in by_run.values():
        values = [float(row["influence"]) for row in own]
        assert len(values) == 8
        assert values == sorted(values, reverse=True)
        assert values[0] > 0, "influences have mean 0"
    assert all(0 <= int(row["nearest_training_image"]) < 3404 and float(row["distance"]) > 0 for row in rows)
    assert {row["class"] for row in rows} <= set(emoji32.CLASSES)
    assert Page(written / "index.html").notes().count("measure it again") == 0


def test_a_training_image_is_its_own_nearest(measured: Measured) -> None:
    (row, *_) = measured.world.rows(
        "SELECT run, reference, reference_sha256, space FROM runs JOIN measurements USING (record_id)"
    )
    found = training(row, settings(measured.world))
    features, indices = found.reference.features, found.reference.indices
    assert features is not None
    assert indices is not None
    (neighbour,) = found.nearest(features[7:8], "cpu")
    assert (neighbour.place, neighbour.distance) == (indices[7], 0)
    assert np.array_equal(neighbour.image, emoji32.load("train").images[indices[7]])  # type: ignore[arg-type]


def test_the_same_results_give_the_same_report_and_replace_the_old(
    written: Path, measured_copy: World, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    measured_copy.report(folder, "tiny").ok()
    (folder / "mine.txt").write_text("a file of somebody else")
    (folder / "images" / "old.png").write_bytes(b"of an earlier report")
    with (folder / "genbench-report.txt").open("a") as manifest:
        manifest.write("images/old.png\n../outside.txt\n")
    (tmp_path / "outside.txt").write_text("not of the report")
    measured_copy.report(folder, "tiny").ok()
    assert not (folder / "images" / "old.png").exists()
    assert (tmp_path / "outside.txt").exists()
    assert (folder / "mine.txt").exists()
    names = {path.relative_to(written) for path in written.rglob("*") if path.is_file()}
    assert names == {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} - {Path("mine.txt")}
    assert all((written / name).read_bytes() == (folder / name).read_bytes() for name in names)


def test_records_alone_make_a_report(measured_copy: World, tmp_path: Path) -> None:
    shutil.rmtree(measured_copy.cache)
    for path in measured_copy.results.rglob("*.png"):
        path.unlink()
    measured_copy.report(tmp_path / "html", "tiny").ok()
    missing = Page(tmp_path / "html" / "index.html").missing()
    assert any("No preview" in text and "genbench run tiny" in text for text in missing)
    assert any("Influences lie in the feature cache" in text and "--cache" in text for text in missing)
    assert any("genbench run tiny --limit 12" in text for text in missing)
    assert all("genbench run" in text for text in missing)
    assert list(dangling(tmp_path / "html")) == []


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n%%EOF\n"


@pytest.mark.parametrize(
    "preview", [b"no picture", b"", png(60_000, 60_000), EPS], ids=["text", "empty", "bomb", "program"]
)
def test_a_preview_that_is_no_picture_is_passed_over(
    preview: bytes, measured_copy: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Previews come with merged records: neither a bomb nor what Pillow gives to Ghostscript is opened."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript ran"))
    first, *_ = sorted(measured_copy.results.rglob("*.png"))
    first.write_bytes(preview)
    measured_copy.report(tmp_path / "html", "tiny").ok()
    rows = csv.DictReader(io.StringIO((tmp_path / "html" / "data" / "samples.csv").read_text()))
    assert {row["run"] for row in rows} == set(RUNS) - {first.parent.name}
    notes = Page(tmp_path / "html" / "index.html").notes()
    assert f"Without a preview of these seeds: {first.parent.name}." in notes


def test_a_damaged_table_of_influences_is_named_and_a_missing_one_missed(world: World, tmp_path: Path) -> None:
    world.run("tiny", "-m", "tiny@ode2").ok()
    (table,) = world.cache.rglob("*.parquet")
    table.write_bytes(table.read_bytes()[:100])
    said, advised = world.report(tmp_path / "html", "tiny").problem(2)
    assert str(table) in said
    assert "delete it" in advised
    table.unlink()
    world.run("tiny", "-m", "tiny@sde2").ok()
    world.report(tmp_path / "html", "tiny").ok()
    assert "Without influences in the cache: tiny@ode2." in Page(tmp_path / "html" / "index.html").notes()


def test_what_sampling_would_take_too_long_is_said(measured_copy: World, tmp_path: Path) -> None:
    measured_copy.report(tmp_path / "html", "tiny", "--sampling-seconds", "0").ok()
    notes = Page(tmp_path / "html" / "index.html").notes()
    assert "sampling 8 of them again takes about" in notes
    assert "--sampling-seconds" in notes
    tiles = influential_tiles(tmp_path / "html")
    assert len(tiles) == 8 * len(RUNS)
    for tile in tiles:
        assert re.match(
            r'\s*<div class="absent"[^>]*: not drawn">not drawn</div>\s*<small>training image</small>', tile
        )
        assert len(re.findall(r'<img [^>]*alt="training image \d+"', tile)) == tile.count("<img") == 1


def influential_tiles(report: Path) -> list[str]:
    """The cells of the gallery of influential images."""
    section = (report / "index.html").read_text().partition('id="influential-images"')[2].partition("</section>")[0]
    return re.findall(r"<td>(.*?)</td>", section, flags=re.DOTALL)


def test_a_drawn_image_stands_over_its_training_image_which_is_called_so(written: Path) -> None:
    for tile in influential_tiles(written):
        drawn, said, real = tile.partition("<small>training image</small>")
        assert said
        assert re.search(r'alt="tiny@[a-z0-9-]+, seed \d+"', drawn)
        assert 'alt="training image ' in real
        assert "not drawn" not in tile


def test_weights_that_changed_sample_nothing(measured_copy: World, tmp_path: Path) -> None:
    card = measured_copy.registry / "tiny.toml"
    card.write_text(card.read_text().replace('quantise = "round"', 'quantise = "half"'))
    measured_copy.report(tmp_path / "html", "tiny").ok()
    assert "are not those of the record" in Page(tmp_path / "html" / "index.html").notes()


def test_seed_blocks_that_lack_are_told_beside_those_that_the_suite_asks_for(world: World, tmp_path: Path) -> None:
    world.run("blocks", "-m", "tiny@ode2", "--block", "1").ok()
    world.report(tmp_path / "html", "blocks").ok()
    source = (tmp_path / "html" / "index.html").read_text()
    assert "<dd>6, in each of 2 seed blocks (1 measured)</dd>" in source
    assert "Seed blocks measured: 1 of suite blocks&#39;s 2." in source
    world.run("blocks", "-m", "tiny@ode2").ok()
    world.report(tmp_path / "html", "blocks").ok()
    source = (tmp_path / "html" / "index.html").read_text()
    assert "<dd>6, in each of 2 seed blocks</dd>" in source
    assert "Seed blocks measured" not in source


def test_all_suites_have_a_page_of_contents(measured_copy: World, tmp_path: Path) -> None:
    measured_copy.run("cheap", "-m", "tiny@ode2").ok()
    folder = tmp_path / "html"
    measured_copy.report(folder, "--all").ok()
    assert {"cheap/index.html", "tiny/index.html"} <= set(Page(folder / "index.html").addresses)
    assert "../index.html" in Page(folder / "tiny" / "index.html").addresses
    assert list(dangling(folder)) == []


def test_names_are_text_whatever_they_are(measured_copy: World, emoji: Path, tmp_path: Path) -> None:
    name = """<img src=x onerror=alert(1)> "it's" & {{ 7 * 7 }} $(id)"""
    shutil.copytree(emoji, tmp_path / name)
    measured_copy.score(tmp_path / name, "--suite", "tiny").ok()
    measured_copy.report(tmp_path / "html", "tiny").ok()
    source = (tmp_path / "html" / "index.html").read_text()
    assert "<img src=x" not in source
    assert "&lt;img src=x onerror=alert(1)&gt; &#34;it&#39;s&#34; &amp; {{ 7 * 7 }} $(id)" in source
    assert list(dangling(tmp_path / "html")) == []


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("tinny",), "no suite named 'tinny'", "did you mean tiny?"),
        (("blocks",), "no results of suite blocks", "genbench run blocks"),
        (("tiny", "--all"), "give one suite, or --all", "genbench report quick --html report"),
        (("tiny", "--precision", "fast"), "no results of suite tiny from fast features", "--precision fast"),
    ],
)
def test_what_cannot_be_reported(
    measured: Measured, tmp_path: Path, arguments: tuple[str, ...], error: str, hint: str
) -> None:
    said, advised = measured.world.report(tmp_path / "html", *arguments).problem(2)
    assert error in said
    assert hint in advised
    assert not (tmp_path / "html").exists()


def test_nothing_measured_is_nothing_to_report(world: World, tmp_path: Path) -> None:
    world.results.mkdir()
    said, advised = world.report(tmp_path / "html", "--all").problem(2)
    assert "no results of any suite" in said
    assert advised == "genbench run quick"


def test_other_peoples_folders_stay_as_they_are(measured: Measured, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    said, advised = measured.world.report(tmp_path, "tiny").problem(2)
    assert "none of them a report" in said
    assert "--html" in advised
    said, _ = measured.world.report(tmp_path / "thesis.tex", "tiny").problem(2)
    assert "is a file" in said


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_says_what_to_install(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said, advised = measured.world.report(tmp_path / "html", "tiny").problem(2)
    assert f"needs the package {package}" in said
    assert advised == 'pip install "genbench[report]"'


def test_correlograms_are_those_of_the_spatial_command(world: World, tmp_path: Path) -> None:
    """`genbench spatial` measures the kept images on its own; the reference holds means over the training images."""
    world.add_suite("patches", metrics=["cfd@effnet-lite0/correlogram"])
    world.run("patches", "-m", "tiny@ode2", "--keep-images", tmp_path / "kept").ok()
    world.report(tmp_path / "html", "patches").ok()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "html" / "data" / "correlogram.csv").read_text())))
    measured = world.correlogram(tmp_path / "kept" / "tiny@ode2")
    own = [row for row in rows if row["run"] == "tiny@ode2"]
    for name in ("value", "stderr"):
        assert [float(row[name]) for row in own] == pytest.approx([point[name] for point in measured], abs=1e-6)
    real = [row for row in rows if row["run"] == "reference"]
    assert float(real[0]["value"]) == pytest.approx(1, abs=1e-6), "every patch is like itself"
    assert {row["n"] for row in real} == {"3404"}
    assert [row["distance"] for row in real] == [row["distance"] for row in own] == [str(d) for d in range(27)]


def add_checkpoints(world: World, *checkpoints: tuple[str, int]) -> None:
    """Make the card's variant one for each training and its epochs."""
    head, variant = (world.registry / "tiny.toml").read_text().split("[variants.tiny]")
    for trained, epochs in checkpoints:
        name = f"variants.tiny-{epochs}"
        head += f"[{name}]{variant.replace('variants.tiny.', f'{name}.')}\n"
        head += f'[{name}.checkpoint]\ntraining = "{trained}"\nepochs = {epochs}\n\n'
    world.add_card(head)


def test_checkpoints_of_one_training_are_a_curve(world: World, tmp_path: Path) -> None:
    add_checkpoints(world, ("long", 10), ("long", 20), ("short", 5))
    world.run("tiny", "-m", "tiny-*@ode2").ok()
    world.report(tmp_path / "html", "tiny").ok()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "html" / "data" / "training-curves.csv").read_text())))
    assert [(row["training"], row["preset"], float(row["epochs"])) for row in rows] == [
        ("long", "ode2", 10),
        ("long", "ode2", 20),
    ]
    assert rows[0]["value"] == rows[1]["value"], "both are of the same weights"


def test_single_checkpoints_of_several_trainings_are_no_curves(world: World, tmp_path: Path) -> None:
    add_checkpoints(world, ("one", 10), ("another", 20))
    world.run("cheap", "-m", "tiny-*@ode2").ok()
    world.report(tmp_path / "html", "cheap").ok()
    assert any("checkpoints of one training" in text for text in Page(tmp_path / "html" / "index.html").missing())
    assert not (tmp_path / "html" / "data" / "training-curves.csv").exists()
