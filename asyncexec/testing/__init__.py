"""Tools for tests on this engine: virtual time, faults, model backends, a conformance suite."""
