"""Exceptions as plain data, and made again of it, without unpickling anything or running code that the data names."""
