"""VAR: an image scale by scale, each scale's tokens at once."""
