"""Put a trained model into the registry:  uv run python -m zoo.export NAME

Writes the last EMA weights as float16 safetensors to ``registry/weights/NAME.safetensors``, measures what the rounding
does to FD (the same 1,000 seeds from float32 and float16 weights, the card's default preset), and prints the SHA-256
that belongs into the card.
"""

from __future__ import annotations

import sys
import tomllib

from safetensors.torch import load_file, save

from genbench.digest import digest_file
from genbench.files import write_atomically
from zoo.measure import measure
from zoo.train import HERE, read_variant

IMAGES = 1000


def main(name: str) -> None:
    """Export, measure, print."""
    config = tomllib.loads((HERE / f"{name}.toml").read_text())
    variant = read_variant(config)
    snapshot = max((HERE / "runs" / name).glob("ema-*.safetensors"))
    full = load_file(snapshot)
    half = {key: value.half() for key, value in full.items()}
    target = HERE.parent / "registry" / "weights" / f"{name}.safetensors"
    write_atomically(target, save(half))
    print(f"{snapshot.name} -> {target.name}: {target.stat().st_size:,} bytes, sha256 {digest_file(target)}")
    preset = variant["presets"][variant["default_preset"]]
    before, after = (measure(variant, preset, state, IMAGES) for state in (full, half))
    for metric, value in before.items():
        print(
            f"{metric}: float32 {value.value:.4f}, float16 {after[metric].value:.4f}, standard error {value.stderr:.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
