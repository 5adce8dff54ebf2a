"""Fingerprints: what a plan computes, as a hash that is the same in every process; loaded when one is asked for."""
