"""What is particular to Modal: the app that a backend runs there, and what its containers do."""
