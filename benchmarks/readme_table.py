"""The table of speeds in the README: every benchmark, one after the other, in one Markdown table.

    uv run python benchmarks/readme_table.py [--threads 2] [--rounds 3] [--images 2000] [--compile]

Takes tens of minutes on two cores. Ratios above 1 are in genbench's favour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genbench import provenance

FOLDER = Path(__file__).parent
PEERS = ("torch", "numpy", "scipy", "torch-fidelity", "clean-fid", "prdc")


def rows_of(script: str, *arguments: str) -> list[dict[str, Any]]:
    """What a benchmark prints as JSON lines."""
    command = [sys.executable, str(FOLDER / script), "--json", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def features(options: argparse.Namespace) -> Iterator[str]:
    """Images a second."""
    arguments = ["--compile"] if options.compile else []
    rounds = ["--threads", str(options.threads), "--rounds", str(options.rounds)]
    peer, *ours = rows_of("features.py", *rounds, *arguments)
    for row in ours:
        yield (
            f"| Inception features, {row['name']} | {peer['name']} | {peer['images_per_second']:.1f} images/s "
            f"| {row['images_per_second']:.1f} images/s | {row['ratio']:.2f}x | |"
        )


def metrics(options: argparse.Namespace) -> Iterator[str]:
    """Seconds, with the floor."""
    arguments = ["--threads", str(options.threads), "--rounds", str(options.rounds), "--n", str(options.n)]
    for row in rows_of("metrics_speed.py", *arguments):
        floor = "" if row["floor_seconds"] is None else f"{row['floor_seconds']:.2f} s"
        yield (
            f"| {row['work']}: {row['ours']} | {row['peer']} | {row['peer_seconds']:.2f} s | {row['seconds']:.2f} s "
            f"| {row['peer_seconds'] / row['seconds']:.1f}x | {floor} |"
        )


def whole_processes(options: argparse.Namespace) -> Iterator[str]:
    """Seconds from start to end."""
    arguments = ["--threads", str(options.threads), "--images", str(options.images)]
    arguments += ["--reference", str(min(1000, options.images))]
    peer, *ours = rows_of("whole_process.py", *arguments)
    for row in ours:
        yield (
            f"| {options.images} PNG to FID, KID, precision, recall: {row['name']} | {peer['name']} "
            f"| {peer['seconds']:.1f} s | {row['seconds']:.1f} s | {peer['seconds'] / row['seconds']:.2f}x | |"
        )


def main() -> None:
    """Print the machine, the versions and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=10_000, help="images a side of the statistics")
    parser.add_argument("--images", type=int, default=2000, help="of the whole process")
    parser.add_argument("--compile", action="store_true", help="compiled networks too")
    options = parser.parse_args()
    machine = provenance.collect("cpu").processor
    packages = ", ".join(f"{name} {version(name)}" for name in PEERS)
    print(f"{machine}, {options.threads} threads; {packages}.\n")
    print("| work | peer | peer takes | genbench takes | ratio | floor |")
    print("|---|---|--:|--:|--:|--:|", flush=True)
    for part in (features, metrics, whole_processes):
        for line in part(options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
