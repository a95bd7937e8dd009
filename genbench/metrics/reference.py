"""The reference that generated images are compared with: moments, and features of a fixed subset; one file a space.

File: safetensors with ``mean`` (d,) float64, ``cov_upper`` (d(d+1)/2,) float32, the upper triangle row by row (8.4 MB
at d = 2048), and optionally ``features`` (m, d) float16 with ``indices`` (m,) int64 and, where the classes of these
images are known, ``labels`` (m,) int64. Metadata: format, version, space, space_digest, n, source; class_names.
In version 2, of features that come in P packets of s, ``cov_upper`` is (P, s(s+1)/2), that within each packet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from genbench.digest import canonical, canonical_safetensors
from genbench.errors import FeatureError, StoreError
from genbench.files import write_atomically
from genbench.metrics.inputs import Features, Float64, check_features
from genbench.metrics.labels import Labels
from genbench.metrics.moments import Moments, symmetric_factor
from genbench.metrics.packets import PacketMoments

FORMAT = "genbench-reference"
VERSION = "1"
PACKET_VERSION = "2"
"""Of files that hold covariances of packets."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Moments of a reference set in one feature space, with the features themselves where pairs are compared."""

    space: str
    """Name of the feature space, e.g. ``inception-tf``."""
    space_digest: str
    """Digest of the space: extractor, preprocessing, layer, weights."""
    n: int
    """Images that `mean` and `cov` are of."""
    mean: Float64
    """(d,)."""
    cov: Float64
    """(d, d), symmetric, divided by n - 1; or (P, d/P, d/P), that within each of P packets of features."""
    features: npt.NDArray[np.float32] | None = None
    """(m, d) of the fixed subset, or of all images."""
    indices: npt.NDArray[np.int64] | None = None
    """(m,): which of the n images `features` are of."""
    labels: Labels | None = None
    """Classes of the m images whose features are here; None where they are not known."""
    source: Mapping[str, str] = field(default_factory=dict)
    """Where the images came from, as text: data set, sha256, resolution, genbench version. Not part of `digest`."""

    def __post_init__(self) -> None:
        d = self.width
        shapes = {"mean": self.mean.shape == (d,), "cov": self._cov_fits()}
        if self.features is not None:
            shapes["features"] = self.features.ndim == 2 and self.features.shape[1] == d
            shapes["indices"] = self.indices is not None and self.indices.shape == self.features.shape[:1]
        wrong = [name for name, fits in shapes.items() if not fits]
        if wrong or self.n < 2:
            problem = f"{', '.join(wrong)} not of width {d}" if wrong else f"{self.n} image(s), at least 2 are needed"
            raise FeatureError(f"{self.space} reference: {problem}", hint="build the reference again")
        if self.labels is not None:
            self.labels.check(self.n_features, f"{self.space} reference")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.cov).all()):
            raise FeatureError(
                f"{self.space} reference: NaN or infinity in its moments", hint="build the reference again"
            )

    def _cov_fits(self) -> bool:
        packets, d = self.packets, self.width
        if packets == 1:
            return self.cov.shape == (d, d)
        return packets > 1 and self.cov.shape == (packets, d // packets, d // packets) and d % packets == 0

    @classmethod
    def from_features(
        cls,
        features: Features,
        *,
        space: str,
        space_digest: str,
        keep: int | Literal["all"] = "all",
        packets: int = 1,
        labels: Labels | None = None,
        source: Mapping[str, str] | None = None,
    ) -> Reference:
        """Reference of (N, d) features, N >= 2, holding the features of `keep` of them (0: moments only).

        Of features in several `packets` the covariance within each is kept alone. `labels` are those of all N images;
        they are kept with the features. Raises `FeatureError` for fewer than 2 rows, for NaN or infinity, for labels
        that are not one an image, and where d is no multiple of `packets`.
        """
        what = f"{space} reference features"
        check_features(features, what)
        if labels is not None:
            labels.check(len(features), f"{space} reference")
        chosen = fixed_subset(len(features), len(features) if keep == "all" else keep)
        return cls.from_moments(
            Moments.from_features(features, what)
            if packets == 1
            else PacketMoments.from_features(features, packets, what),
            space=space,
            space_digest=space_digest,
            features=features[chosen] if len(chosen) else None,
            indices=chosen if len(chosen) else None,
            labels=labels.of(chosen) if labels and len(chosen) else None,
            source=source,
        )

    @classmethod
    def from_moments(
        cls,
        moments: Moments | PacketMoments,
        *,
        space: str,
        space_digest: str,
        features: Features | None = None,
        indices: npt.NDArray[np.int64] | None = None,
        labels: Labels | None = None,
        source: Mapping[str, str] | None = None,
    ) -> Reference:
        """Reference of merged moments; `features` (m, d) are of the images `indices` (m,), see `fixed_subset`."""
        kept = None if features is None else np.ascontiguousarray(features, np.float32)
        return cls(space, space_digest, moments.n, moments.mean, moments.cov, kept, indices, labels, dict(source or {}))

    @property
    def width(self) -> int:
        """d, the number of features an image."""
        return len(self.mean)

    @property
    def packets(self) -> int:
        """P, in how many packets `cov` is; 1 where it is whole."""
        return len(self.cov) if self.cov.ndim == 3 else 1

    @property
    def version(self) -> str:
        """Of its file."""
        return VERSION if self.packets == 1 else PACKET_VERSION

    @property
    def n_features(self) -> int:
        """m, how many images have their features here; 0 where it carries moments only."""
        return 0 if self.features is None else len(self.features)

    @cached_property
    def factor(self) -> Float64:
        """`symmetric_factor` of `cov`, (d, r); computed once and kept. Raises `FeatureError` for that of packets."""
        self.check_whole("a factor of the covariance")
        return symmetric_factor(self.cov, self.n - 1)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what a file of this reference holds, but for `source`; the same before `save` and after `load`."""
        identity: dict[str, Any] = {"space": self.space, "space_digest": self.space_digest, "n": self.n}
        identity["version"] = self.version
        if self.labels is not None:  # left out without labels, so that digests from before there were any stay valid
            identity["class_names"] = self.labels.names
        sha = hashlib.sha256(canonical(identity).encode())
        for name, array in sorted(self._tensors().items()):
            sha.update(f"{name}:{array.dtype}:{array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    def _tensors(self) -> dict[str, npt.NDArray[Any]]:
        rows, columns = np.triu_indices(self.cov.shape[-1])
        upper = self.cov[..., rows, columns].astype(np.float32, order="C")  # safetensors writes the bytes as they lie
        tensors: dict[str, npt.NDArray[Any]] = {"mean": self.mean, "cov_upper": upper}
        if self.features is not None and self.indices is not None:
            tensors |= {"features": _compact(self.features), "indices": self.indices.astype(np.int64)}
        if self.labels is not None:
            tensors["labels"] = self.labels.classes.astype(np.int64)
        return tensors

    def save(self, path: Path) -> None:
        """Write the file under a temporary name and rename it, so that `path` is complete or as it was.

        Equal statistics make equal bytes, as suites cover them by their SHA-256.

        The covariance is rounded to float32 and features to float16 (float32 where float16 would move a value by more
        than 2⁻¹⁰ of the largest one). Raises `StoreError` if it cannot be written.
        """
        metadata = {
            "format": FORMAT,
            "version": self.version,
            "space": self.space,
            "space_digest": self.space_digest,
            "n": str(self.n),
            "source": canonical(dict(self.source)),
        }
        if self.labels is not None:
            metadata["class_names"] = canonical(self.labels.names)
        data = save(self._tensors(), metadata)
        try:
            write_atomically(path, *canonical_safetensors(data))
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror})", hint="choose a folder that can be written to"
            ) from error

    @classmethod
    def load(cls, path: Path, *, space: str | None = None, space_digest: str | None = None) -> Reference:
        """Read a file that `save` wrote.

        With `space` or `space_digest`, a file of another space, or of the same space with other weights or
        preprocessing, is refused. Raises `FeatureError` for that, and for a missing, truncated or foreign file.
        """
        metadata, tensors = _read(path)
        if metadata.get("format") != FORMAT or metadata.get("version") not in (VERSION, PACKET_VERSION):
            raise FeatureError(
                f"{path}: not a {FORMAT} file of version {VERSION} or {PACKET_VERSION} "
                f"(found {metadata.get('format', 'no format')} {metadata.get('version', '')})",
                hint="build the reference again with this version of genbench",
            )
        try:
            loaded = cls(
                metadata["space"],
                metadata["space_digest"],
                int(metadata["n"]),
                tensors["mean"].astype(np.float64),
                _unpack(tensors["cov_upper"], len(tensors["mean"])),
                tensors["features"].astype(np.float32) if "features" in tensors else None,
                tensors.get("indices"),
                _labels(metadata, tensors),
                json.loads(metadata["source"]),
            )
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise FeatureError(f"{path}: damaged reference file ({error})", hint="fetch or build it again") from error
        loaded.check_space(space, space_digest, where=str(path))
        return loaded

    def check_whole(self, what: str) -> None:
        """Raise `FeatureError`, naming `what` reads it, unless the covariance is whole."""
        if self.packets > 1:
            raise FeatureError(
                f"{what} reads a whole covariance, and the {self.space} reference has those of its {self.packets} "
                "packets alone",
                hint="fwd reads these; in other spaces covariances are whole",
            )

    def check_space(self, space: str | None, space_digest: str | None = None, *, where: str = "reference") -> None:
        """Raise `FeatureError` unless this reference is of `space` and `space_digest` (None: whatever it is)."""
        if space is not None and space != self.space:
            raise FeatureError(
                f"{where}: is of feature space {self.space}, but {space} is asked for",
                hint=f"give a reference built in {space}",
            )
        if space_digest is not None and space_digest != self.space_digest:
            raise FeatureError(
                f"{where}: was built in another {self.space} (digest {self.space_digest[:12]}) than these features "
                f"(digest {space_digest[:12]}): its weights or preprocessing differ",
                hint=f"build the reference again in the present {self.space}",
            )


def fixed_subset(n: int, size: int) -> npt.NDArray[np.int64]:
    """`size` of the indices 0..n-1 (all of them if n <= `size`), ascending (m,); the same ones always.

    Chosen by PCG64's raw output, which NumPy keeps unchanged across versions; evenly spaced indices would be caught by
    labels that repeat.
    """
    if size >= n:
        return np.arange(n, dtype=np.int64)
    order = np.argsort(np.random.PCG64(0).random_raw(n), kind="stable")
    return np.sort(order[:size]).astype(np.int64)


def _compact(features: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        half = features.astype(np.float16)
    moved = np.abs(half - features).max(initial=0)
    return half if moved <= np.abs(features).max(initial=0) * 2**-10 else features


def _labels(metadata: Mapping[str, str], tensors: Mapping[str, npt.NDArray[Any]]) -> Labels | None:
    if "labels" not in tensors:
        return None
    names = json.loads(metadata["class_names"])
    return Labels(tensors["labels"], tuple(names) if names is not None else None)


def _unpack(upper: npt.NDArray[Any], width: int) -> Float64:
    packets, entries = (1, len(upper)) if upper.ndim == 1 else upper.shape
    size = width // max(packets, 1)
    if size * packets != width or entries != size * (size + 1) // 2:
        raise ValueError(f"cov_upper has shape {upper.shape} at width {width}")
    cov = np.zeros((*upper.shape[:-1], size, size))
    rows, columns = np.triu_indices(size)
    cov[..., rows, columns] = upper
    cov[..., columns, rows] = upper
    return cov


def _read(path: Path) -> tuple[dict[str, str], dict[str, npt.NDArray[Any]]]:
    if not path.is_file():
        raise FeatureError(f"{path}: no such reference file", hint="check the path, or `genbench fetch SUITE`")
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FeatureError(
            f"{path}: not a readable safetensors file ({error})", hint="fetch or build the reference again"
        ) from error
