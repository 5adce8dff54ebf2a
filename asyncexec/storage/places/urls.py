"""URLs of places, each brought to one spelling, in which names of objects keep every character.

In an object store ``#`` and ``?`` are letters of a name like others, so they stay. On a web server ``?`` begins a
query, which stays at the end, and ``#`` means nothing.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote

from asyncexec.errors import OptionError

FAMILIES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "azure": "az",
    "adl": "az",
    "abfs": "az",
    "abfss": "az",
}
"""Schemes of object stores, and the one that each is spelt with."""

_QUERIED = ("http", "https")
_SIGNED = re.compile(
    r"[?&](?:x-(?:amz|goog)-[a-z-]+|awsaccesskeyid|googleaccessid|sig|sv|signature|code|versionid"
    r"|(?:[\w.-]*(?:token|secret|password|passwd|credential|api[_-]?key)))=",
    re.IGNORECASE,
)
_ONE_SLASH = re.compile(
    rf"(?:.*::)?(?P<scheme>{'|'.join(FAMILIES)}|memory|https?|s?ftp|hdfs|github|zip|dir):/(?!/)",
    re.IGNORECASE,
)
_FILE_PATH = re.compile(r"file:(?=/(?!/))", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ObjectURL:
    """The parts of the URL of an object store.

    Attributes
    ----------
    family : str
        The scheme that all of its kind are spelt with.
    login : str
        What is before an ``@``; of Azure, the container.
    host : str
        The bucket, or (after a container) the account's server.
    key : str
        The object's name, decoded.
    """

    family: str
    login: str
    host: str
    key: str

    @property
    def url(self) -> str:
        """The URL as everything in asyncexec spells it."""
        at = f"{self.login}@{self.host}" if self.login else self.host
        # Encoded, a % of the name stays one when the URL is read again.
        return f"{self.family}://{at}/{self.key.replace('%', '%25')}".rstrip("/")


def object_url(url: str) -> ObjectURL | None:
    """Return the parts of ``url``; None where it is no URL of an object store.

    Raises
    ------
    OptionError
        If the name in it cannot be one.
    """
    scheme, found, rest = url.partition("://")
    family = FAMILIES.get(scheme.lower()) if found else None
    if family is None:
        return None
    host, _, key = rest.partition("/")
    login, _, host = host.rpartition("@")
    return ObjectURL(family, login, host, _decoded(key))


def is_signed(url: str) -> bool:
    """Return whether ``url`` has a signature, a key or a version in its query."""
    return _SIGNED.search(url) is not None


def schemes(url: str) -> list[str]:
    """Return the scheme of ``url``, or those of a chain of fsspec's, in lower case; none of a path."""
    if "://" not in url:
        return []
    return [link.partition("://")[0].lower() for link in url.split("::")]


def normal_url(url: str) -> str:
    """Return ``url`` in the spelling that all others of its place have as well; a local file's is its path.

    Raises
    ------
    OptionError
        If the name in it cannot be one.
    """
    first, chained, others = url.partition("::")
    if chained and "://" in others and first.partition("://")[0].lower() == "dir":
        # A folder of what follows is a place there.
        folder = first.partition("://")[2].strip("/")
        inner = normal_url(others)
        return join(inner, folder) if folder else inner
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme in ("file", "local"):
        return _path(rest)
    if scheme in FAMILIES:
        parts = None if is_signed(url) else object_url(url)
        # Signed, it is refused when it is opened; until then it is kept as it is, and never shown.
        return f"{FAMILIES[scheme]}://{rest}" if parts is None else parts.url
    if scheme == "memory":
        return f"memory://{'/'.join(_plain(rest, 'memory'))}"
    if scheme in _QUERIED:
        return _web_url(scheme, rest)
    return f"{scheme}://{rest}" if "::" not in scheme else url


def with_slashes(url: str) -> str:
    """Return ``url``, of which ``file:/path`` (as some programs write it) is a URL, too.

    Raises
    ------
    OptionError
        If it is a URL that has lost a slash, which would be taken for a path on this machine.
    """
    lost = _ONE_SLASH.match(url)
    if lost is not None:
        scheme = lost["scheme"]
        raise OptionError(
            f"'{scheme}:/' with one slash is no beginning of a URL: write '{scheme}://', and give URLs as text, "
            f"because pathlib.Path leaves out one slash"
        )
    return _FILE_PATH.sub("file://", url, count=1) if _FILE_PATH.match(url) else url


def join(url: str, name: str) -> str:
    """Return the URL (or path) of ``name`` inside ``url``; the query of a web server's stays at the end."""
    links = url.split("::") if "://" in url else [url]
    # Of a chain of fsspec's, the path is in the first link that has one: before it are caches, after it archives.
    place = next((n for n, link in enumerate(links) if "://" in link), 0)
    base, query = split_query(links[place])
    if links[place].partition("://")[0].lower() in FAMILIES and len(links) == 1:
        name = name.replace("%", "%25")
    joined = (
        f"{base.rstrip('/')}/{name}"
        if base.strip("/") and not base.endswith("://")
        else f"{base}{name}"
    )
    links[place] = f"{joined}{query}"
    return "::".join(links)


def split_query(url: str) -> tuple[str, str]:
    """Return ``url`` without the query of a web server's, and the query, with its mark."""
    if not {*schemes(url)} & {*_QUERIED}:
        return url, ""
    base, mark, query = url.partition("?")
    return base, f"{mark}{query}"


def _web_url(scheme: str, rest: str) -> str:
    host, slash, path = rest.partition("/")
    login, at, host = host.rpartition("@")
    return f"{scheme}://{login}{at}{host.lower()}{slash}{path}"


def _path(rest: str) -> str:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise OptionError(
            f"file://{rest} has no absolute path: give a path such as 'data/x.zarr', or a URL with three slashes, such "
            f"as 'file:///data/x.zarr'"
        )
    # As any path: '..' and empty parts would make folders of their own, or be read as the end of a scheme.
    return os.path.normpath(f"/{unquote(path).lstrip('/')}")


def _decoded(key: str) -> str:
    try:
        decoded = unquote(key, errors="strict")
    except UnicodeDecodeError:
        raise OptionError(
            f"{key!r} is no name in an object store: what is encoded in it with % is not UTF-8"
        ) from None
    return "/".join(_plain(decoded, "the bucket"))


def _plain(path: str, root: str) -> list[str]:
    """Return the parts of ``path``, without empty ones, ``.`` and ``..``."""
    if _CONTROL.search(path):
        raise OptionError(
            f"{path!r} is no name of a place: there are control characters in it, such as line breaks"
        )
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and not parts:
            raise OptionError(f"{path!r} leads out of {root}: give the name without '..'")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts
