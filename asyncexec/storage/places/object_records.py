"""Records of the objects in a store: as they were fetched, and as a listing has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

GENERATION = "asyncexecgeneration"
"""The attribute of an object that names the run that wrote it; of letters only, as services differ there."""
METADATA = "metadata"
"""That attribute of what is no chunk: a store that has lost it keeps no attributes."""


class FetchedObject(NamedTuple):
    """An object with its data.

    Attributes
    ----------
    data : bytes
    version : str
        Another one once the object was written again; it is compared with others of the same object only.
    attributes : mapping of str to str
        What was stored with it, where the store keeps such things.
    """

    data: bytes
    version: str
    attributes: Mapping[str, str]


class ListedObject(NamedTuple):
    """An object as a listing has it.

    Attributes
    ----------
    name : str
    size : int
        In bytes.
    version : str
        What the listing says of when and as what it was written; empty where it says nothing of that.
    """

    name: str
    size: int
    version: str
