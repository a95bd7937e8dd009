"""ReDi: SiT that makes latents and principal components of an encoder's features together."""
