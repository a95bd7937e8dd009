"""Build the embedded data set emoji32 from the npm package ``emoji-datasource-google@16.0.0``.

    npm pack emoji-datasource-google@16.0.0
    uv run python tools/build_emoji32.py emoji-datasource-google-16.0.0.tgz

Every Noto emoji whose category is not "Component" (3,781 images) is composited on white, reduced from 64x64 to
32x32 with Pillow's antialiased Lanczos filter, and kept as RGB uint8. The archive it writes is one zip of a lossless
WebP sheet and a CSV of labels; its bytes depend on the input alone, up to the version of the WebP encoder, and the
digest printed at the end is the one that ``genbench/images/emoji32/__init__.py`` checks at load.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SIDE = 32
COLUMNS = 64
TEST_SHARE = 0.1
TARGET = Path(__file__).parent.parent / "genbench" / "images" / "emoji32" / "emoji32.zip"


class Emoji(NamedTuple):
    """One image: its code points, the code points of the emoji it is a skin tone of, and its labels."""

    unified: str
    base: str
    category: str
    subcategory: str
    name: str
    file: str


def emojis(entries: list[dict[str, Any]]) -> list[Emoji]:
    """Every image of the package but the five of category Component, ordered by the Unicode sort order."""
    found = []
    for entry in sorted(entries, key=lambda e: (e["sort_order"], e["unified"])):
        if entry["category"] == "Component":
            continue
        name = (entry["name"] or entry["short_name"]).lower()
        variants = [("", entry), *sorted((entry.get("skin_variations") or {}).items())]
        for tone, image in variants:
            if image["has_img_google"]:
                label = f"{name} ({tone})" if tone else name
                found.append(
                    Emoji(
                        image["unified"],
                        entry["unified"],
                        entry["category"],
                        entry["subcategory"],
                        label,
                        image["image"],
                    )
                )
    return found


def test_bases(items: list[Emoji]) -> set[str]:
    """Base code points of the test split: within each category, in order of their SHA-256, up to 10 % of its images."""
    groups: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        groups[item.category][item.base] += 1
    chosen: set[str] = set()
    for sizes in groups.values():
        room = round(TEST_SHARE * sum(sizes.values()))
        for base in sorted(sizes, key=lambda b: hashlib.sha256(b.encode()).hexdigest()):
            if sizes[base] <= room:
                chosen.add(base)
                room -= sizes[base]
    return chosen


def picture(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One 64x64 RGBA PNG => 32x32x3 uint8 on white."""
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    rgb = Image.alpha_composite(white, image).convert("RGB")
    return np.asarray(rgb.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def main(package: Path) -> None:
    """Read the npm tarball, write the archive, print what it holds."""
    with tarfile.open(package) as tar:

        def read(name: str) -> bytes:
            member = tar.extractfile(f"package/{name}")
            if member is None:
                raise SystemExit(f"{package}: no {name}")
            return member.read()

        items = emojis(json.loads(read("emoji.json")))
        pixels = np.stack([picture(read(f"img/google/64/{item.file}")) for item in items])

    rows = -(-len(items) // COLUMNS)
    tiles = np.full((rows * COLUMNS, SIDE, SIDE, 3), 255, np.uint8)
    tiles[: len(items)] = pixels
    sheet = tiles.reshape(rows, COLUMNS, SIDE, SIDE, 3).transpose(0, 2, 1, 3, 4).reshape(rows * SIDE, COLUMNS * SIDE, 3)
    webp = io.BytesIO()
    Image.fromarray(sheet).save(webp, "WEBP", lossless=True, quality=100, method=6)

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["split", "category", "subcategory", "name", "unified", "base"])
    held_out = test_bases(items)
    for item in items:
        split = "test" if item.base in held_out else "train"
        writer.writerow([split, item.category, item.subcategory, item.name, item.unified, item.base])

    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(TARGET, "w") as archive:
        for name, data, method in (
            ("sheet.webp", webp.getvalue(), zipfile.ZIP_STORED),
            ("labels.csv", table.getvalue().encode(), zipfile.ZIP_DEFLATED),
        ):
            archive.writestr(zipfile.ZipInfo(name, (2024, 9, 10, 0, 0, 0)), data, method)
    size, digest = TARGET.stat().st_size, hashlib.sha256(TARGET.read_bytes()).hexdigest()
    test = sum(item.base in held_out for item in items)
    print(f"{len(items)} images, {len(items) - test} train, {test} test; {size:,} bytes; sha256 {digest}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
