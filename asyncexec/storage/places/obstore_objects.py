"""The objects in a store of obstore's: conditional writes, attributes, and many deletions in one request."""

from __future__ import annotations

import json
import logging
import uuid
import weakref
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from threading import Lock
from typing import Any

from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

from asyncexec.storage.places import object_client
from asyncexec.storage.places.concurrently import at_once, for_each
from asyncexec.storage.places.object_records import (
    GENERATION,
    METADATA,
    FetchedObject,
    ListedObject,
)

_DELETED_AT_ONCE = 1000
"""As many as S3 takes in one request."""


class ObstoreObjects:
    """The objects under ``path`` in ``client``, a store of obstore's."""

    def __init__(self, client: Any, path: str) -> None:
        self._client = client
        self._path = path.strip("/")
        self._prefix = f"{self._path}/" if self._path else ""

    def get(self, name: str) -> bytes | None:
        """Return the object's data; None where there is no such object."""
        found = self.fetch(name)
        return None if found is None else found.data

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the data of those objects that there are, by name, asked for at the same time."""
        found = for_each(self.get, names, alone=1)
        return {name: data for name, data in zip(names, found, strict=True) if data is not None}

    def fetch(self, name: str) -> FetchedObject | None:
        """Return the object's data with its version and attributes; None where there is no such object."""
        try:
            answer, found = object_client.get(self._client, self._key(name))
        except FileNotFoundError:
            return None
        data = bytes(found)
        attributes = {str(k): str(v) for k, v in answer.attributes.items()}
        return FetchedObject(data, version_of(answer.meta), attributes)

    def age(self, name: str) -> float | None:
        """Return how many seconds ago the object was written, by the store's own clock; None if there is none."""
        # An object that is written now tells the store's time: clocks of drivers and of servers differ.
        now = f"{name}-{uuid.uuid4().hex}"
        self.put(now, b"")
        try:
            before, after = (
                object_client.written_at(self._client, self._key(n)) for n in (name, now)
            )
        except FileNotFoundError:
            return None
        finally:
            self.remove(now)
        return after - before

    def put(self, name: str, data: bytes) -> None:
        """Create the object, or replace it."""
        try:
            self._put(name, data)
        except Exception as error:
            # It may be the attributes that the service does not take: once more, without.
            if not keeps_attributes(self._client) or not is_unconditional(error):
                raise
            forget_conditions(self._client)
            self._put(name, data)

    def create(self, name: str, data: bytes) -> str:
        """Create the object; return the version that it has then, empty where there was one already."""
        if not can_condition(self._client):
            return self._looked_first(name, None, data)
        try:
            if keeps_conditions(self._client):
                return version_of(self._put(name, data, mode="create"))
            return self._created_twice(name, data)
        except AlreadyExistsError:
            # An answer may have been lost, after which the client has asked again: no two runs write the same.
            # An answer that was lost may have been of this very write.
            return self._version_if(name, data)
        except Exception as error:
            if not is_unconditional(error):
                raise
            forget_conditions(self._client)
            return self._looked_first(name, None, data)

    def replace(self, name: str, data: bytes, version: str) -> str:
        """Replace the object if it has this version (of :meth:`fetch`); return its new one, empty if it had not."""
        if not can_condition(self._client):
            return self._looked_first(name, version, data)
        try:
            return version_of(self._put(name, data, mode=json.loads(version)))
        except (PreconditionError, FileNotFoundError):
            return self._version_if(name, data)
        except Exception as error:
            if not is_unconditional(error):
                raise
            forget_conditions(self._client)
            return self._looked_first(name, version, data)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that begin with ``prefix``."""
        return (found.name for found in self.listed(prefix))

    def listed(self, prefix: str = "") -> Iterator[ListedObject]:
        """Yield the objects whose names begin with ``prefix``."""
        # Obstore lists what is in a folder, and takes no part of a name.
        folder = f"{self._prefix}{prefix}".rpartition("/")[0]
        for batch in object_client.listed(self._client, folder):
            for meta in batch:
                name = meta["path"].removeprefix(self._prefix)
                if name.startswith(prefix):
                    said = f"{meta['last_modified']} {meta.get('e_tag')} {meta.get('version')}"
                    yield ListedObject(name, meta["size"], said)

    def versions(self) -> Iterator[str]:
        """Return a line for each object, another one once it was written again."""
        return (f"{found.name} {found.size} {found.version}" for found in self.listed())

    def remove(self, name: str) -> None:
        """Delete the object, if there is one."""
        self.remove_all([name])

    def remove_all(self, names: Iterable[str]) -> None:
        """Delete those of the objects that there are, by as few requests as the store takes."""
        groups = [[self._key(name) for name in some] for some in batched(names, _DELETED_AT_ONCE)]
        for_each(self._deleted, groups)

    def is_empty(self) -> bool:
        """Return whether there are no objects."""
        return next(self.listed(), None) is None

    def delete(self, *, last: Sequence[str] = ()) -> None:
        """Delete all of them, those named ``last`` after the others."""
        self.remove_all(name for name in self.names() if name not in last)
        for name in last:
            self.remove(name)

    def _deleted(self, keys: list[str]) -> None:
        try:
            object_client.delete(self._client, keys)
        except FileNotFoundError:
            # Of several, some may not have been tried; stores that say what was not there take one at a time anyway.
            if len(keys) > 1:
                for key in keys:
                    self._deleted([key])

    def _created_twice(self, name: str, data: bytes) -> str:
        """Create the object by two requests at once, of which a store that keeps conditions refuses one.

        That is asked for once of each store, and costs no time, as reading the object again would. Stores that ignore
        conditions take both; there, whoever was last has the object.
        """
        first, second = at_once([lambda: self._version_of_new(name, data)] * 2)
        # Both were let through: the condition means nothing there, and what is there tells whose it is.
        if first and second:
            return self._version_if(name, data)
        remember_conditions(self._client)
        return first or second or self._version_if(name, data)

    def _version_of_new(self, name: str, data: bytes) -> str:
        try:
            return version_of(self._put(name, data, mode="create"))
        except AlreadyExistsError:
            return ""

    def _version_if(self, name: str, data: bytes) -> str:
        """Return the version of the object if it is ``data``, and not written by another library; else nothing."""
        found = self.fetch(name)
        if found is None or found.data != data:
            return ""
        # Others write the same metadata for the same array.
        marked = not keeps_attributes(self._client) or GENERATION in found.attributes
        return found.version if marked else ""

    def _looked_first(self, name: str, version: str | None, data: bytes) -> str:
        """Write the object if it has this version, in a store that cannot say so itself."""
        # Of this process one at a time: more cannot be had where the store knows no conditions.
        with _LOCK:
            found = self.fetch(name)
            if (found and found.version) != version:
                return found.version if found is not None and found.data == data else ""
            self.put(name, data)
            return self._version_if(name, data)

    def _put(self, name: str, data: bytes, **options: Any) -> Any:
        # By the attribute it is known later whether this store keeps any.
        if keeps_attributes(self._client):
            options["attributes"] = {GENERATION: METADATA}
        key = self._key(name)
        return object_client.put(self._client, key, data, use_multipart=False, **options)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}" if name else self._path


def version_of(meta: Any) -> str:
    """Return the version of an object by what obstore says of it, as its conditional writes take it (JSON)."""
    said = {name: meta.get(name) for name in ("e_tag", "version")}
    return json.dumps({name: value for name, value in said.items() if value is not None})


def can_condition(client: Any) -> bool:
    """Return whether ``client`` is not known to refuse conditional writes."""
    return id(client) not in _UNCONDITIONAL


def keeps_attributes(client: Any) -> bool:
    """Return whether ``client`` is not known to refuse attributes of objects: files have none."""
    return type(client).__name__ not in ("LocalStore", "HTTPStore") and can_condition(client)


def forget_conditions(client: Any) -> None:
    """Remember that ``client`` takes no conditional writes."""
    # By number, as clients cannot be hashed; when one goes, so does its number.
    number = id(client)
    _UNCONDITIONAL[number] = weakref.ref(client, lambda _: _UNCONDITIONAL.pop(number, None))
    _log.info("%s takes no conditional writes: what is there is looked at first", client)


def keeps_conditions(client: Any) -> bool:
    """Return whether ``client`` has been seen to refuse a write whose condition did not hold."""
    return id(client) in _CONDITIONAL


def remember_conditions(client: Any) -> None:
    """Remember that ``client`` has refused a write whose condition did not hold."""
    number = id(client)
    _CONDITIONAL[number] = weakref.ref(client, lambda _: _CONDITIONAL.pop(number, None))


def is_unconditional(error: Exception) -> bool:
    """Return whether ``error`` says that a store knows no conditional writes, or no attributes."""
    # Services that know them not answer 501, and obstore does for its own.
    if isinstance(error, NotImplementedError | NotSupportedError):
        return True
    text = str(error)
    return "status code: 501" in text or "<Code>NotImplemented</Code>" in text


_log = logging.getLogger(__name__)
_LOCK = Lock()
_UNCONDITIONAL: dict[int, weakref.ref[Any]] = {}
_CONDITIONAL: dict[int, weakref.ref[Any]] = {}
