"""The same for many places at once: each takes a round trip to a remote store, or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

WIDTH = 16
"""The places that are looked at, or made, at the same time."""


def for_each[T, R](
    function: Callable[[T], R], items: Sequence[T], *, stop: Callable[[], None]
) -> list[R]:
    """Return what ``function`` returns for each of ``items``, after calling it for several at the same time.

    The first exception, of whatever kind, is raised when those that had begun have ended; the others do not begin.
    ``stop`` is called before each, and may raise.
    """

    def one(item: T) -> R:
        stop()
        return function(item)

    if len(items) <= 2:
        # Threads cost more than one or two places do.
        return [one(item) for item in items]
    with ThreadPoolExecutor(
        min(WIDTH, len(items)), thread_name_prefix="asyncexec-places"
    ) as threads:
        futures = [threads.submit(one, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]
