"""An asyncio-native execution engine: parallel plans, on any backend, in bounded memory."""

__version__ = "0.1.0"
