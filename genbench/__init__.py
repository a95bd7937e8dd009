"""genbench: make, keep and defend numbers about image generators."""

__version__ = "0.1.0.dev0"
