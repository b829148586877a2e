"""Caduceus and plain Mamba."""
