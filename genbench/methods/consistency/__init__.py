"""Consistency models: networks that map every point of a diffusion's path to its start."""
