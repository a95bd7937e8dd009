"""D-AR: a language model's transformer over the tokens of a flow in pixels, coarse to fine."""
