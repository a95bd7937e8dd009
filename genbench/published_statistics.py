"""Reference statistics in the formats that other tools publish: an .npz of means and covariances, by convention.

None of these files says which network, resize or number of images it is of; whoever imports one has to. The formats:

- ``adm``: guided-diffusion's ``VIRTUAL_*.npz``: ``mu, sigma`` (pool3) and ``mu_s, sigma_s`` (spatial) of the whole
  training set, and 10,000 of its images as ``arr_0``, which serve precision and recall alone.
- ``edm`` (``fid-refs/*.npz``) and ``torch-fidelity`` (the fork's ``fid_statistics_file``): ``mu, sigma`` of pool3.
- ``pytorch-fid`` and ``clean-fid``: ``mu, sigma`` under their own resizes, hence in spaces of their own.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError, unknown
from genbench.features import spaces
from genbench.metrics.moments import Moments

_POOL, _SPATIAL = ("mu", "sigma"), ("mu_s", "sigma_s")

FORMATS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "adm": {"inception-tf": _POOL, "inception-tf/spatial": _SPATIAL},
        "edm": {"inception-tf": _POOL},
        "torch-fidelity": {"inception-tf": _POOL},
        "pytorch-fid": {"inception-torch": _POOL},
        "clean-fid": {"inception-clean": _POOL},
    }
)
"""By format: which feature space which pair of arrays is of."""

_SYMMETRY = 1e-6
"""Largest difference of a covariance from its transpose that is rounding, relative to its largest value."""


class Published(NamedTuple):
    """What a file holds."""

    moments: dict[str, Moments]
    """By feature space."""
    has_images: bool
    """Whether images lie beside the moments, as ``arr_0``."""


def read(path: Path, form: str, n: int) -> Published:
    """Read published statistics of `n` images.

    Raises `UsageError` for an unknown format, and `FeatureError` for a file that cannot be read (pickles are not) or
    lacks the format's arrays, and for arrays that are not moments of its spaces.
    """
    if form not in FORMATS:
        raise unknown("statistics format", form, FORMATS)
    if path.suffix.lower() != ".npz":
        raise FeatureError(
            f"{path}: statistics are read from .npz files",
            hint="a .pkl runs code when it is loaded: convert it where you trust it, with numpy.savez(mu=…, sigma=…)",
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            moments = {
                space: _moments(path, space, archive, keys, n)
                for space, keys in FORMATS[form].items()
                if form != "adm" or keys[0] in archive.files
            }
            has_images = "arr_0" in archive.files
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FeatureError(f"{path}: not a readable .npz of arrays ({error})", hint="fetch the file again") from error
    if not moments:
        raise FeatureError(f"{path}: holds no mu and sigma", hint="`genbench reference build` makes them from images")
    return Published(moments, has_images)


def _moments(path: Path, space: str, archive: np.lib.npyio.NpzFile, keys: tuple[str, str], n: int) -> Moments:
    missing = [key for key in keys if key not in archive.files]
    if missing:
        raise FeatureError(
            f"{path}: no array {missing[0]} (it holds {', '.join(archive.files)})",
            hint=f"name the right format: {', '.join(FORMATS)}",
        )
    mean, cov = (np.asarray(archive[key]) for key in keys)
    width = spaces.get(space).width
    if mean.shape != (width,) or cov.shape != (width, width):
        raise FeatureError(
            f"{path}: {keys[0]} {mean.shape} and {keys[1]} {cov.shape} are not moments in {space} of width {width}",
            hint="name the right format, or build the reference from images",
        )
    return Moments(n, mean.astype(np.float64), _symmetric(path, keys[1], cov) * (n - 1))


def _symmetric(path: Path, key: str, cov: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    exact = cov.astype(np.float64)
    if not np.isfinite(exact).all() or np.abs(exact - exact.T).max() > _SYMMETRY * np.abs(exact).max():
        raise FeatureError(f"{path}: {key} is not a covariance (not finite, or not symmetric)", hint="fetch it again")
    return (exact + exact.T) / 2
