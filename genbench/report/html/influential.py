"""The images that move the Fréchet distance most, over the training images that are nearest to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
from PIL import Image

from genbench import console, remote
from genbench.errors import GenbenchError, StoreError, UsageError
from genbench.report.figures.canvas import Record
from genbench.report.figures.chart import Scope, records
from genbench.report.html.neighbours import Neighbour, Training, kept_features, training
from genbench.report.html.pictures import Picture, Pictures
from genbench.report.html.remaking import remake
from genbench.report.html.section import Gallery, Made, Section, Tile, absent, left_out, shown
from genbench.report.html.settings import Settings
from genbench.report.labels import metric_label
from genbench.store import Store

IMAGES = 8
"""Of a run."""
RUNS = 12
"""At most so many are shown, the best ones."""

SQL = """
SELECT
    counted.run, variant, preset, given, runs.run_digest, images_digest, first_seed, runs.n, reference,
    reference_sha256, space, space_digest, influence, seconds_per_image
FROM counted
JOIN runs USING (record_id)
JOIN measurements USING (record_id)
LEFT JOIN costs USING (record_id)
WHERE counted.suite = {suite} AND counted.precision = {precision} AND is_current AND counted.n = {n}
  AND metric = {fd} AND influence IS NOT NULL AND first_seed IS NOT NULL
QUALIFY counted.block = min(counted.block) OVER (PARTITION BY counted.run)
ORDER BY counted.run
"""


class Influential(NamedTuple):
    """One image."""

    seed: int
    label: int | None
    influence: float


class _Budget:
    """Seconds that sampling may still take."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, row: Record, images: int) -> None:
        """Raises `UsageError` when the images would take longer, by the speed that the record tells."""
        seconds = row["seconds_per_image"]
        if seconds is None or seconds * images > self._left:
            takes = "an unknown time" if seconds is None else f"about {seconds * images:.2g} s"
            raise UsageError(
                f"images are not kept, and sampling {images} of them again takes {takes}",
                hint="allow it with --sampling-seconds",
            )
        self._left -= seconds * images


def influential_images(store: Store, scope: Scope, runs: Sequence[str], settings: Settings) -> Made:
    """For each run, best first, the images that raise the distance most."""
    question = scope.fill(SQL)
    section = Section(
        "influential-images",
        f"Images that raise {metric_label(scope.fd)} most",
        "The number is an image's influence: how far the distance would rise, to first order and per unit of weight, "
        "if this image counted for more. Below it stands the training image that is nearest in the feature space.",
        question,
    )
    found = {row["run"]: row for row in records(store.query(question))}
    ranked = {run: _ranked(settings.cache / found[run]["influence"], found[run]) for run in runs if run in found}
    shown_runs = [run for run, images in ranked.items() if images][:RUNS]
    if not shown_runs:
        return absent(
            section,
            f"Influences lie in the feature cache of the machine that measured: name it with --cache, or repeat "
            f"genbench run {scope.suite} here.",
        )
    budget = _Budget(settings.sampling_seconds)
    gallery = _Rows(Pictures())
    for run in shown_runs:
        gallery.add(found[run], ranked[run], settings, budget)
    notes = ["The query names the tables of influences, below the cache folder.", *gallery.notes()]
    section = section._replace(note=" ".join([*notes, *left_out(runs, shown_runs, RUNS, "influences in the cache")]))
    headings = tuple(f"{place + 1}" for place in range(max(len(ranked[run]) for run in shown_runs)))
    return shown(section, Gallery(headings, tuple(gallery.rows)), gallery.data, gallery.pictures.files)


def _ranked(table: Path, row: Record) -> list[Influential]:
    """The images of most influence of a table that `genbench.contributions` wrote; none where it is gone.

    Raises `StoreError` for a table that is damaged.
    """
    if not remote.present(table):
        return []
    column = row["space"].replace('"', '""')
    sql = f'SELECT *, "{column}" AS influence FROM read_parquet(?) ORDER BY influence DESC, image LIMIT ?'
    try:
        with duckdb.connect() as connection:
            cursor = connection.execute(sql, [str(table), IMAGES])
            names = [name for name, *_ in cursor.description or []]
            images = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
    except duckdb.Error as error:
        raise StoreError(
            f"{table}: is no table of influences on {row['space']}",
            hint="delete it; what it held comes back when the run is measured again",
        ) from error
    return [Influential(image["image"], image.get("class"), image["influence"]) for image in images]


def _class_name(label: int | None, reference: Training | None) -> str:
    if label is None:
        return ""
    return reference.class_name(label) if reference else f"class {label}"


class _Rows:
    """Rows of the gallery and of its CSV, run by run."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.rows: list[tuple[str, tuple[Tile, ...]]] = []
        self.data: list[Record] = []
        self._problems: dict[str, list[str]] = {}

    def add(self, row: Record, images: Sequence[Influential], settings: Settings, budget: _Budget) -> None:
        """Add a run; what cannot be had of its images is noted, and the rest is shown."""
        reference, neighbours = self._compared(row, images, settings)
        drawn = self._drawn(row, images, settings, budget)
        tiles = []
        for place, image in enumerate(images):
            name = _class_name(image.label, reference)
            tile = self._tile(row["run"], image, name, drawn[place], neighbours[place])
            tiles.append(tile)
            self.data.append(self._datum(row["run"], place, image, name, neighbours[place]))
        self.rows.append((row["run"], tuple(tiles)))

    def _compared(
        self, row: Record, images: Sequence[Influential], settings: Settings
    ) -> tuple[Training | None, Sequence[Neighbour | None]]:
        reference = None
        try:
            reference = training(row, settings)
            features = kept_features(row, [image.seed for image in images], settings)
            return reference, reference.nearest(features, settings.device)
        except GenbenchError as error:
            self._miss(row["run"], error)
        return reference, [None] * len(images)

    def _drawn(
        self, row: Record, images: Sequence[Influential], settings: Settings, budget: _Budget
    ) -> Sequence[Picture | None]:
        try:
            budget.spend(row, len(images))
            console.note(f"{row['run']}: sampling {len(images)} images again")
            pixels = remake(row, [image.seed for image in images], [image.label or 0 for image in images], settings)
        except GenbenchError as error:
            self._miss(row["run"], error)
            return [None] * len(images)
        return [self._picture(image) for image in pixels]

    def _picture(self, pixels: npt.NDArray[np.uint8]) -> Picture:
        return self.pictures.add(Image.fromarray(pixels))

    def _miss(self, run: str, error: GenbenchError) -> None:
        self._problems.setdefault(f"{error} ({error.hint})", []).append(run)

    def notes(self) -> list[str]:
        """What could not be had, and of which runs."""
        return [f"{', '.join(runs)}: {problem}." for problem, runs in self._problems.items()]

    def _tile(
        self, run: str, image: Influential, name: str, picture: Picture | None, neighbour: Neighbour | None
    ) -> Tile:
        lines, real = [f"{image.influence:+.3g}", f"seed {image.seed}", name], None
        if neighbour is not None:
            if neighbour.image is not None:
                real = (self._picture(neighbour.image), f"training image {neighbour.place}")
            lines.append(f"training {neighbour.place}, at {neighbour.distance:.3g}")
        return Tile(((picture, f"{run}, seed {image.seed}"),), tuple(filter(None, lines)), real)

    @staticmethod
    def _datum(run: str, place: int, image: Influential, name: str, neighbour: Neighbour | None) -> Record:
        return {
            "run": run,
            "place": place + 1,
            "seed": image.seed,
            "class": name,
            "influence": image.influence,
            "nearest_training_image": neighbour and neighbour.place,
            "distance": neighbour and neighbour.distance,
        }
