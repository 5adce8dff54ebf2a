"""Functions that save tables and arrays in artifacts and load them, under the names that Flowdapt has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.artifacts import array_from_artifact, array_to_artifact, datasets

if TYPE_CHECKING:
    from asyncexec.artifacts.hooks import LoadHook, SaveHook

__all__ = [
    "array_from_artifact",
    "array_to_artifact",
    "dataframe_from_artifact",
    "dataframe_to_artifact",
]


def dataframe_to_artifact(
    format: str = "parquet",  # noqa: A002 - Flowdapt's name of it
    *,
    executor: str = "",
    num_parts: int = 1,
) -> SaveHook:
    """Return a function that saves a table; ``executor`` has no effect, as tables are those of this process."""
    del executor
    return datasets.dataframe_to_artifact(format, num_parts=num_parts)


def dataframe_from_artifact(
    format: str = "",  # noqa: A002 - Flowdapt's name of it
    *,
    executor: str = "",
) -> LoadHook:
    """Return a function that loads a table; ``executor`` has no effect, as tables are those of this process."""
    del executor
    return datasets.dataframe_from_artifact(format)
