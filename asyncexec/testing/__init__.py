"""What others need to test on this engine: virtual time, faults, model backends, a conformance suite."""
