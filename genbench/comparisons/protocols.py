"""Which part of two protocols differs: numbers are compared only where none does."""

from __future__ import annotations

from collections.abc import Mapping

from genbench.comparisons.measured import Measured
from genbench.digest import SHORT


def differing_parts(one: Measured, other: Measured) -> list[str]:
    """What differs between the protocols, a phrase a part; empty where numbers can be compared."""
    ours, theirs = one.protocol, other.protocol
    parts = [
        _part("number of images", f"{ours.n:,}", f"{theirs.n:,}"),
        _part("precision of features", ours.precision, theirs.precision),
        _part("suite", ours.suite or "none", theirs.suite or "none"),
    ]
    if ours.suite_digest != theirs.suite_digest or ours.suite_digest is None:
        parts += [
            _part("label policy", ours.labels or "none", theirs.labels or "none"),
            *_digests("reference", ours.reference_sha256, theirs.reference_sha256, (ours.reference, theirs.reference)),
            _part("held-out images", ours.held_out or "none", theirs.held_out or "none"),
            *_digests("feature space", one.spaces, other.spaces),
            *_versions(one, other),
        ]
    found = [part for part in parts if part]
    if not found and ours.suite_digest != theirs.suite_digest:
        digests = f"{(ours.suite_digest or '')[:SHORT]} and {(theirs.suite_digest or '')[:SHORT]}"
        found = [f"suite {ours.suite}: digests {digests}, of other settings or another list of metrics"]
    return found


def _part(what: str, one: str, other: str) -> str:
    return "" if one == other else f"{what}: {one} and {other}"


def _digests(
    what: str,
    one: Mapping[str, str | None],
    other: Mapping[str, str | None],
    names: tuple[str, str] = ("", ""),
) -> list[str]:
    """Parts by feature space, for the spaces that both sides have."""
    return [
        f"{what} {space}: " + " and ".join(f"{n} {(d or 'unknown')[:SHORT]}".lstrip() for n, d in sides)
        for space in sorted(one.keys() & other.keys())
        if one[space] != other[space]
        for sides in [tuple(zip(names, (one[space], other[space]), strict=True))]
    ]


def _versions(one: Measured, other: Measured) -> list[str]:
    ours, theirs = ({key.metric: key.version for key in side.values} for side in (one, other))
    return [
        f"version of {metric}: {ours[metric]} and {theirs[metric]}"
        for metric in sorted(ours.keys() & theirs.keys())
        if ours[metric] != theirs[metric]
    ]
