"""Adapters that make a backend out of a system: one for systems with an async API, one for systems that block."""
