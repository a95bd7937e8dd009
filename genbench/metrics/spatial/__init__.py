"""Spatial structure of images, from their token grids' correlograms and layouts (`genbench.tokens`).

structure     LDS, CDS, RMSC: linear in the correlogram (RMSC: its square)
foreground    SRSS, which needs tokens and object masks
distances     SSW, CFD, LSD: how far generated images are from reference images in all of the above

LDS, CDS, RMSC and SRSS describe an *encoder*, and more is better there (Singh et al. 2025, arXiv:2512.10794). Of
*images* more is not better: a collage of four photos has a higher LDS than a photo. There the distances to a reference
count.
"""
