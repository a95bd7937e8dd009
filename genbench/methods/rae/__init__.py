"""RAE: a wide-headed transformer on the latents of a frozen representation encoder."""
