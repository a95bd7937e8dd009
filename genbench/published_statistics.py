"""Reference statistics in the formats that other tools publish: an .npz of means and covariances, by convention.

None of these files says which network, resize or number of images it is of; whoever imports one has to. The formats:

- ``adm``: guided-diffusion's ``VIRTUAL_*.npz``: ``mu, sigma`` (pool3) and ``mu_s, sigma_s`` (spatial) of the whole
  training set, and 10,000 of its images as ``arr_0``, which serve precision and recall alone.
- ``edm`` (``fid-refs/*.npz``) and ``torch-fidelity`` (the fork's ``fid_statistics_file``): ``mu, sigma`` of pool3.
- ``pytorch-fid`` and ``clean-fid``: ``mu, sigma`` under their own resizes, hence in spaces of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from zipfile import ZipInfo

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError, ImageError, unknown
from genbench.features import spaces
from genbench.images import npy, zipped
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

_ROUNDING = float(np.finfo(np.float32).eps)
"""What float32, in which some tools work, leaves in place of a zero eigenvalue, over the largest one and √d. Of 2,048
eigenvalues of Inception's features of 3,404 images none is as small."""


class Published(NamedTuple):
    """What a file holds."""

    moments: dict[str, Moments]
    """By feature space."""
    has_images: bool
    """Whether images lie beside the moments, as ``arr_0``."""


def read(path: Path, form: str, n: int) -> Published:
    """Read published statistics of `n` images.

    Nothing is read but arrays of the right shapes, so that a file cannot ask for more memory than moments take.

    Raises `UsageError` for an unknown format, and `FeatureError` for a file that cannot be read (pickles are not) or
    lacks the format's arrays, and for arrays that are not moments of its spaces, or not of as few images as `n`.
    """
    if form not in FORMATS:
        raise unknown("statistics format", form, FORMATS)
    if path.suffix.lower() != ".npz":
        raise FeatureError(
            f"{path}: statistics are read from .npz files",
            hint="a .pkl runs code when it is loaded: convert it where you trust it, with numpy.savez(mu=…, sigma=…)",
        )
    try:
        arrays = {member.filename.removesuffix(".npy"): member for member in zipped.members(path)}
        moments = {
            space: _moments(path, space, arrays, keys, n)
            for space, keys in FORMATS[form].items()
            if form != "adm" or keys[0] in arrays
        }
    except ImageError as error:
        raise FeatureError(f"not a readable .npz of arrays: {error}", hint="fetch the file again") from error
    if not moments:
        raise FeatureError(f"{path}: holds no mu and sigma", hint="`genbench reference build` makes them from images")
    return Published(moments, has_images="arr_0" in arrays)


def _moments(path: Path, space: str, arrays: Mapping[str, ZipInfo], keys: tuple[str, str], n: int) -> Moments:
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise FeatureError(
            f"{path}: no array {missing[0]} (it holds {', '.join(arrays)})",
            hint=f"name the right format: {', '.join(FORMATS)}",
        )
    width = spaces.get(space).width
    shapes = [(width,), (width, width)]
    headers = [_header(path, arrays[key]) for key in keys]
    if [header.shape for header in headers] != shapes:
        mean_shape, cov_shape = (header.shape for header in headers)
        raise FeatureError(
            f"{path}: {keys[0]} {mean_shape} and {keys[1]} {cov_shape} are not moments in {space} of width {width}",
            hint="name the right format, or build the reference from images",
        )
    mean, cov = (_floats(path, arrays[key], header) for key, header in zip(keys, headers, strict=True))
    if not np.isfinite(mean).all():
        raise FeatureError(f"{path}: {keys[0]} is not finite", hint="fetch it again")
    cov = _symmetric(path, keys[1], cov)
    _check_rank(path, keys[1], cov, n)
    return Moments(n, mean, cov * (n - 1))


def _header(path: Path, member: ZipInfo) -> npy.Header:
    header = npy.read_header(path, zipped.span(path, member))
    if header.dtype.kind != "f" or member.file_size != header.size:
        raise FeatureError(
            f"{path}: not a readable .npz of floats ({member.filename}: {header.dtype} in {member.file_size:,} bytes)",
            hint="fetch the file again",
        )
    return header


def _floats(path: Path, member: ZipInfo, header: npy.Header) -> npt.NDArray[np.float64]:
    values = np.frombuffer(zipped.read(path, member), header.dtype, offset=header.start)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C").astype(np.float64)


def _symmetric(path: Path, key: str, cov: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not np.isfinite(cov).all() or np.abs(cov - cov.T).max() > _SYMMETRY * np.abs(cov).max():
        raise FeatureError(f"{path}: {key} is not a covariance (not finite, or not symmetric)", hint="fetch it again")
    return (cov + cov.T) / 2


def _check_rank(path: Path, key: str, cov: npt.NDArray[np.float64], n: int) -> None:
    """Raise `FeatureError` where `cov` varies in more directions than `n` images span.

    A distance would leave out the directions beyond n - 1 as rounding, and be another one.
    """
    largest = np.abs(cov).max()
    if n > len(cov) or not largest:
        return
    values = np.linalg.eigvalsh(cov / largest)
    rank = int((values > values[-1] * len(cov) ** 0.5 * _ROUNDING).sum())
    if rank > n - 1:
        raise FeatureError(
            f"{path}: {key} is of rank {rank:,}, and a covariance of {n:,} images is of rank {n - 1:,} at most",
            hint="say how many images the statistics are of",
        )
