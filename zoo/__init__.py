"""How the small models in registry/weights are trained, exported and measured: see README.md."""
