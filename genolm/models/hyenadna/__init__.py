"""HyenaDNA."""
