"""How batches run as jobs of Lithops: its configuration, its executors, what comes back, what is left to clean."""
