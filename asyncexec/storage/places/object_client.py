"""Requests to a store of obstore's that are repeated where that helps, in two forms: blocking, and awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any

import obstore

from asyncexec.request_failures.reading import failure_of
from asyncexec.request_failures.reasons import NO_BUCKET
from asyncexec.storage.places.requests import arequest, request
from asyncexec.storage.places.store_clients import ClientFacts, facts_of, timed


class MissingBucketError(Exception):
    """The bucket is not there: no object of it can be missing. The message is the store's."""


def get(client: Any, key: str, options: Any = None) -> tuple[Any, Any]:
    """Return what obstore says of an object, and its data, or that part of it which obstore's ``options`` are for.

    Raises
    ------
    FileNotFoundError
        If there is none.
    Exception
        As the store has it, after as many tries as make sense.
    """

    def one(timed_client: Any) -> tuple[Any, Any]:
        answer = obstore.get(timed_client, key, options=options)
        return answer, answer.bytes()

    return _request(client, one)


def look(client: Any, key: str) -> Any:
    """Return what obstore says of an object, without its data.

    Raises
    ------
    FileNotFoundError
        If there is none.
    Exception
        As the store has it, after as many tries as make sense.
    """
    return _request(client, lambda c: obstore.get(c, key, options=_NO_DATA))


async def alook(client: Any, key: str) -> Any:
    """Do what :func:`look` does, without blocking the event loop."""
    return await _arequest(client, lambda c: obstore.get_async(c, key, options=_NO_DATA))


_NO_DATA: Any = {"head": True}


def attributes(client: Any, key: str) -> dict[str, str]:
    """Return the attributes of an object, without its data; those of an object that is not there are empty.

    Raises
    ------
    Exception
        As the store has it, after as many tries as make sense.
    """
    try:
        answer = look(client, key)
    except FileNotFoundError:
        return {}
    return {str(name): str(value) for name, value in answer.attributes.items()}


def written_at(client: Any, key: str) -> float:
    """Return when an object was written, by the clock of its store, in seconds since the epoch.

    Raises
    ------
    FileNotFoundError
        If there is none.
    Exception
        As the store has it, after as many tries as make sense.
    """
    found: float = _request(client, lambda c: obstore.head(c, key))["last_modified"].timestamp()
    return found


def aget(client: Any, key: str, options: Any = None) -> Coroutine[Any, Any, tuple[Any, Any]]:
    """Do what :func:`get` does, without blocking the event loop."""

    async def one(timed_client: Any) -> tuple[Any, Any]:
        answer = await obstore.get_async(timed_client, key, options=options)
        return answer, await answer.bytes_async()

    return _arequest(client, one)


def put(client: Any, key: str, data: Any, **options: Any) -> Any:
    """Write an object; ``options`` are obstore's. A try that was carried out, and whose answer was lost, is repeated.

    Raises
    ------
    Exception
        As the store has it, after as many tries as make sense: with ``mode="create"``, an ``AlreadyExistsError`` may
        be of an object that an earlier try has made.
    """
    return _request(client, lambda c: obstore.put(c, key, data, **options), sent=len(data))


def aput(client: Any, key: str, data: Any, **options: Any) -> Coroutine[Any, Any, Any]:
    """Do what :func:`put` does, without blocking the event loop."""
    return _arequest(client, lambda c: obstore.put_async(c, key, data, **options), sent=len(data))


def listed(client: Any, folder: str | None) -> Iterator[Sequence[Any]]:
    """Yield what is in a folder, in parts; a listing that breaks off begins again, without what was yielded."""
    given: set[str] = set()
    left: list[Any] = []

    def page(timed_client: Any) -> Sequence[Any]:
        # One that fails is not put back: the next try begins another listing.
        batches = left.pop() if left else iter(obstore.list(timed_client, folder or None))
        found: Sequence[Any] = next(batches, ())
        if found:
            left.append(batches)
        return found

    while True:
        found = [meta for meta in _request(client, page) if meta["path"] not in given]
        if found:
            yield found
        if not left:
            return
        given.update(meta["path"] for meta in found)


def delete(client: Any, keys: Sequence[str]) -> None:
    """Delete objects by one request, where the store can.

    Raises
    ------
    Exception
        As the store has it, after as many tries as make sense; some stores raise ``FileNotFoundError`` for one that is
        not there.
    """
    _request(client, lambda c: obstore.delete(c, list(keys)))


def _request[T](client: Any, call: Callable[[Any], T], sent: int = 0) -> T:
    facts = facts_of(client)
    if not facts.asks_service:
        return call(client)  # On this machine, or a web server.
    try:
        return request(
            _timed(call, client, facts),
            facts.endpoint,
            nbytes=sent,
            once=facts.repeats_itself,
        )
    except FileNotFoundError as error:
        _check_bucket(error)
        raise


async def _arequest[T](client: Any, call: Callable[[Any], Awaitable[T]], sent: int = 0) -> T:
    facts = facts_of(client)
    if not facts.asks_service:
        return await call(client)
    try:
        return await arequest(
            _timed(call, client, facts),
            facts.endpoint,
            nbytes=sent,
            once=facts.repeats_itself,
            limited=False,
        )
    except FileNotFoundError as error:
        _check_bucket(error)
        raise


def _timed[T](call: Callable[[Any], T], client: Any, facts: ClientFacts) -> Callable[[float], T]:
    """Return ``call`` for a client that waits as long as one try may take."""
    if facts.has_own_times:
        return lambda _: call(client)
    return lambda seconds: call(timed(client, seconds, facts))


def _check_bucket(error: FileNotFoundError) -> None:
    failure = failure_of(error)
    if failure is not None and failure.reason is NO_BUCKET:
        raise MissingBucketError(str(error)) from None
