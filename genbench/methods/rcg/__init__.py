"""RCG: a representation drawn by a small diffusion model, then an image of it by masked generation."""
