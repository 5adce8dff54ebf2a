"""Questions to many places at the same time, before each of them is come to."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncexec.storage.places.concurrently import futures_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from asyncexec.storage.places.locations import Location


class Ahead[R]:
    """The answers of stores elsewhere to one question, which was asked ahead; each is given once.

    Parameters
    ----------
    ask : callable
        Asks the question of one place.
    """

    def __init__(self, ask: Callable[[Location], R]) -> None:
        self._ask = ask
        self._asked: dict[Location, Future[R]] = {}

    def answer(self, location: Location) -> R:
        """Return the answer of a place, which is asked now if it was not asked ahead."""
        # Taken out: asked a second time, the place may have changed since.
        future = self._asked.pop(location, None)
        return self._ask(location) if future is None else future.result()

    @contextmanager
    def asked(self, locations: Iterable[Location], *, least: int) -> Generator[None]:
        """Ask these places at the same time, if there are ``least``; what nobody has taken by the end is forgotten."""
        remote = list(dict.fromkeys(place for place in locations if place.local_path is None))
        # Of what is in this process's memory or on its disk, threads would cost more than the answers.
        remote = [place for place in remote if not place.process_bound]
        if len(remote) < least:
            yield
            return
        mine = dict(zip(remote, futures_of(self._ask, remote), strict=True))
        self._asked.update(mine)
        try:
            yield
        finally:
            for place, future in mine.items():
                if self._asked.get(place) is future:
                    self._asked.pop(place, None)
                future.cancel()
