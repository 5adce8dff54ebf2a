"""Options of a store, whose values are never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from asyncexec.errors import OptionError
from asyncexec.masking import MASK, masked_logins
from asyncexec.storage.places.urls import FAMILIES, is_signed

_QUERY = re.compile(r"[?#].*\Z", re.DOTALL)


class StorageOptions(Mapping[str, Any]):
    """The options of a store (keys, tokens, endpoints): a mapping that never shows its values.

    It compares by value and can be hashed, pickled and passed on as ``**options``; its representation has the names of
    the options only.

    Raises
    ------
    OptionError
        If it is made of something else than a mapping of names.
    """

    __slots__ = ("_key", "_options")

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        self._options = {} if options is None else dict(_checked(options))
        self._key = _frozen(self._options)

    def __getitem__(self, name: str) -> Any:
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageOptions) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[type[StorageOptions], tuple[dict[str, Any]]]:
        return StorageOptions, (self._options,)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {MASK}" for name in self._options) + "}"

    def hide_in(self, text: str) -> str:
        """Return ``text`` without any of the values: messages of a library may repeat its arguments."""
        # The longest first, as one value may be part of another.
        for secret in sorted(_texts(self._options), key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def _checked(options: object) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        # Without the value, which may be a secret.
        raise OptionError(
            f"storage_options must be a mapping of the store's options by name, such as {{'region': 'eu-west-1'}}, not "
            f"{type(options).__name__}"
        )
    wrong = next((name for name in options if not isinstance(name, str)), None)
    if wrong is not None:
        raise OptionError(
            f"storage_options must have names that are strings, not {wrong!r} ({type(wrong).__name__})"
        )
    return options


def shown(url: str) -> str:
    """Return ``url`` without user, password, signature and a web server's query, for messages."""
    if "://" not in url:
        return url
    url = masked_logins(url).replace(f"://{MASK}@", "://")
    scheme = url.partition("://")[0].rpartition("::")[2].lower()
    # There, what follows a ? is part of the name, and of signatures nothing is shown.
    named = scheme in FAMILIES or scheme in ("memory", "run", "file", "local")
    return url if named and not is_signed(url) else _QUERY.sub("", url)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((str(name), _frozen(v)) for name, v in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    try:
        hash(value)
    except TypeError:
        # What cannot be hashed is the same only as the same object.
        return id(value)
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in ``value`` that is long enough to be a secret."""
    if isinstance(value, str):
        if len(value) >= 4:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
