"""Straggler rules against each other, on model workers under the real scheduler."""
