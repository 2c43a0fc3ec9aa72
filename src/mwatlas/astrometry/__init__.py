"""Astrometry: parallax zero point, coordinate frames."""
