"""The embedded sky: a synthetic Milky Way with known truth, served as Gaia tables."""
