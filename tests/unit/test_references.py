"""Reference statistics: made from images, taken over from other tools' files, fetched from an address."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genbench import published_statistics
from genbench.cli.main import run
from genbench.errors import ConfigError, FeatureError, UsageError
from genbench.features import spaces
from genbench.features.haar import haar_packets
from genbench.images import emoji32
from genbench.metrics.frechet_forms import wavelet_distance
from genbench.metrics.moments import Moments
from genbench.metrics.reference import Reference
from genbench.references import Shelf, from_published

WIDTH = 2048


@functools.cache
def moments(width: int = WIDTH, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed).standard_normal((40, width))
    return draws.mean(0), np.cov(draws, rowvar=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mean, cov = moments()
    path = tmp_path_factory.mktemp("plain") / "stats.npz"
    np.savez(path, mu=mean, sigma=cov)
    return path


@pytest.mark.parametrize(
    ("form", "space"),
    [
        ("edm", "inception-tf"),
        ("torch-fidelity", "inception-tf"),
        ("pytorch-fid", "inception-torch"),
        ("clean-fid", "inception-clean"),
    ],
)
def test_mu_and_sigma_keep_their_values_in_the_formats_space(plain: Path, form: str, space: str) -> None:
    mean, cov = moments()
    ((found, read),) = published_statistics.read(plain, form, 50_000).moments.items()
    assert (found, read.n) == (space, 50_000)
    np.testing.assert_array_equal(read.mean, mean)
    np.testing.assert_allclose(read.cov, cov, rtol=1e-12, atol=1e-15)


def test_an_adm_file_gives_both_spaces_and_features_of_its_images(tmp_path: Path) -> None:
    (mu, sigma), (mu_s, sigma_s) = moments(), moments(2023, 1)
    images = emoji32.load("test").images[:6]
    np.savez(tmp_path / "VIRTUAL.npz", arr_0=images, mu=mu, sigma=sigma, mu_s=mu_s, sigma_s=sigma_s)
    made = from_published(
        tmp_path / "VIRTUAL.npz", "adm", 1_281_167, device="cpu", cache=tmp_path / "cache", batch_size=4
    )
    assert {name: (r.n, r.n_features, r.width) for name, r in made.items()} == {
        "inception-tf": (1_281_167, 6, 2048),
        "inception-tf/spatial": (1_281_167, 6, 2023),
    }
    np.testing.assert_array_equal(made["inception-tf/spatial"].mean, mu_s)
    with pytest.raises(UsageError, match="images of 32x32, the suite asks for 64x64"):
        from_published(tmp_path / "VIRTUAL.npz", "adm", 40, device="cpu", cache=tmp_path, batch_size=4, resolution=64)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(WIDTH)}, "no array sigma"),
        ({"mu": np.zeros(64), "sigma": np.eye(64)}, r"not moments in inception-tf of width 2048"),
        ({"mu": np.zeros(WIDTH), "sigma": np.triu(np.ones((WIDTH, WIDTH)))}, "not a covariance"),
        ({"mu": np.zeros(WIDTH), "sigma": np.full((WIDTH, WIDTH), np.nan)}, "not a covariance"),
    ],
)
def test_files_that_are_not_what_the_format_says(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(FeatureError, match=message):
        published_statistics.read(tmp_path / "bad.npz", "edm", 100)


def test_files_that_cannot_be_read(tmp_path: Path, plain: Path) -> None:
    (tmp_path / "stats.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(FeatureError, match=r"read from \.npz"):
        published_statistics.read(tmp_path / "stats.pkl", "edm", 100)
    (tmp_path / "cut.npz").write_bytes(plain.read_bytes()[:1000])
    with pytest.raises(FeatureError, match=r"not a readable \.npz"):
        published_statistics.read(tmp_path / "cut.npz", "edm", 100)
    np.savez(tmp_path / "code.npz", mu=np.array([{}], dtype=object), sigma=np.eye(2))
    with pytest.raises(FeatureError, match=r"not a readable \.npz"):
        published_statistics.read(tmp_path / "code.npz", "edm", 100)
    with pytest.raises(UsageError, match="no statistics format named 'admm'"):
        published_statistics.read(plain, "admm", 100)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    mean, cov = moments()
    np.savez(folder / "stats.npz", mu=mean, sigma=cov)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/stats.npz"
        server.shutdown()


def test_a_published_reference_is_fetched_and_converted_once(tmp_path: Path, address: str) -> None:
    registry = tmp_path / "registry"
    (registry / "references").mkdir(parents=True)
    (registry / "references" / "edm-set.toml").write_text(
        f'format = "edm"\nfile = "set.npz"\nurl = "{address}"\nn = 50000\ndataset = "set"\nresolution = 32\n'
    )
    shelf = Shelf([registry], tmp_path / "cache")
    wanted = {"inception-tf": spaces.get("inception-tf")}
    first = shelf.load("edm-set", wanted)
    assert first.facts.n == {"inception-tf": 50_000}
    np.testing.assert_array_equal(first.by_space["inception-tf"].mean, moments()[0])
    (tmp_path / "served" / "stats.npz").unlink()
    assert shelf.load("edm-set", wanted).facts == first.facts
    (converted,) = (tmp_path / "cache" / "references").rglob("*.safetensors")
    converted.unlink()  # a process was killed between two spaces
    assert shelf.load("edm-set", wanted).facts == first.facts
    assert shelf.names() == ["edm-set"]
    with pytest.raises(UsageError, match="'edm-set' has no statistics in effnet-lite0"):
        shelf.load("edm-set", {"effnet-lite0": spaces.get("effnet-lite0")})
    with pytest.raises(UsageError, match="no reference named 'edm-sett'"):
        shelf.load("edm-sett", wanted)


def test_a_published_reference_is_converted_again_when_its_facts_or_its_space_change(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "registry/references/edm-set.toml"
    toml.parent.mkdir(parents=True)
    says = 'format = "{}"\nfile = "set.npz"\nurl = "{}"\nn = {}\ndataset = "set"\nresolution = 32\n'
    shelf = Shelf([tmp_path / "registry"], tmp_path / "cache")
    wanted = {"inception-tf": spaces.get("inception-tf")}

    toml.write_text(says.format("edm", address, 50_000))
    first = shelf.load("edm-set", wanted)
    toml.write_text(says.format("edm", address, 60_000))
    assert shelf.load("edm-set", wanted).facts.n == {"inception-tf": 60_000}
    toml.write_text(says.format("torch-fidelity", address, 50_000))
    assert shelf.load("edm-set", wanted).by_space["inception-tf"].source["format"] == "torch-fidelity"

    toml.write_text(says.format("edm", address, 50_000))
    raised = replace(wanted["inception-tf"], version=2)
    monkeypatch.setattr(spaces, "SPACES", {**spaces.SPACES, "inception-tf": raised})
    assert shelf.load("edm-set", {"inception-tf": raised}).by_space["inception-tf"].space_digest == raised.digest
    monkeypatch.undo()
    assert shelf.load("edm-set", wanted).facts == first.facts
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 4


def test_a_published_reference_stays_inside_the_cache(tmp_path: Path) -> None:
    toml = tmp_path / "references/edm-set.toml"
    toml.parent.mkdir()
    toml.write_text('format = "edm"\nfile = "../x"\nurl = "http://x"\nn = 5\ndataset = "set"\nresolution = 32\n')
    with pytest.raises(ConfigError, match=r"edm-set\.toml: file: should be a file name inside .*, not '\.\./x'"):
        Shelf([tmp_path], tmp_path / "cache").load("edm-set", {"inception-tf": spaces.get("inception-tf")})


def test_build_then_score_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "set.npy", emoji32.load("test").images[:20])
    cache = ["--cache", str(tmp_path / "cache")]
    out = str(tmp_path / "registry")
    build = ["reference", "build", str(tmp_path / "set.npy"), "--name", "my-set", "--space", "effnet-lite0"]
    assert run([*build, "--keep", "10", "--out", out, *cache]) == 0
    made = Reference.load(tmp_path / "registry/references/my-set/effnet-lite0.safetensors")
    assert (made.n, made.n_features) == (20, 10)
    score = ["score", str(tmp_path / "set.npy"), "--reference", "my-set", "--metrics", "fd@effnet-lite0"]
    capsys.readouterr()
    assert run([*score, "--registry", out, "--no-record", "--format", "csv", *cache]) == 0
    value = float(capsys.readouterr().out.splitlines()[1].split(",")[2])
    assert value == pytest.approx(0, abs=1e-3)  # the stored covariance is rounded to float32


def test_a_reference_of_wavelet_packets_holds_their_covariances_and_serves_fwd(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = emoji32.load("test").images
    np.save(tmp_path / "set.npy", images[:20])
    np.save(tmp_path / "others.npy", images[30:50])
    out, cache = str(tmp_path / "registry"), ["--cache", str(tmp_path / "cache")]
    build = ["reference", "build", str(tmp_path / "set.npy"), "--name", "my-set", "--space", "pixels/haar4"]
    assert run([*build, "--keep", "0", "--out", out, *cache]) == 0
    made = Reference.load(tmp_path / "registry/references/my-set/pixels_haar4.safetensors")
    assert (made.cov.shape, made.version) == ((256, 12, 12), "2")

    score = ["score", str(tmp_path / "others.npy"), "--registry", out, "--no-record", "--format", "csv", *cache]
    capsys.readouterr()
    assert run([*score, "--reference", "my-set", "--metrics", "fwd"]) == 0
    value = float(capsys.readouterr().out.splitlines()[1].split(",")[2])
    sides = (haar_packets(torch.from_numpy(s.transpose(0, 3, 1, 2) / 255.0)) for s in (images[30:50], images[:20]))
    ours, theirs = (side.reshape(20, -1).float().numpy() for side in sides)
    assert value == pytest.approx(wavelet_distance(ours, Moments.from_features(theirs)).value, rel=1e-5)
    assert run([*score, "--reference", "my-set", "--metrics", "fd@pixels/haar4"]) == 2
    assert "fd@pixels/haar4 reads a whole covariance" in capsys.readouterr().err


def test_build_wants_a_suite_or_a_name_with_spaces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reference", "build", str(tmp_path), "--name", "x"]) == 2
    assert "hint:" in capsys.readouterr().err


def suite_file(folder: Path, metrics: list[str], reference: str) -> str:
    path = folder / "small.toml"
    path.write_text(
        'id = "small"\ntitle = "t"\ndataset = "emoji32"\nresolution = 32\nimages = 9\nlabels = "empirical"\n'
        f'{reference}\nmetrics = {metrics}\nruns = ["*"]\n'
    )
    return str(path)


def test_build_for_a_suite_makes_what_its_metrics_compare_with(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", emoji32.load("test").images[:9])
    # Vendi compares with nothing: its space needs no reference, nor the network that it would take.
    suite = suite_file(tmp_path, ["fd@effnet-lite0", "vendi@inception-tf/logits"], 'reference = "mine"')
    options = ["--suite", suite, "--out", str(tmp_path / "registry"), "--cache", str(tmp_path / "cache")]
    assert run(["reference", "build", str(tmp_path / "set.npy"), *options]) == 0
    made = [path.relative_to(tmp_path / "registry").as_posix() for path in tmp_path.rglob("*.safetensors")]
    assert made == ["references/mine/effnet-lite0.safetensors"]


def test_a_suite_without_a_reference_has_none_to_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "set.npy", emoji32.load("test").images[:9])
    suite = suite_file(tmp_path, ["clip-score"], 'prompts = "a {class}"')
    assert run(["reference", "build", str(tmp_path / "set.npy"), "--suite", suite]) == 2
    assert "names no reference" in capsys.readouterr().err
