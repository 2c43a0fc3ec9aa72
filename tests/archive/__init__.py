"""Integration tests against a real TAP server, run by `make test-archive`."""
