"""The report: one HTML page that works from disk."""
