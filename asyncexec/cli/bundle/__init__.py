"""Asyncexec and what it needs, in one archive for workers elsewhere."""
