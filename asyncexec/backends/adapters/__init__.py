"""The two ways in for other systems: blocking ones (which need threads of ours), and those with an async API."""
