"""The command line: parse, make one library call, write. No logic, and no torch at import."""
