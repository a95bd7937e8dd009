"""Samples of several runs in one picture."""

import numpy as np
from PIL import Image

from genbench.images.grid import grid, write_png
from zoo.picture import COLUMNS, main


def preview(results, run, value):
    """64 images of one grey, as a run leaves them beside its record."""
    write_png(grid(np.full((64, 3, 8, 8), value, np.uint8)), results / "quick" / run / "20260101T000000Z-00000000.png")


def test_each_run_is_a_row_of_its_first_images(tmp_path, monkeypatch):
    monkeypatch.setenv("GENBENCH_RESULTS", str(tmp_path))
    preview(tmp_path, "a@x", 10)
    preview(tmp_path, "b@x", 200)
    assert main([str(tmp_path / "two.png"), "b@x", "a@x"]) == 0
    pixels = np.asarray(Image.open(tmp_path / "two.png").convert("RGB"))
    assert pixels.shape == (2 + 2 * 10, 2 + COLUMNS * 10, 3)
    assert set(np.unique(pixels[2:10])) == {200, 255}
    assert set(np.unique(pixels[12:20])) == {10, 255}


def test_a_run_without_a_preview_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GENBENCH_RESULTS", str(tmp_path))
    assert main([str(tmp_path / "none.png"), "a@x"]) == 2
    assert "hint: genbench run quick -m a@x" in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()
