"""Studies: one package for each paper."""
