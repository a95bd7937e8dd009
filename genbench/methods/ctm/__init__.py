"""Consistency trajectory models: networks that jump between any two points of a diffusion's path."""
