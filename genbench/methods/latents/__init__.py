"""Latent decoders: from what a latent model samples to pixels."""
