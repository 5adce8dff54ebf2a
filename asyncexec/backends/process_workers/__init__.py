"""Worker processes: how they are started, spoken to, measured and ended, for the ``processes`` backend."""
