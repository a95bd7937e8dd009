"""MaskDiT: EDM's denoiser as a diffusion transformer with a narrow decoder, which masked training needs."""
