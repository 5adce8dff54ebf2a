"""Elementwise chains: what is done element by element is computed on the way of what is done with its result."""

NAME = "elementwise"
