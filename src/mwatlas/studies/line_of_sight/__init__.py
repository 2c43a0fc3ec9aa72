"""Dropulic et al. (2022): line-of-sight velocities from five-parameter astrometry."""
