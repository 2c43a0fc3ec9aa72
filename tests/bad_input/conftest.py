"""Fixtures of the workflow tests that are of use here."""

from tests.workflow.conftest import finished, fresh

__all__ = ["finished", "fresh"]
