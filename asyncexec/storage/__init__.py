"""Where chunks live: Zarr arrays on disk and object stores, the in-memory tier, the completion journal.

The names are imported when they are first used: a worker reads and writes chunks, and does not prepare a run.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.storage.access import read as read, write as write
    from asyncexec.storage.arrays import StoredArray as StoredArray, planned_array as planned_array
    from asyncexec.storage.block_io import (
        BlockIO as BlockIO,
        InMemory as InMemory,
        Source as Source,
        Target as Target,
    )
    from asyncexec.storage.catalog import open_array as open_array
    from asyncexec.storage.creation import create_array as create_array
    from asyncexec.storage.locations import (
        RUN_SCOPED as RUN_SCOPED,
        Location as Location,
        join as join,
        locate as locate,
    )
    from asyncexec.storage.metadata import exists as exists
    from asyncexec.storage.workspace import ArrayWorkspace as ArrayWorkspace
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "RUN_SCOPED": "locations",
            "ArrayWorkspace": "workspace",
            "BlockIO": "block_io",
            "InMemory": "block_io",
            "Location": "locations",
            "Source": "block_io",
            "StoredArray": "arrays",
            "Target": "block_io",
            "create_array": "creation",
            "exists": "metadata",
            "join": "locations",
            "locate": "locations",
            "open_array": "catalog",
            "planned_array": "arrays",
            "read": "access",
            "write": "access",
        },
    )
