"""How batches run as elements of Beam pipelines: what a worker does, where answers are left, what becomes of them."""
