"""Run attempts on a worker and report how they end: one loop, one codec and one way to cancel, for every backend."""
