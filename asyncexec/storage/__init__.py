"""Storage: Zarr arrays on disk and object stores, the tiers before them, and the workspace of a run.

``chunks`` has all that workers need, ``workspace`` what the driver does once for each run; ``places`` are the paths,
URLs and stores of arrays, and ``tiers`` the faster places for intermediates.

The names are imported when they are first used: a worker reads and writes chunks, and does not prepare a run.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.storage.chunks.access import read as read, write as write
    from asyncexec.storage.chunks.arrays import (
        StoredArray as StoredArray,
        planned_array as planned_array,
    )
    from asyncexec.storage.chunks.block_io import (
        BlockIO as BlockIO,
        InMemory as InMemory,
        Source as Source,
        Target as Target,
        TaskInput as TaskInput,
        TaskOutput as TaskOutput,
    )
    from asyncexec.storage.places.creation import create_array as create_array
    from asyncexec.storage.places.locations import (
        RUN_SCOPED as RUN_SCOPED,
        Location as Location,
        locate as locate,
    )
    from asyncexec.storage.places.metadata import exists as exists
    from asyncexec.storage.places.opening import open_array as open_array
    from asyncexec.storage.places.urls import join as join
    from asyncexec.storage.values.cache import clear_cache as clear_cache
    from asyncexec.storage.workspace.array_workspace import ArrayWorkspace as ArrayWorkspace
    from asyncexec.storage.workspace.checking import verify as verify
    from asyncexec.storage.workspace.cleaning import clean as clean
    from asyncexec.storage.workspace.leftover import Leftover as Leftover
    from asyncexec.storage.workspace.verification_report import (
        ArrayReport as ArrayReport,
        ChunksFound as ChunksFound,
        Verification as Verification,
    )
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "RUN_SCOPED": "places.locations",
            "ArrayReport": "workspace.verification_report",
            "ArrayWorkspace": "workspace.array_workspace",
            "BlockIO": "chunks.block_io",
            "ChunksFound": "workspace.verification_report",
            "Verification": "workspace.verification_report",
            "verify": "workspace.checking",
            "Leftover": "workspace.leftover",
            "clean": "workspace.cleaning",
            "InMemory": "chunks.block_io",
            "Location": "places.locations",
            "Source": "chunks.block_io",
            "StoredArray": "chunks.arrays",
            "Target": "chunks.block_io",
            "TaskInput": "chunks.block_io",
            "TaskOutput": "chunks.block_io",
            "clear_cache": "values.cache",
            "create_array": "places.creation",
            "exists": "places.metadata",
            "join": "places.urls",
            "locate": "places.locations",
            "open_array": "places.opening",
            "planned_array": "chunks.arrays",
            "read": "chunks.access",
            "write": "chunks.access",
        },
    )
