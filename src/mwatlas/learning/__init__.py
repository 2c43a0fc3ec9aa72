"""Learning: losses, networks, one training loop for all of them."""
