"""Fingerprints: hashes of plans that are the same in every process; loaded when one is needed."""
