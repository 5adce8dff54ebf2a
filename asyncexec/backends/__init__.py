"""Where it runs: the contract, the registry, the adapter for blocking systems, one short file a backend."""
