"""Samples of several runs as one picture, a run a row:  uv run python -m zoo.picture FILE.png RUN…

Shows the first images of each run under suite ``quick``, from the previews beside its latest record: one seed is one
column.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from genbench import console
from genbench.errors import GenbenchError, UsageError
from genbench.images.grid import grid, tiles, write_png
from genbench.paths import results_folder
from zoo.export import SUITE

COLUMNS = 12
_PREVIEW_COLUMNS = 8


def row(run: str, results: Path) -> list[Image.Image]:
    """The first images of a run. Raises `UsageError` for a run without a preview under suite ``quick``."""
    previews = sorted((results / SUITE / run).glob("*.png"))
    if not previews:
        raise UsageError(f"{results / SUITE / run} holds no preview", hint=f"genbench run {SUITE} -m {run}")
    return tiles(Image.open(previews[-1]).convert("RGB"), COLUMNS, _PREVIEW_COLUMNS)


def picture(runs: Sequence[str], results: Path) -> Image.Image:
    """All of them, in the order given."""
    images = [np.asarray(image).transpose(2, 0, 1) for run in runs for image in row(run, results)]
    return grid(np.stack(images), columns=COLUMNS)


def main(arguments: Sequence[str]) -> int:
    """Write the picture; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.picture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="variant@preset")
    options = parser.parse_args(arguments)
    try:
        shown = picture(options.runs, results_folder(None))
        # 256 colours are enough for emoji, and half the bytes.
        write_png(shown.quantize(256, dither=Image.Dither.NONE), options.file)
    except GenbenchError as error:
        console.error(str(error), error.hint)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
