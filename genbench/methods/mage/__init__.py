"""MAGE: masked generation of an image's codes, the surest of those that are drawn kept in each of a few iterations."""
