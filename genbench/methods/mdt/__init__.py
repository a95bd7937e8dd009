"""MDTv2: DiT with long skips and relative positions, guided more and more towards the data."""
