"""Chunks of arrays, read and written: all of storage that a worker needs."""
