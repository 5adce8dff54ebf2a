"""The same for many places at once: each takes a round trip to a remote store, or several."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

WIDTH = 16
"""The places that are looked at, or made, at the same time."""
_POLL_SECONDS = 0.1
_NO_MORE: Any = object()


def for_each[T, R](
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    stop: Callable[[], None] = lambda: None,
    width: int = WIDTH,
    alone: int = 2,
) -> list[R]:
    """Return what ``function`` returns for each of ``items``, after calling it for several at the same time.

    The first exception, of whatever kind, is raised when those that had begun have ended; the others do not begin.
    ``stop`` is called before each, and may raise. ``width`` of them are under way at most; up to
    ``alone`` are done one after another, as threads cost more than one or two places do.
    """

    def one(item: T) -> R:
        stop()
        return function(item)

    if len(items) <= alone:
        return [one(item) for item in items]
    left = iter(range(len(items)))
    results: dict[int, R] = {}
    raised: list[BaseException] = []

    def work() -> None:
        # One step of an iterator of range is one step for all threads.
        while not raised and (number := next(left, None)) is not None:
            try:
                results[number] = one(items[number])
            except BaseException as error:  # noqa: BLE001 - raised below
                raised.append(error)

    # Daemons: a store that says nothing must not hold the end of the program, as threads of a pool do.
    threads = [
        threading.Thread(target=work, name=f"asyncexec-places-{number}", daemon=True)
        for number in range(min(width, len(items)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()  # or the traceback would hold itself
    return [results[number] for number in range(len(items))]


def futures_of[T, R](function: Callable[[T], R], items: Sequence[T]) -> list[Future[R]]:
    """Return futures of what ``function`` returns for each of ``items``; several calls of it are under way at once."""
    futures: list[Future[R]] = [Future() for _ in items]
    left = iter(range(len(items)))

    def work() -> None:
        while (number := next(left, None)) is not None:
            if not futures[number].set_running_or_notify_cancel():
                continue
            try:
                futures[number].set_result(function(items[number]))
            except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
                futures[number].set_exception(error)

    for number in range(min(WIDTH, len(items))):
        # Daemons: a store that says nothing must not hold the end of the program.
        threading.Thread(target=work, name=f"asyncexec-ahead-{number}", daemon=True).start()
    return futures


def at_once[R](functions: Sequence[Callable[[], R]]) -> list[R]:
    """Return what ``functions`` return, after calling all of them at the same time."""
    return for_each(lambda function: function(), functions, width=len(functions), alone=1)


def in_threads[T, R](function: Callable[[T], R], items: Iterable[T], *, width: int) -> Iterator[R]:
    """Yield what ``function`` returns for each of ``items``, as they are done, in ``width`` threads.

    Few items are taken ahead. The first exception is raised. Where the caller stops, as by Ctrl-C, no more are begun,
    and those that have begun are not waited for.
    """
    work = _Work(function, items, width)
    for number in range(width):
        # Daemons: a store that says nothing must not hold the end of the program.
        threading.Thread(target=work.run, name=f"asyncexec-read-{number}", daemon=True).start()
    try:
        running = width
        while running:
            what = work.done.get()
            if isinstance(what, _Raised):
                raise what.error
            if what is _NO_MORE:
                running -= 1
            else:
                yield what
    finally:
        work.ended.set()


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class _Work:
    """The work of several threads, and the queue by which results come back."""

    def __init__(self, function: Callable[[Any], Any], items: Iterable[Any], ahead: int) -> None:
        self.ended = threading.Event()
        self.done: queue.Queue[Any] = queue.Queue(2 * ahead)
        self._function = function
        self._items = iter(items)
        self._lock = threading.Lock()

    def run(self) -> None:
        try:
            while (item := self._next()) is not _NO_MORE:
                self._hand_in(self._function(item))
            self._hand_in(_NO_MORE)
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            self._hand_in(_Raised(error))

    def _next(self) -> Any:
        with self._lock:
            return _NO_MORE if self.ended.is_set() else next(self._items, _NO_MORE)

    def _hand_in(self, what: Any) -> None:
        while not self.ended.is_set():
            try:
                return self.done.put(what, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
        return None
