"""What the catalogues of the study are called."""

from __future__ import annotations

SAMPLES = {"rv": "RV", "test_set": "Test-Set", "ml_rv": "ML-RV"}
"""Catalogues of Table 1 by the name they have in our tables."""
