"""MeanFlow: the DiT transformer trained to estimate the average velocity between two times."""
