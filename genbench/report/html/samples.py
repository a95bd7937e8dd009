"""Sample grids: images of the same seeds, run under run, cut from the previews that lie beside records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from genbench.errors import ImageError
from genbench.images.decode import check_encoded_size, decode
from genbench.images.grid import tiles
from genbench.report.figures.chart import Scope, records
from genbench.report.html.pictures import Pictures
from genbench.report.html.section import Gallery, Made, Section, Tile, absent, left_out, shown
from genbench.report.html.settings import Settings
from genbench.store import Store

if TYPE_CHECKING:
    from genbench.report.figures.canvas import Record

SEEDS = 16
RUNS = 24
"""At most so many are shown, the best ones."""
PREVIEW_COLUMNS = 8
"""Of the pictures that `genbench run` writes beside records."""
PREVIEW_IMAGES = 64

SQL = """
SELECT counted.run, arg_min(record_path, counted.block) AS record, min(first_seed) AS first_seed, counted.n
FROM counted
JOIN runs USING (record_id)
WHERE counted.suite = {suite} AND counted.precision = {precision} AND is_current AND counted.n = {n}
  AND first_seed IS NOT NULL
GROUP BY counted.run, counted.n
ORDER BY counted.run
"""


def sample_grid(store: Store, scope: Scope, runs: Sequence[str], settings: Settings) -> Made:
    """The first images of every run; `runs` are best first."""
    question = scope.fill(SQL)
    section = Section(
        "samples",
        "Samples",
        "Images of one column are of one seed and label, as each run draws them.",
        question,
        note="The query names the records; the images are from the previews beside them.",
    )
    found = {row["run"]: row for row in records(store.query(question))}
    first = next((found[run]["first_seed"] for run in runs if run in found), None)
    previews = {
        run: images
        for run in runs
        if run in found
        and found[run]["first_seed"] == first
        and (images := _preview(settings.results, found[run])) is not None
    }
    if not previews:
        return absent(section, f"No preview lies beside the records: genbench run {scope.suite} writes them.")
    chosen = dict(list(previews.items())[:RUNS])
    notes = [section.note, *left_out(runs, chosen, RUNS, "a preview of these seeds")]
    return _gallery(section._replace(note=" ".join(notes)), chosen, int(first or 0))


def _preview(results: Path, row: Record) -> list[Image.Image] | None:
    """The first images of a record; None where no preview is there that can be read.

    Previews of merged records are files of others, so they are decoded within the limits of images that are measured.
    """
    n = min(row["n"], PREVIEW_IMAGES)
    path = (results / row["record"]).with_suffix(".png")
    try:
        check_encoded_size(path.stat().st_size, str(path))
        pixels = decode(path.read_bytes(), name=path.name, place=str(path)).pixels
        return tiles(Image.fromarray(pixels.transpose(1, 2, 0)), min(n, SEEDS), min(n, PREVIEW_COLUMNS))
    except (OSError, ValueError, ImageError):
        return None


def _gallery(section: Section, previews: Mapping[str, list[Image.Image]], first: int) -> Made:
    pictures = Pictures()
    rows, data = [], []
    count = min(map(len, previews.values()))
    seeds = range(first, first + count)
    for run, images in previews.items():
        made = []
        for seed, image in zip(seeds, images, strict=False):
            picture = pictures.add(image)
            made.append(Tile(((picture, f"{run}, seed {seed}"),), ()))
            data.append({"run": run, "seed": seed, "image": picture.path})
        rows.append((run, tuple(made)))
    return shown(section, Gallery(tuple(f"seed {seed}" for seed in seeds), tuple(rows)), data, pictures.files)
