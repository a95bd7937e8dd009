"""JiT: a transformer of pixels that predicts the clean image."""
