"""Where chunks live: Zarr arrays on disk and object stores, the in-memory tier, the completion journal."""

from asyncexec.storage.access import read, write
from asyncexec.storage.arrays import StoredArray, planned_array
from asyncexec.storage.block_io import BlockIO, InMemory, Source, Target
from asyncexec.storage.catalog import open_array
from asyncexec.storage.creation import create_array
from asyncexec.storage.locations import RUN_SCOPED, Location, join, locate
from asyncexec.storage.metadata import exists
from asyncexec.storage.workspace import ArrayWorkspace

__all__ = [
    "RUN_SCOPED",
    "ArrayWorkspace",
    "BlockIO",
    "InMemory",
    "Location",
    "Source",
    "StoredArray",
    "Target",
    "create_array",
    "exists",
    "join",
    "locate",
    "open_array",
    "planned_array",
    "read",
    "write",
]
