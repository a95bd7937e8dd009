"""Damage to any kind of source is an `ImageError`, never another exception, a hang, or fewer images than before."""

import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from genbench.errors import ImageError
from genbench.images.sources import open_source

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".zip", ".tar", ".tar.gz", ".npz", ".npy", ".parquet")
FUZZ = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> dict[str, bytes]:
    """The bytes of one small source of every kind; a single image stands for a folder of it."""
    folder: Path = tmp_path_factory.mktemp("intact")
    kinds = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
    made = {suffix: encoded(PIXELS[0], kind) for suffix, kind in kinds.items()}
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i, pixels in enumerate(PIXELS):
            archive.writestr(f"c/{i}.png", encoded(pixels))
    for suffix, mode in ((".tar", "w"), (".tar.gz", "w:gz")):
        with tarfile.open(folder / f"x{suffix}", mode) as tar:
            for i, pixels in enumerate(PIXELS):
                member = tarfile.TarInfo(f"c/{i}.png")
                member.size = len(encoded(pixels))
                tar.addfile(member, io.BytesIO(encoded(pixels)))
    np.savez_compressed(folder / "x.npz", PIXELS)
    np.save(folder / "x.npy", PIXELS)
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (image STRUCT(bytes BLOB, path VARCHAR))")
        rows = [({"bytes": encoded(pixels), "path": f"{i}.png"},) for i, pixels in enumerate(PIXELS)]
        connection.executemany("INSERT INTO t VALUES (?)", rows)
        connection.execute(f"COPY t TO '{folder / 'x.parquet'}' (FORMAT parquet)")
    return made | {suffix: (folder / f"x{suffix}").read_bytes() for suffix in SUFFIXES if suffix not in made}


def read_all(folder: Path, suffix: str, data: bytes) -> int:
    """Open, hash and decode everything; the number of images."""
    path = folder / f"x{suffix}"
    path.write_bytes(data)
    source = open_source(folder if suffix in (".png", ".jpg", ".webp", ".bmp") else path, workers=1)
    assert len(source.digest) == 64
    return sum(len(batch.facts) for batch in source.batches(0, len(source), 3))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_intact_sources_are_read(suffix, intact, tmp_path):
    assert read_all(tmp_path, suffix, intact[suffix]) == (4 if suffix in SUFFIXES[4:] else 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@FUZZ
@given(data=st.data())
def test_truncated_sources_are_an_image_error(suffix, data, intact, tmp_path):
    whole = intact[suffix]
    # What may be lost without loss of pixels: a PNG's last two checksums and end chunk (Pillow does not miss them),
    # and a tar's padding.
    spare = {".png": 20, ".tar": len(whole) - len(whole.rstrip(b"\0")) - 511}.get(suffix, 0)
    length = data.draw(st.integers(0, len(whole) - spare - 1))
    with pytest.raises(ImageError) as caught:
        read_all(tmp_path, suffix, whole[:length])
    assert f"x{suffix}" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("suffix", SUFFIXES)
@FUZZ
@given(
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=4),
)
def test_corrupt_sources_are_read_or_an_image_error(suffix, edits, intact, tmp_path):
    damaged = bytearray(intact[suffix])
    for place, new in edits:
        start = int(place * len(damaged))
        damaged[start : start + len(new)] = new[: len(damaged) - start]
    with contextlib.suppress(ImageError):
        assert read_all(tmp_path, suffix, bytes(damaged)) >= 1
