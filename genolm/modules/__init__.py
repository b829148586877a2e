"""What models are made of, one idea per file; imports nothing of genolm but the kernels."""
