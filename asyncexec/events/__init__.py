"""Frozen records of what happened, and their fan-out."""
