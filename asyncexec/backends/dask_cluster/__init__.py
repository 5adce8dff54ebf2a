"""The parts of the ``dask`` backend: how a cluster is had, which of its workers are free, and what runs on them."""
