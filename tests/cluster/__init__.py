"""Tests on a real SLURM cluster of one node; `make test-cluster` runs them."""
