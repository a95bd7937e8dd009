"""LlamaGen: a language model's transformer over an image's codes, one after another."""
