"""Benchmarks: the engine and its peers side by side, in one run."""
