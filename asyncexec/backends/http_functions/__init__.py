"""Functions behind HTTP: what travels, who may call, and what a response means."""
