"""What a run on a release will take, scaled up from finished runs."""
