"""Any pipeline of the diffusers library, by its hub id or from a folder."""
