"""Worker threads and the pool that owns them, for the ``threads`` and ``serial`` backends."""
