"""Spatial structure of token grids (N, T, D): how alike an image's patch tokens are, by how far apart they lie.

tokens        what an array of tokens must be, its lattice, unit vectors in blocks
correlogram   g(d): mean cosine of two tokens at distance d, for each image
structure     LDS, CDS, RMSC: linear in g (RMSC: its square)
foreground    SRSS, which needs object masks
layout        which regions of an image resemble which
distances     SSW, CFD, LSD: how far generated images are from reference images in all of the above

LDS, CDS, RMSC and SRSS describe an *encoder*, and more is better there (Singh et al. 2025, arXiv:2512.10794). Of
*images* more is not better: a collage of four photos has a higher LDS than a photo. There the distances to a reference
count.
"""
