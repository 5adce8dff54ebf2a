"""Calls of a session that ask its repository, and that Icechunk itself ends late or never where nothing answers.

Each is made in a thread of its own, which nobody waits for once the repository counts as silent.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from typing import TYPE_CHECKING

from asyncexec.storage.places.concurrently import futures_of
from asyncexec.storage.places.requests import TRY_SECONDS

if TYPE_CHECKING:
    from concurrent.futures import Future


class SilentRepositoryError(Exception):
    """A repository did not answer while a long call was under way; what it does then is not known."""


def begun[T](call: Callable[[], T]) -> Future[T]:
    """Return the future of what ``call`` returns, which is called in a thread that holds up no end of a program."""
    return futures_of(lambda function: function(), [call])[0]


def within[T](call: Callable[[], T], seconds: float) -> T:
    """Return what ``call`` returns.

    Raises
    ------
    TimeoutError
        If that takes longer than so many seconds.
    """
    return begun(call).result(seconds)


def while_answered[T](
    call: Callable[[], T], probe: Callable[[], object], seconds: float = TRY_SECONDS
) -> T:
    """Return what ``call`` returns, however long it takes, as long as the repository answers ``probe`` meanwhile.

    Raises
    ------
    SilentRepositoryError
        If it does not answer within so many seconds; ``call`` may be done nevertheless later.
    """
    future = begun(call)
    while True:
        try:
            # Half of the time, as the probe takes the other half.
            return future.result(seconds / 2)
        except TimeoutError:
            if future.done():
                raise
        # A refusal is an answer as well; and the call may have ended while the probe waited.
        if not wait([begun(probe)], seconds).done and not future.done():
            raise SilentRepositoryError
