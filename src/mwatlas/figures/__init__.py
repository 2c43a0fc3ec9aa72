"""Figures: functions take the data behind a figure and return it drawn."""
