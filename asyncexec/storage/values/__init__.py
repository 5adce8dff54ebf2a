"""Values of tasks in a place: whole and checksummed objects, the journal of what is complete, and the cache."""
