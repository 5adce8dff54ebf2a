"""Requests that must come at the same time, held until all of them are there: so rounds are counted without a clock."""

import asyncio

GIVES_UP_SECONDS = 20.0


class Waves:
    """The rounds of requests that are to come one after another, by how many requests each has.

    Attributes
    ----------
    seen : list of list of str
        What came in each round, as ``METHOD bucket/key``.
    alone : list of str
        What waited for others of its round, which did not come before it was answered.
    """

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        self.seen: list[list[str]] = []
        self.alone: list[str] = []
        self._come: list[str] = []
        self._full = asyncio.Event()

    async def enter(self, request: str) -> None:
        """Wait until the round that ``request`` is in is there as a whole."""
        full = self._full
        self._come.append(request)
        expected = self.sizes[len(self.seen)] if len(self.seen) < len(self.sizes) else 1
        if len(self._come) == expected:
            self._next()
            return
        try:
            await asyncio.wait_for(full.wait(), GIVES_UP_SECONDS)
        except TimeoutError:
            self.alone.append(request)
            if full is self._full:
                self._next()

    def _next(self) -> None:
        self.seen.append(self._come)
        self._come = []
        self._full.set()
        self._full = asyncio.Event()
