"""LightningDiT: the diffusion transformer with rotary positions, gated MLPs and RMS norms, on VA-VAE's latents."""
