"""An asyncio-native execution engine: plans of parallel stages, run on any backend in bounded memory."""

__version__ = "0.1.0"
