"""Dynamics: the potential, orbits."""
