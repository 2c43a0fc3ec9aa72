"""Potentials from the collisionless Boltzmann equation, and steady systems to test them on."""
