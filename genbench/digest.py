"""Identities: SHA-256 over canonical JSON, over bytes, and over files."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

SHORT = 12
"""How many hexadecimal digits of a digest are shown to people."""


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; equal values give equal text whatever their order in a file.

    Raises `ValueError` for NaN or infinity, which JSON cannot carry, and `TypeError` for what is not plain data.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a digest cannot cover NaN or infinity")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_safetensors(content: bytes) -> tuple[bytes, memoryview]:
    """The same safetensors file as header and data, with a canonical header: equal tensors and metadata, equal bytes.

    The safetensors library writes metadata in another order each time.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = canonical(json.loads(content[8:start])).encode()
    header += b" " * (-len(header) % 8)  # data stay aligned
    return len(header).to_bytes(8, "little") + header, memoryview(content)[start:]


def digest(value: Any) -> str:
    """SHA-256 of `canonical(value)`, 64 hexadecimal digits."""
    return digest_bytes(canonical(value).encode())


def digest_bytes(data: bytes | memoryview) -> str:
    """SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, read in blocks; 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
