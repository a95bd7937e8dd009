"""Grids of patch tokens, and what is kept of one: pure arithmetic that feature spaces and metrics share.

grid         the lattice that an image's tokens lie on
arrays       what an array of tokens must be; unit vectors, in blocks
correlogram  g(d): mean cosine of two tokens at distance d
layout       which regions of an image resemble which

A token grid is up to a thousand times larger than either, so feature spaces keep these and not the tokens.
"""
