"""How good a result is, on whole sets, and what counting, k-mers or lengths alone would reach."""
