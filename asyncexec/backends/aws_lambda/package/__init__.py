"""The archive of a function: asyncexec and what it needs, and the commands that deploy it."""
