"""Named like a package of Flowdapt's: the context of tasks, and the Python entry."""
