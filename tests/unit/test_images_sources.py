import gzip
import io
import os
import shlex
import stat
import tarfile
import threading
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import duckdb
import numpy as np
import pytest
import torch
from PIL import Image

from genbench.errors import ImageError
from genbench.images import decode as decode_module
from genbench.images import parquet, readahead, spans
from genbench.images.encoded import EncodedSource, class_folders
from genbench.images.sources import ImageSource, open_source
from genbench.images.spans import FileSpan, InflatedSpan

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
NAMES = ("a/0.png", "a/1.PNG", "a/10.png", "a/2.png", "b/0.png", "b/c/0.png", "c.png")
KINDS = ("folder", "zip", "zip-stored", "tar", "tar.gz", "tgz", "npz", "npz-stored", "npy", "parquet", "parquet-blob")


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_parquet(path: Path, sql_type: str, rows: list[object]) -> Path:
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE t (image {sql_type}, label INTEGER)")
        for row in rows:
            connection.execute("INSERT INTO t VALUES (?, 0)", [row])
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    return path


def write(kind: str, folder: Path, *, name: str = "images") -> Path:
    """The seven images as one source, packed in reverse where the kind has an order of its own to lose."""
    files = dict(zip(NAMES, map(png, PIXELS), strict=True))
    packed = dict(reversed(files.items()))
    path = folder / f"{name}.{kind.removesuffix('-stored').removesuffix('-blob')}"
    match kind:
        case "folder":
            write_folder(path := folder / name, packed)
        case "zip":
            write_zip(path, packed)
        case "zip-stored":
            write_zip(path, packed, zipfile.ZIP_STORED)
        case "tar":
            write_tar(path, packed)
        case "tar.gz" | "tgz":
            write_tar(path, packed, "w:gz")
        case "npz":
            np.savez_compressed(path, PIXELS)
        case "npz-stored":
            np.savez(path, PIXELS)
        case "npy":
            np.save(path, PIXELS)
        case "parquet":
            rows = [{"bytes": data, "path": name} for name, data in files.items()]
            write_parquet(path, "STRUCT(bytes BLOB, path VARCHAR)", rows)
        case "parquet-blob":
            write_parquet(path, "BLOB", list(files.values()))
    return path


def all_pixels(source: ImageSource, first: int = 0, count: int | None = None, size: int = 3) -> torch.Tensor:
    count = len(source) if count is None else count
    return torch.cat([batch.pixels for batch in source.batches(first, count, size)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_pixels_in_order_from_anywhere(kind, tmp_path):
    source = open_source(write(kind, tmp_path), workers=2)
    expected = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    assert len(source) == 7
    batches = list(source.batches(0, 7, 3))
    assert [len(batch.facts) for batch in batches] == [3, 3, 1]
    assert all(batch.pixels.is_contiguous() and batch.pixels.dtype == torch.uint8 for batch in batches)
    assert torch.equal(torch.cat([batch.pixels for batch in batches]), expected)
    for first, count in ((5, 2), (2, 3), (0, 1), (6, 1)):  # backwards too
        assert torch.equal(all_pixels(source, first, count), expected[first : first + count])
    assert list(source.batches(3, 0, 2)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_facts_name_each_image(kind, tmp_path):
    facts = [fact for batch in open_source(write(kind, tmp_path)).batches(0, 7, 4) for fact in batch.facts]
    assert {(fact.mode, fact.width, fact.height) for fact in facts} == {("RGB", 5, 6)}
    if kind.startswith(("npz", "npy")):
        assert {fact.format for fact in facts} == {kind[:3]}
        assert facts[6].name == ("arr_0[6]" if kind.startswith("npz") else "[6]")
    else:
        assert {fact.format for fact in facts} == {"PNG"}
        assert facts[1].name == ("row 1" if kind == "parquet-blob" else "a/1.PNG")


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_is_of_the_content_not_the_place(kind, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    source = open_source(write(kind, here))
    assert source.digest == open_source(write(kind, there, name="else")).digest
    assert len(source.digest) == 64


def test_folder_and_archives_share_a_digest_as_do_the_array_files(tmp_path):
    digests = {kind: open_source(write(kind, tmp_path, name=kind)).digest for kind in KINDS}
    encoded = ("folder", "zip", "zip-stored", "tar", "tar.gz", "tgz", "parquet")
    assert len({digests[kind] for kind in encoded}) == 1
    assert len({digests[kind] for kind in ("npz", "npz-stored", "npy")}) == 1
    assert len(set(digests.values())) == 3


def test_the_digest_sees_names_bytes_and_order(tmp_path):
    blue, red = png(np.full((2, 2, 3), 9, np.uint8)), png(np.zeros((2, 2, 3), np.uint8))
    contents = [{"a.png": blue, "b.png": red}, {"a.png": red, "b.png": blue}, {"a.png": blue, "c.png": red}]
    digests = {open_source(write_folder(tmp_path / str(i), files)).digest for i, files in enumerate(contents)}
    assert len(digests) == 3


def test_consecutive_images_of_one_size_share_a_batch(tmp_path):
    sides = [4, 4, 4, 5, 5, 4]
    files = {f"{i}.png": png(np.zeros((side, side, 3), np.uint8)) for i, side in enumerate(sides)}
    batches = open_source(write_folder(tmp_path / "x", files)).batches(0, 6, 2)
    assert [tuple(batch.pixels.shape) for batch in batches] == [
        (2, 3, 4, 4),
        (1, 3, 4, 4),
        (2, 3, 5, 5),
        (1, 3, 4, 4),
    ]


def test_images_that_do_not_exist_are_a_value_error(tmp_path):
    for kind in ("folder", "npy"):
        source = open_source(write(kind, tmp_path))
        for first, count, size in ((5, 3, 2), (-1, 2, 2), (0, 1, 0)):
            with pytest.raises(ValueError, match="source of 7"):
                list(source.batches(first, count, size))


def test_files_without_image_suffix_hidden_files_and_link_loops_are_passed_over(tmp_path):
    root = write(kind="folder", folder=tmp_path)
    write_folder(root, {"labels.csv": b"x", "a/._0.png": b"junk", ".ipynb_checkpoints/0.png": b"junk"})
    (root / "b" / "loop").symlink_to(root, target_is_directory=True)
    (root / "selfish").symlink_to(root / "selfish")
    assert len(open_source(root)) == 7


def test_a_linked_folder_outside_is_read(tmp_path):
    elsewhere = write("folder", tmp_path)
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(elsewhere, target_is_directory=True)
    assert open_source(root).labels is None
    assert len(open_source(root)) == 7


def test_macos_companions_in_a_zip_are_passed_over(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0]), "__MACOSX/._a.png": b"junk", "._a.png": b"junk"})
    assert len(open_source(path)) == 1


@pytest.mark.skipif(os.name == "nt", reason="file names are not bytes there")
def test_file_names_that_are_not_utf8_have_a_name_and_a_digest(tmp_path):
    root = write_folder(tmp_path / "x", {os.fsdecode(b"\xff.png"): png(PIXELS[0])})
    source = open_source(root)
    assert next(source.batches(0, 1, 1)).facts[0].name == "\\xff.png"
    assert source.digest == open_source(write_tar(tmp_path / "x.tar", {"\udcff.png": png(PIXELS[0])})).digest


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cat/0.png", "dog/0.png"], ("cat", "dog")),
        (["train/cat/0.png", "train/dog/x/0.png"], ("cat", "dog")),
        (["images/0.png", "images/1.png"], None),
        (["0.png", "cat/0.png"], None),
        (["0.png"], None),
    ],
)
def test_labels_are_the_folders_below_the_shared_one(names, labels):
    assert class_folders(names) == labels


def test_glob_characters_in_a_parquet_name_match_only_that_file(tmp_path):
    odd = write("parquet", tmp_path).rename(tmp_path / "[a]*?.parquet")
    write_parquet(tmp_path / "axx.parquet", "BLOB", [b"other"])
    assert len(open_source(odd)) == 7


def test_parquet_rows_are_read_across_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_SLICE_ROWS", 64)
    pixels = np.arange(150, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    source = open_source(write_parquet(tmp_path / "x.parquet", "BLOB", [png(p) for p in pixels]))
    assert all_pixels(source, 60, 80, 32)[:, 0, 0, 0].tolist() == list(range(60, 140))


class SlowContainer:
    """Counts the images that have been handed out for decoding."""

    path = Path("slow")
    names = tuple(f"{i}.png" for i in range(200))

    def __init__(self) -> None:
        self.handed_out = 0
        self.threads: set[int] = set()

    def place(self, index):
        return self.names[index]

    def readers(self, first, count):
        for i in range(first, first + count):
            self.handed_out += 1
            yield lambda i=i: self._read(i)

    def _read(self, index):
        self.threads.add(threading.get_ident())
        time.sleep(0.002 if index % 3 else 0.006)  # so that later images are done before earlier ones
        return png(np.full((2, 2, 3), index, np.uint8))


def test_ten_workers_keep_the_order_and_stay_a_batch_ahead():
    container = SlowContainer()
    source = EncodedSource(container, workers=10)
    seen = 0
    for batch in source.batches(0, 200, 8):
        assert batch.pixels[:, 0, 0, 0].tolist() == list(range(seen, seen + 8))
        seen += 8
        # The next batch's first image may have been taken out to see that this one was full.
        assert container.handed_out - seen <= 20 + 1
    assert seen == 200
    assert 2 <= len(container.threads) <= 10


def test_leaving_early_stops_the_threads():
    container = SlowContainer()
    batches = EncodedSource(container, workers=4).batches(0, 200, 4)
    next(batches)
    batches.close()
    assert container.handed_out < 30
    assert not [t for t in threading.enumerate() if t.name.startswith("genbench-images")]


def test_a_read_that_hangs_is_named_and_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(readahead, "PATIENCE", 0.2)
    released = threading.Event()

    class Hanging(SlowContainer):
        def _read(self, index):
            if index == 5:
                released.wait(60)
            return super()._read(index)

    started = time.monotonic()
    with pytest.raises(ImageError, match=r"^5\.png: not read within 0\.2 s") as caught:
        list(EncodedSource(Hanging(), workers=2).batches(2, 100, 3))
    assert time.monotonic() - started < 5
    assert "network file system" in caught.value.hint
    released.set()


def test_one_bad_image_does_not_stop_what_precedes_or_lies_elsewhere(tmp_path):
    files = {f"{i}.png": png(PIXELS[i]) for i in range(6)} | {"3.png": png(PIXELS[3])[:-30]}
    source = open_source(write_folder(tmp_path / "x", files), workers=1)
    assert len(all_pixels(source, 4, 2)) == 2
    batches = source.batches(0, 6, 2)
    assert len(next(batches).facts) == 2
    with pytest.raises(ImageError, match=r"3\.png: the image is truncated or damaged"):
        list(batches)


def test_nothing_that_precedes_is_decoded(tmp_path):
    files = {f"{i}.png": b"not an image" for i in range(5)} | {"5.png": png(PIXELS[0])}
    for path in (write_folder(tmp_path / "x", files), write_zip(tmp_path / "x.zip", files)):
        assert torch.equal(all_pixels(open_source(path), 5, 1)[0], torch.from_numpy(PIXELS[0]).permute(2, 0, 1))


def test_inflated_span_reads_anywhere_as_the_plain_bytes_do(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 4, 300_000, dtype=np.uint8).tobytes()
    plain, packed = tmp_path / "plain", tmp_path / "packed.gz"
    plain.write_bytes(data)
    # Two gzip members in a row and zero padding, as parallel compressors and tapes leave them.
    packed.write_bytes(gzip.compress(data[:100_000]) + gzip.compress(data[100_000:]) + b"\0" * 512)
    inflated, file = InflatedSpan(packed, spacing=20_000), FileSpan(plain)
    for offset, size in zip(rng.integers(0, 310_000, 60).tolist(), rng.integers(0, 50_000, 60).tolist(), strict=True):
        assert inflated.read(offset, size) == file.read(offset, size) == data[offset : offset + size]


def test_an_inflated_span_holds_few_and_small_decompressors_however_long_it_is(tmp_path, monkeypatch):
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(bytes(64 * 2**20)))
    monkeypatch.setattr(spans, "_STARTS", 16)
    span = InflatedSpan(packed, spacing=2**20)
    tracemalloc.start()
    assert span.read(64 * 2**20 - 5, 10) == bytes(5)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    starts = [start.position for start in span._starts]
    assert starts[0] == 0
    assert len(starts) <= 16
    assert max(len(start.inflate.unconsumed_tail) for start in span._starts) <= 16 * 1024
    assert held < 16 * 16 * 1024 + 2**20
    distances = np.diff([*starts, 64 * 2**20])
    assert distances.max() < 2 * distances[0]
    for offset in (63 * 2**20, 5, 2**25 + 1):
        assert span.read(offset, 3) == bytes(3)


def test_an_npz_is_not_loaded_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, np.zeros((400, 64, 64, 3), np.uint8))
    sizes = []
    read = InflatedSpan.read
    monkeypatch.setattr(InflatedSpan, "read", lambda self, at, size: sizes.append(size) or read(self, at, size))
    all_pixels(open_source(path), 100, 40, 10)
    assert max(sizes) == 10 * 64 * 64 * 3


def error_of(path: Path | str) -> ImageError:
    with pytest.raises(ImageError) as caught:
        all_pixels(open_source(path))
    return caught.value


def test_missing_path_and_unknown_kind(tmp_path):
    error = error_of(tmp_path / "nowhere")
    assert "nowhere: no such file or folder" in str(error)
    (tmp_path / "x.rar").write_bytes(b"")
    error = error_of(tmp_path / "x.rar")
    assert "x.rar" in str(error)
    assert ".tar.gz" in error.hint
    with pytest.raises(ValueError, match="0 worker"):
        open_source(tmp_path, workers=0)


def test_no_images_says_which_suffixes_are_looked_for(tmp_path):
    empty = write_folder(tmp_path / "empty", {"readme.txt": b"x"})
    for path in (empty, write_zip(tmp_path / "x.zip", {"a.txt": b"x"}), write_tar(tmp_path / "x.tar", {})):
        error = error_of(path)
        assert f"{path}: holds no images" in str(error)
        assert ".webp" in error.hint


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_a_file_that_is_no_image_is_named_with_its_archive(kind, tmp_path):
    files = {"good.png": png(PIXELS[0]), "sub/text.png": b"hello"}
    path = tmp_path / f"x.{kind}"
    match kind:
        case "folder":
            write_folder(path, files)
        case "zip":
            write_zip(path, files)
        case _:
            write_tar(path, files, "w:gz" if kind == "tar.gz" else "w")
    error = error_of(path)
    assert str(path) in str(error)
    assert "text.png" in str(error)
    assert "not an image" in str(error)
    assert "PNG" in error.hint


def test_an_empty_file_is_named(tmp_path):
    assert "z.png: the file is empty" in str(error_of(write_folder(tmp_path / "x", {"z.png": b""})))
    assert "z.png: the file is empty" in str(error_of(write_zip(tmp_path / "x.zip", {"z.png": b""})))


def test_broken_links_and_devices_with_image_names_are_refused(tmp_path):
    root = write_folder(tmp_path / "x", {"a.png": png(PIXELS[0])})
    (root / "b.png").symlink_to(root / "gone")
    assert "b.png: is named like an image but is not a file" in str(error_of(root))


def test_links_in_archives_are_refused(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("a.png", tarfile.SYMTYPE), ("b.png", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "../../etc/passwd"
            archive.addfile(member)
    error = error_of(path)
    assert "a.png is a link" in str(error)
    assert "--dereference" in error.hint
    with pytest.raises(ImageError, match=r"l\.png is a symbolic link"):
        open_source(zip_of_kind(tmp_path, stat.S_IFLNK))


def zip_of_kind(folder: Path, kind: int) -> Path:
    """A zip file whose one member is of a kind that Unix knows."""
    member = zipfile.ZipInfo("l.png")
    member.create_system, member.external_attr = 3, (kind | 0o644) << 16
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr(member, png(PIXELS[0]))
    return folder / "x.zip"


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_devices_in_a_zip_are_refused(kind, tmp_path):
    with pytest.raises(ImageError, match=r"l\.png is a folder or a device"):
        open_source(zip_of_kind(tmp_path, kind))


@pytest.mark.parametrize("kind", [0, stat.S_IFREG])
def test_a_zip_with_or_without_modes_is_read(kind, tmp_path):
    assert len(all_pixels(open_source(zip_of_kind(tmp_path, kind)))) == 1


def test_a_name_twice_in_an_archive_is_refused(tmp_path):
    image = png(PIXELS[0])
    for path in (
        write_tar(tmp_path / "x.tar", {"a.png": image, "./a.png": image}),
        write_zip(tmp_path / "x.zip", {"a.png": image, "./a.png": image}),
    ):
        assert "holds a.png more than once" in str(error_of(path))


def test_zip_with_other_compression_or_a_password_says_what_to_do(tmp_path):
    path = write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0])}, zipfile.ZIP_LZMA)
    error = error_of(path)
    assert "compressed by method 14" in str(error)
    assert "deflated" in error.hint
    data = bytearray(write_zip(tmp_path / "y.zip", {"a.png": png(PIXELS[0])}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the encryption flag in the central directory
    (tmp_path / "y.zip").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png is encrypted"):
        open_source(tmp_path / "y.zip")


def test_a_zip_that_lies_about_sizes_is_not_believed(tmp_path):
    data = bytearray(write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0])}).read_bytes())
    size_field = data.index(b"PK\x01\x02") + 24
    data[size_field : size_field + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(data)
    assert "too many for one image" in str(error_of(tmp_path / "x.zip"))
    data[size_field : size_field + 4] = (10).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(data)
    assert "CRC" in str(error_of(tmp_path / "x.zip"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_that_lies_about_what_is_packed_is_read_in_the_memory_of_its_image(compression, tmp_path):
    declared = 2**28
    data = bytearray(write_zip(tmp_path / "x.zip", {"a.png": png(PIXELS[0])}, compression).read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 20 : directory + 24] = declared.to_bytes(4, "little")
    place = data.index(b"PK\x05\x06") + 16
    data[place : place + 4] = (directory + declared).to_bytes(4, "little")
    with (tmp_path / "x.zip").open("wb") as file:  # with a hole of that size
        file.write(data[:directory])
        file.seek(declared, os.SEEK_CUR)
        file.write(data[directory:])
    tracemalloc.start()
    try:
        if compression == zipfile.ZIP_STORED:
            assert "a.png has 268,435,456 bytes of" in str(error_of(tmp_path / "x.zip"))
        else:
            assert len(all_pixels(open_source(tmp_path / "x.zip"))) == 1
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    header_says = bytearray(png(np.zeros((1, 1, 3), np.uint8)))
    for side in (20_000, 10_000):  # above Pillow's error limit, and between its warning and its error
        header_says[16:24] = side.to_bytes(4, "big") * 2
        header_says[29:33] = zlib.crc32(header_says[12:29]).to_bytes(4, "big")
        error = error_of(write_folder(tmp_path / str(side), {"bomb.png": bytes(header_says)}))
        assert "bomb.png" in str(error)
        assert "decompression bomb" in str(error)
    monkeypatch.setattr(decode_module, "PIXEL_LIMIT", 29)
    assert "5x6 is more than 29 pixels" in str(error_of(write("zip", tmp_path)))


def save(path: Path, array: np.ndarray, **more: np.ndarray) -> Path:
    np.savez(path, array, **more) if path.suffix == ".npz" else np.save(path, array)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), "holds float32, not uint8"),
        (np.zeros((2, 4, 4, 3), np.int64), "holds int64, not uint8"),
        (np.zeros((2, 3, 4, 4), np.uint8), "which is NCHW"),
        (np.zeros((2, 4, 4), np.uint8), "has 3 dimensions"),
        (np.zeros((2, 4, 4, 4), np.uint8), "4 channels where RGB has three"),
        (np.zeros((2, 4, 4, 1), np.uint8), "1 channels where RGB has three"),
        (np.asfortranarray(np.zeros((2, 4, 4, 3), np.uint8)), "Fortran order"),
    ],
)
def test_arrays_that_are_no_images_come_with_the_command_that_converts_them(suffix, array, says, tmp_path, run_command):
    error = error_of(save(tmp_path / f"it's{suffix}", array))
    assert f"it's{suffix}" in str(error)
    assert says in str(error)
    run_command(error.hint[error.hint.index("python -c ") :])
    converted = open_source(tmp_path / f"it's-rgb{suffix}")
    assert all_pixels(converted).shape == (2, 3, 4, 4)


@pytest.fixture
def run_command():
    """Runs a hint of the form ``python -c CODE`` here, having split it as a shell does."""

    def run(command: str) -> None:
        python, option, code = shlex.split(command)
        assert (python, option) == ("python", "-c")
        exec(compile(code, "hint", "exec"), {})

    return run


def test_npz_without_arr_0_lists_its_keys(tmp_path):
    np.savez(tmp_path / "x.npz", images=PIXELS, labels=np.zeros(7))
    error = error_of(tmp_path / "x.npz")
    assert "no array named arr_0 (its keys: images, labels)" in str(error)


def test_object_arrays_and_no_images_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}, []], object), allow_pickle=True)
    assert "holds object, not uint8" in str(error_of(tmp_path / "o.npy"))
    np.save(tmp_path / "e.npy", np.zeros((0, 4, 4, 3), np.uint8))
    assert "holds no images" in str(error_of(tmp_path / "e.npy"))


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_a_shape_beyond_the_data_is_refused_on_opening(suffix, tmp_path):
    out = io.BytesIO()
    np.save(out, PIXELS)
    array = out.getvalue().replace(b"'shape': (7, ", b"'shape': (9, ")
    path = tmp_path / f"x{suffix}"
    if suffix == ".npz":
        write_zip(path, {"arr_0.npy": array})
    else:
        path.write_bytes(array)
    with pytest.raises(ImageError, match="bytes where its header declares"):
        open_source(path)


def test_a_flipped_bit_in_an_npz_is_found_by_its_digest(tmp_path):
    path = write("npz-stored", tmp_path)
    data = bytearray(path.read_bytes())
    data[400] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match="CRC-32"):
        _ = open_source(path).digest


def test_parquet_without_images_lists_its_columns(tmp_path):
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"COPY (SELECT 1 AS label, 'a' AS caption) TO '{tmp_path / 'x.parquet'}' (FORMAT parquet)")
        connection.execute(
            f"COPY (SELECT ''::BLOB AS left_eye, ''::BLOB AS right_eye) TO '{tmp_path / 'y.parquet'}' (FORMAT parquet)"
        )
    error = error_of(tmp_path / "x.parquet")
    assert "no column of images (its columns: label INTEGER, caption VARCHAR)" in str(error)
    assert "2 columns could be the images: left_eye, right_eye" in str(error_of(tmp_path / "y.parquet"))


def test_parquet_with_a_missing_image_or_no_rows(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", "BLOB", [png(PIXELS[0]), None])
    assert "row 1: holds no bytes" in str(error_of(path))
    assert "has no rows" in str(error_of(write_parquet(tmp_path / "y.parquet", "BLOB", [])))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tgz", "npz", "npy", "parquet"])
def test_a_file_without_permission_is_named(kind, tmp_path):
    path = write(kind, tmp_path)
    path.chmod(0)
    try:
        assert "cannot be read" in str(error_of(path))
    finally:
        path.chmod(0o700)


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "npz", "npy", "parquet"])
def test_a_source_that_disappears_is_an_image_error(kind, tmp_path):
    path = write(kind, tmp_path)
    source = open_source(path)
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        all_pixels(source)


def test_a_file_of_a_folder_that_disappears_is_an_image_error(tmp_path):
    root = write("folder", tmp_path)
    source = open_source(root)
    (root / "c.png").unlink()
    with pytest.raises(ImageError, match=r"c\.png: cannot be read"):
        all_pixels(source)
