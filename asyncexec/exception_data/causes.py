"""The causes of an exception, one after the other."""

from __future__ import annotations

from collections.abc import Iterator


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, its cause, the cause of that, and so on, each once: some programs make circles of them.

    >>> from asyncexec.exception_data.causes import causes_of
    >>> first, second = ValueError("first"), ValueError("second")
    >>> first.__cause__, second.__cause__ = second, first
    >>> list(causes_of(first))
    [ValueError('first'), ValueError('second')]
    """
    seen = set[int]()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__
