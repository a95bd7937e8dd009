"""DiT: the diffusion transformer; its network also serves SiT, the REPA variants and MeanFlow."""
