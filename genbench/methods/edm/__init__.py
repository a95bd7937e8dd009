"""EDM: denoising U-Nets with its preconditioning, deterministic and stochastic Heun."""
