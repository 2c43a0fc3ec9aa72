"""Kalda & Green (2026): gravitational potential without selection functions."""
