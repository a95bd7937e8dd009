"""How the data that genbench carries was made: run once, kept for whoever asks."""
