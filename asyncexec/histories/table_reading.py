"""Tables of a history, read back as arrays; :mod:`asyncexec.observers.table_files` writes them."""

from __future__ import annotations

import csv
from importlib import import_module
from itertools import batched
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from asyncexec.observers.table_files import Column

_KINDS: dict[str, Any] = {
    "string": np.str_,
    "int64": np.int64,
    "double": np.float64,
    "bool": np.bool_,
}
_BLOCK_ROWS = 50_000


def read_table(folder: Path, name: str, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
    """Return columns of a table by their names, from Parquet where there is a file of it, else from CSV.

    Raises
    ------
    MissingExtraError
        If it is Parquet, and pyarrow is not installed.
    OSError, ValueError, csv.Error
        If it cannot be read, or a column is not there.
    """
    path = folder / f"{name}.parquet"
    if path.is_file():
        return _read_parquet(path, columns)
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        heading = next(rows, [])
        places = [heading.index(column.name) for column in columns]
        # Block by block, as numbers take a tenth of the memory of their texts.
        blocks = [_arrays(block, columns, places) for block in batched(rows, _BLOCK_ROWS)]
    return {
        column.name: np.concatenate([np.zeros(0, _KINDS[column.type]), *arrays])
        for column, *arrays in zip(columns, *blocks, strict=True)
    }


def _read_parquet(path: Path, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
    try:
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError.of(f"reading {path}", "pyarrow", extra="report") from error
    table = parquet.read_table(path, columns=[column.name for column in columns])
    return {c.name: table[c.name].to_numpy().astype(_KINDS[c.type]) for c in columns}


def _arrays(
    rows: Sequence[Sequence[str]], columns: Sequence[Column], places: Sequence[int]
) -> list[NDArray[Any]]:
    texts = [np.array([row[place] for row in rows]) for place in places]
    return [
        cells == "True" if column.type == "bool" else cells.astype(_KINDS[column.type])
        for cells, column in zip(texts, columns, strict=True)
    ]
