"""Archives: four kinds of source that all give the same raw tables."""
