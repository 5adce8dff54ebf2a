"""Progress, tables and JSON of ``asyncexec simulate``."""
