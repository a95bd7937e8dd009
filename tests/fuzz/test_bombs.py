"""Small files that stand for gigabytes: refused, or read a little at a time, in a process that stays below 2 GiB."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest
import torch
from PIL import Image

from genbench.images.decode import PIXEL_LIMIT
from tests.fuzz.containers import chunk, encoded, npy, png, tar_of, zip_of
from tests.fuzz.tensors import torch_file

LIMIT = 2 * 2**30
SIDE = int(PIXEL_LIMIT**0.5)
"""Of the largest square image that is decoded."""

SCRIPT = """
import contextlib, io, json, sys
from pathlib import Path
from genbench.cli.main import run
from genbench.images.sources import open_source

answers, images = [], 0
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
        code = run(arguments)
    answers.append([code, err.getvalue()])
for path in json.loads(sys.argv[2]):
    source = open_source(Path(path), workers=8)
    images += sum(len(batch.facts) for batch in source.batches(0, len(source), 64))
memory = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([answers, images, int(memory["VmHWM"].split()[0]) * 1024]))
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")


def peak_of(commands: list[list[str]], sources: list[Path]) -> tuple[list[tuple[int, str]], int, int]:
    """Exit codes and messages of command lines, images of sources, and the largest memory of all of it, bytes."""
    given = [json.dumps(commands), json.dumps([str(source) for source in sources])]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *given], stdout=subprocess.PIPE, check=True, timeout=500)
    answers, images, peak = json.loads(done.stdout.splitlines()[-1])
    return [(code, err) for code, err in answers], images, peak


def declared_large(name: str, data: bytes, size: int) -> bytes:
    """A zip file whose directory says of its member that it expands to `size` bytes."""
    archive = bytearray(zip_of({name: data}))
    entry = archive.index(b"PK\1\2")
    archive[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    return bytes(archive)


def long_name(kind: bytes) -> bytes:
    """A tar file with an extended header of 8 GiB."""
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**33
    return zlib.compress(header.tobuf(tarfile.GNU_FORMAT) + tar_of({"a.png": encoded()}), wbits=31)


def table(folder: Path) -> bytes:
    """2,000 rows of a mebibyte of zeros."""
    path = folder / "rows"
    with duckdb.connect(":memory:") as connection:
        rows = "SELECT ('\\x00' || repeat('a', 1048575))::BLOB AS image FROM range(2000)"
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048)")
    return path.read_bytes()


def expanded() -> bytes:
    """A checkpoint of one number that says it is 2^34."""
    out = io.BytesIO()
    torch.save({"w": torch.zeros(1).expand(2**17, 2**17)}, out)
    return out.getvalue()


def deflated_checkpoint() -> bytes:
    """What torch.save writes, with a record of 512 MiB of zeros."""
    with zipfile.ZipFile(io.BytesIO(torch_file())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return zip_of(files | {next(name for name in files if "/data/" in name): bytes(2**29)})


def shared_parts(levels: int) -> bytes:
    """A pickled network in which each level holds the next one twice."""
    part = torch.nn.Linear(1, 1)
    for _ in range(levels):
        part = torch.nn.Sequential(part, part)
    return pickle.dumps(part, 2)


IMAGES: dict[str, Callable[[Path], bytes]] = {
    "header.png": lambda _: png(60_000, 60_000),
    "profile.png": lambda _: png(32, 32, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**29)))),
    "text.png": lambda _: png(32, 32, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**29)))),
    "member.zip": lambda _: zip_of({"a.bmp": bytes(2**29)}),
    "lying.zip": lambda _: declared_large("a.png", encoded(), 2**31),
    "name.tgz": lambda _: long_name(tarfile.GNUTYPE_LONGNAME),
    "pax.tgz": lambda _: long_name(tarfile.XHDTYPE),
    "many.npz": lambda _: declared_large(
        "arr_0.npy",
        (head := npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 1, 1, 3), }")),
        len(head) + 3_000_000_000,
    ),
    "rows.parquet": table,
}
WEIGHTS: dict[str, Callable[[], bytes]] = {
    "memo.pkl": lambda: b"\x80\x04Nr" + (2**29).to_bytes(4, "little") + b".",
    "bytes.pkl": lambda: b"\x80\x04\x8e" + (2**40).to_bytes(8, "little"),
    "loop.pkl": lambda: pickle.dumps([bytearray(8)] * 9, 2),
    "shared.pkl": lambda: shared_parts(24),
    "calls.pkl": lambda: (
        b"\x80\4c_codecs\nencode\nq\0X\0\0\x10\0" + b"a" * 2**20 + b"\x85q\1](" + b"h\0h\1R" * 3000 + b"e."
    ),
    "deflated.pt": deflated_checkpoint,
    "expanded.pt": expanded,
    "header.safetensors": lambda: (2**40).to_bytes(8, "little") + b"{}",
}


def test_what_stands_for_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    commands = []
    for name, make in IMAGES.items():
        path = tmp_path / name if not name.endswith(".png") else tmp_path / Path(name).stem
        if path.suffix == "":
            path.mkdir()
        (path / "a.png" if path.suffix == "" else path).write_bytes(make(tmp_path))
        options = ["--metrics", "precision@effnet-lite0", "--no-record", "--cache", str(tmp_path / "cache")]
        commands.append(["score", str(path), "--reference", str(path), *options])
    for name, content in WEIGHTS.items():
        (tmp_path / name).write_bytes(content())
        commands.append(["weights", "convert", str(tmp_path / name), str(tmp_path / "out.safetensors")])
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (8589934592,), }"
    (tmp_path / "x.npz").write_bytes(zip_of({"mu.npy": npy(header), "sigma.npy": npy(header)}))
    commands.append(["reference", "import", str(tmp_path / "x.npz"), "--format", "edm", "--n", "9", "--name", "x"])
    answers, _, peak = peak_of(commands, [])
    for arguments, (code, err) in zip(commands, answers, strict=True):
        assert code == 2, (arguments, err)
        assert [line.partition(": ")[0] for line in err.splitlines()[-2:]] == ["error", "hint"], (arguments, err)
        assert "Traceback" not in err
    assert peak < LIMIT, f"{peak / 2**20:.0f} MiB"


def test_many_images_of_the_largest_size_are_read_one_at_a_time(tmp_path: Path) -> None:
    """Thirty of 100 MB each, from a few kilobytes in a folder; six in an array."""
    out = io.BytesIO()
    Image.new("1", (SIDE, SIDE)).save(out, "PNG")
    folder = tmp_path / "folder"
    folder.mkdir()
    for index in range(30):
        (folder / f"{index:02d}.png").write_bytes(out.getvalue())
    array = tmp_path / "x.npz"
    np.savez_compressed(array, np.zeros((6, SIDE, SIDE, 3), np.uint8))
    _, images, peak = peak_of([], [folder, array])
    assert images == 36
    assert peak < LIMIT, f"{peak / 2**20:.0f} MiB"
