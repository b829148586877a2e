"""Hidden states to predictions."""
