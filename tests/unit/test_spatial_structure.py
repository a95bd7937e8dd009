from collections.abc import Callable

import numpy as np
import pytest
import torch

from genbench.errors import FeatureError
from genbench.metrics.spatial import foreground
from genbench.metrics.spatial.foreground import balanced, patch_masks
from genbench.metrics.spatial.structure import PRESETS, cds, lds, mean_over_images, rmsc
from genbench.tokens import arrays, correlogram
from genbench.tokens.grid import Grid, square_grid, square_grid_of_correlogram

RNG = np.random.default_rng(0)
SIXTEEN = Grid(16, 16)
Y, X = np.mgrid[:16, :16]
NOISE = RNG.standard_normal((3, 256, 6)).astype(np.float32)


def correlograms(tokens: np.ndarray, grid: Grid | None = None) -> np.ndarray:
    return correlogram.correlograms(torch.from_numpy(tokens), grid).numpy()


def srss(tokens: np.ndarray, masks: np.ndarray, *, same: int, far: int) -> np.ndarray:
    return foreground.srss(torch.from_numpy(tokens), masks, same=same, far=far)


def thermometer() -> np.ndarray:
    """15 signs for the row and 15 for the column: the cosine of two tokens is 1 - d/15 exactly."""
    signs = np.arange(15)
    rows, columns = (np.where(axis.reshape(-1, 1) > signs, 1.0, -1.0) for axis in (Y, X))
    return np.concatenate([rows, columns], axis=1)


ORACLES = {
    # LDS code, LDS paper, CDS, RMSC; by hand from the number of pairs at each distance and the cosines named here.
    "thermometer": (thermometer(), 0.7510744215, 0.5705253257, 1 / 15, 0.8416254115),
    "constant": (np.ones((256, 4)), 0, 0, 0, 0),
    "checkerboard": (((-1.0) ** (X + Y)).reshape(256, 1), -1.0357973734, -0.1691608842, -0.0952380952, 1),
    "orthogonal": (np.eye(256), 0, 0, 0, (255 / 256) ** 0.5),
    "halves": (np.eye(2)[(Y >= 8).astype(int)].reshape(256, 2), 0.5510569106, 0.4422376449, 0.0498889991, 0.5**0.5),
}


def four(tokens: np.ndarray, grid: Grid = SIXTEEN) -> np.ndarray:
    """LDS by the code, LDS by the paper, CDS, RMSC: (4, N)."""
    g = correlograms(tokens, grid)
    code, paper = PRESETS["code"](grid), PRESETS["paper"](grid)
    return np.array(
        [
            lds(g, grid, near=code.near, far=code.far),
            lds(g, grid, near=paper.near, far=paper.far),
            cds(g, grid, decay=code.decay),
            rmsc(g, grid),
        ]
    )


def gram(tokens: np.ndarray) -> np.ndarray:
    """All cosines of one image's (T, D) tokens, by the definition."""
    unit = tokens.astype(np.float64) / np.linalg.norm(tokens.astype(np.float64), axis=1, keepdims=True)
    return unit @ unit.T


def distances(grid: Grid) -> np.ndarray:
    """(T, T) by the definition."""
    places = [(y, x) for y in range(grid.height) for x in range(grid.width)]
    return np.array([[abs(y - v) + abs(x - u) for v, u in places] for y, x in places])


@pytest.mark.parametrize("scale", [1, 3e-3])
@pytest.mark.parametrize("name", ORACLES)
def test_tokens_whose_structure_is_known_exactly(name: str, scale: float) -> None:
    tokens, *expected = ORACLES[name]
    assert four(scale * tokens[None])[:, 0] == pytest.approx(expected, abs=1e-7)


def test_pairs_of_a_16x16_grid() -> None:
    # Counted over all 65,536 ordered pairs; the first ones are four neighbours less the border's, and so on.
    counted = np.bincount(distances(SIXTEEN).ravel())
    assert SIXTEEN.pairs.tolist() == counted.tolist()
    assert SIXTEEN.pairs[:3].tolist() == [256, 960, 1796]
    assert SIXTEEN.pairs[6:].sum() == 53_300


@pytest.mark.parametrize("grid", [Grid(3, 3), Grid(2, 7), Grid(5, 1)])
def test_the_correlogram_is_the_mean_of_cosines_at_each_distance(grid: Grid) -> None:
    tokens = RNG.standard_normal((4, grid.tokens, 5))
    apart = distances(grid)
    for g, image in zip(correlograms(tokens, grid), tokens, strict=True):
        assert g == pytest.approx([gram(image)[apart == d].mean() for d in range(grid.farthest + 1)], abs=1e-12)


def test_structure_by_the_definitions() -> None:
    apart = distances(SIXTEEN)
    for (code, paper, decay, spread), image in zip(four(NOISE).T, NOISE, strict=True):
        k = gram(image)
        assert code == pytest.approx(k[apart == 1].mean() - k[apart >= 6].mean(), abs=1e-12)
        assert paper == pytest.approx(k[(apart > 0) & (apart < 8)].mean() - k[apart >= 8].mean(), abs=1e-12)
        means = [k[apart == d].mean() for d in range(1, 9)]
        assert decay == pytest.approx(-np.polyfit(range(1, 9), means, 1)[0], abs=1e-12)
        unit = image / np.linalg.norm(image, axis=1, keepdims=True)
        assert spread == pytest.approx(np.mean(np.sum((unit - unit.mean(0)) ** 2, axis=1)) ** 0.5, abs=1e-6)


@pytest.mark.parametrize(
    "moved",
    [
        lambda field: field.transpose(0, 2, 1, 3),
        lambda field: field[:, ::-1],
        lambda field: field[:, :, ::-1],
        lambda field: field * 7,
    ],
    ids=["transposed", "upside down", "mirrored", "longer"],
)
def test_turning_the_grid_changes_nothing(moved: Callable[[np.ndarray], np.ndarray]) -> None:
    turned = moved(NOISE.reshape(3, 16, 16, 6)).reshape(3, 256, 6)
    assert four(turned) == pytest.approx(four(NOISE), abs=1e-6)


def test_shuffled_tokens_keep_their_spread_and_lose_their_structure() -> None:
    tokens = thermometer()[None]
    before, after = four(tokens), four(tokens[:, RNG.permutation(256)])
    assert after[3] == pytest.approx(before[3], abs=1e-9)
    # g is flat but for chance: 0.02 is three standard deviations of LDS over permutations.
    assert np.abs(after[:3, 0]).max() < 0.1 < before[0, 0]


@pytest.mark.parametrize("numbers", [1, 5_000, 2**22])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    whole, masks = correlograms(NOISE), NOISE[..., 0] > 0
    contrast = srss(NOISE, masks, same=1, far=6)
    monkeypatch.setattr(arrays, "_BLOCK_NUMBERS", numbers)
    assert correlograms(NOISE) == pytest.approx(whole, abs=1e-14)
    assert srss(NOISE, masks, same=1, far=6) == pytest.approx(contrast, abs=1e-13)


def test_a_token_of_zeros_is_like_no_other() -> None:
    tokens = np.ones((1, 256, 3))
    tokens[0, 0] = 0
    g = correlograms(tokens)[0]
    assert g[0] == pytest.approx(255 / 256)
    assert g[30] == pytest.approx(0.5)  # two of the four pairs of opposite corners have it
    assert correlograms(np.zeros((1, 256, 3))) == pytest.approx(np.zeros((1, 31)))


def test_presets() -> None:
    assert PRESETS["code"](SIXTEEN) == (1, 6, 1, 8)
    assert PRESETS["paper"](SIXTEEN) == (7, 8, 8, 8)
    # H/2 = 7.5: near is 0 < d < 7.5, far d >= 7.5.
    assert PRESETS["paper"](Grid(15, 15)) == (7, 8, 7, 8)


@pytest.mark.parametrize("preset", PRESETS)
def test_srss_by_its_definition(preset: str) -> None:
    ranges = PRESETS[preset](SIXTEEN)
    masks = np.stack([(Y - 7) ** 2 + (X - 7) ** 2 < 20, Y > 9, RNG.random((16, 16)) < 0.3]).reshape(3, 256)
    apart = distances(SIXTEEN)
    found = srss(NOISE, masks, same=ranges.same, far=ranges.far)
    for value, image, mask in zip(found, NOISE, masks, strict=True):
        k, contrasts = gram(image), []
        for anchor in np.flatnonzero(mask):
            same = mask & (apart[anchor] >= 1) & (apart[anchor] <= ranges.same)
            other = ~mask & (apart[anchor] >= ranges.far)
            if same.any() and other.any():
                contrasts.append(k[anchor, same].mean() - k[anchor, other].mean())
        assert value == pytest.approx(np.mean(contrasts), abs=1e-12)


def test_srss_of_an_object_unlike_its_background() -> None:
    # Inside all alike (1), across orthogonal (0).
    tokens, mask = np.eye(2)[(Y >= 8).astype(int)].reshape(1, 256, 2), (Y >= 8).reshape(1, 256)
    assert srss(tokens, mask, same=1, far=6) == pytest.approx([1])


def test_masks_without_an_object_or_without_background_have_no_srss() -> None:
    empty, full, dot = np.zeros(256, bool), np.ones(256, bool), np.arange(256) == 100
    values = srss(NOISE, np.stack([empty, full, dot]), same=1, far=6)
    assert np.isnan(values).all()
    with pytest.raises(FeatureError, match="none of 3 images has a value"):
        mean_over_images(values)


def test_background_that_is_all_near_gives_no_srss() -> None:
    tokens, mask = NOISE[:1, :9], np.arange(9)[None] < 4
    assert np.isnan(srss(tokens, mask, same=1, far=6)).all()
    assert np.isfinite(srss(tokens, mask, same=1, far=3)).all()


def test_patch_masks_take_a_patch_with_any_pixel() -> None:
    masks = np.zeros((2, 256, 256), np.uint8)
    masks[0, 15, 16] = 1
    masks[1, 255, 255] = 200
    assert np.argwhere(patch_masks(masks, SIXTEEN)).tolist() == [[0, 1], [1, 255]]
    # 32 pixels to 14 patches: pixel 16 begins patch 7 (2.29 a patch), and patch 6 ends at 16.
    row = np.zeros((1, 32, 32))
    row[0, :, 16] = 1
    assert np.argwhere(patch_masks(row, Grid(14, 14))[0, :14]).ravel().tolist() == [7]
    row[0, :, 15] = 1
    assert np.argwhere(patch_masks(row, Grid(14, 14))[0, :14]).ravel().tolist() == [6, 7]


def test_balanced_masks_leave_a_quarter_to_both_sides() -> None:
    masks = np.arange(256) < np.array([63, 64, 192, 193])[:, None]
    assert balanced(masks).tolist() == [False, True, True, False]


def test_means_carry_their_standard_error() -> None:
    values = np.array([1.0, np.nan, 3.0, 5.0])
    mean = mean_over_images(values)
    assert (mean.value, mean.n) == (3, 3)
    assert mean.stderr == pytest.approx(2 / 3**0.5)
    assert mean_over_images(values[:1]) == (1, None, 1)


def test_a_single_image_has_structure() -> None:
    assert np.isfinite(four(NOISE[:1])).all()


@pytest.mark.parametrize("count", [0, 2, 197, 257, 261])
def test_tokens_that_are_no_square_grid_are_refused(count: int) -> None:
    with pytest.raises(FeatureError, match="no square grid"):
        correlograms(np.ones((2, count, 3)))


def test_a_grid_that_is_not_square_can_be_given() -> None:
    assert square_grid(196) == Grid(14, 14)
    assert correlograms(np.ones((1, 12, 3)), Grid(2, 6)).shape == (1, 7)
    with pytest.raises(FeatureError, match="do not fill a grid of 5x3"):
        correlograms(np.ones((1, 12, 3)), Grid(5, 3))


@pytest.mark.parametrize("count", [-1, 0, 30])
def test_distances_that_are_of_no_square_grid_are_refused(count: int) -> None:
    assert square_grid_of_correlogram(SIXTEEN.farthest + 1) == SIXTEEN
    with pytest.raises(FeatureError, match="not those of a square grid"):
        square_grid_of_correlogram(count)


def test_tokens_that_are_not_finite_are_named() -> None:
    tokens = NOISE.copy()
    tokens[2, 17, 3] = np.nan
    # The engine names the image whose features are not finite; SRSS, where NaN means no mask, names it itself.
    assert np.isnan(correlograms(tokens)).any(axis=1).tolist() == [False, False, True]
    with pytest.raises(FeatureError, match="tokens of image 2"):
        srss(tokens, tokens[..., 0] > 0, same=1, far=6)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.ones((256, 3)), "shape"),
        (np.ones((0, 256, 3)), "shape"),
        (np.ones((2, 256, 0)), "shape"),
        (np.ones((2, 256, 3), np.float16), "float16"),
        (np.ones((2, 256, 3), int), "int64"),
    ],
)
def test_arrays_that_are_no_tokens_are_refused(tokens: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        correlograms(tokens)


def test_grids_too_small_for_a_statistic_are_refused() -> None:
    grid = Grid(4, 4)
    g = correlograms(NOISE[:, :16])
    with pytest.raises(FeatureError, match="4x4"):
        cds(g, grid, decay=8)
    with pytest.raises(FeatureError, match="far d >= 7"):
        lds(g, grid, near=1, far=7)
    with pytest.raises(FeatureError, match=r"near d = 1..0"):
        lds(g, grid, near=0, far=2)
    with pytest.raises(FeatureError, match="not of a 16x16 grid"):
        rmsc(g, SIXTEEN)


def test_masks_of_another_kind_are_refused() -> None:
    for masks in (np.ones((3, 255), bool), np.ones((3, 256), np.uint8), np.ones((2, 256), bool)):
        with pytest.raises(FeatureError, match="boolean masks of shape"):
            srss(NOISE, masks, same=1, far=6)
    with pytest.raises(FeatureError, match="masks of shape"):
        patch_masks(np.ones((2, 8, 8, 3)), SIXTEEN)
