"""`genbench explain`: one set of images, every convention of FID."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from genbench.cli.main import run
from genbench.images import emoji32


def test_each_convention_is_what_score_gives_in_its_space(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    emoji = emoji32.load("test").images
    np.save(tmp_path / "images.npy", emoji[:6])
    np.save(tmp_path / "reference.npy", emoji[6:14])
    cache = ["--cache", str(tmp_path / "cache")]
    paths = [str(tmp_path / "images.npy"), "--reference", str(tmp_path / "reference.npy")]
    assert run(["explain", *paths, "--format", "csv", *cache]) == 0
    rows = {row["space"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert len({row["value"] for row in rows.values()}) == 4, "every convention is another number"
    assert float(rows["inception-tf"]["difference"]) == 0
    metrics = ",".join(f"fd@{space}" for space in rows)
    assert run(["score", *paths, "--metrics", metrics, "--no-record", "--format", "csv", *cache]) == 0
    scored = {row["space"]: float(row["value"]) for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert scored == {space: pytest.approx(float(row["value"]), rel=1e-9) for space, row in rows.items()}


def test_statistics_are_refused_as_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "images.npy", emoji32.load("test").images[:2])
    (tmp_path / "statistics.safetensors").write_bytes(b"")
    for reference in ("emoji32-train", str(tmp_path / "statistics.safetensors")):
        assert run(["explain", str(tmp_path / "images.npy"), "--reference", reference]) == 2
        assert "explain needs the reference as images" in capsys.readouterr().err


def test_a_reference_that_is_not_there_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "images.npy", emoji32.load("test").images[:2])
    missing = str(tmp_path / "nope")
    assert run(["explain", str(tmp_path / "images.npy"), "--reference", missing]) == 2
    assert f"error: {missing}: no such file or folder\n" in capsys.readouterr().err
