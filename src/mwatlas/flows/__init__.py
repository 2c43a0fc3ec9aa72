"""Normalizing flows: densities learned from samples, with their scores."""
