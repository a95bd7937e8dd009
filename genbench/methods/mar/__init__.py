"""MAR: masked autoregression over latent tokens, each drawn by a small diffusion model."""
