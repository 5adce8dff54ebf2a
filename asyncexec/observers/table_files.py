"""Tables that are written to files in row groups; a file gets its final name only once it is complete."""

from __future__ import annotations

import csv
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

type Rows = Sequence[tuple[Any, ...]]

PARTIAL = ".partial"
"""Ending of a file that is being written."""


class Column(NamedTuple):
    """One column: its name, and ``"string"``, ``"int64"``, ``"double"`` or ``"bool"``."""

    name: str
    type: str


class TableFile(Protocol):
    """A table that is being written. All methods block."""

    def write(self, rows: Rows) -> None:
        """Append rows."""
        ...

    def close(self) -> None:
        """Close the file and give it its final name."""
        ...

    def discard(self) -> None:
        """Remove what was written."""
        ...


class CsvFile:
    """Comma-separated values, with a heading, in UTF-8."""

    def __init__(self, folder: Path, name: str, columns: Sequence[Column]) -> None:
        self._path = folder / f"{name}.csv"
        self._partial = self._path.with_name(self._path.name + PARTIAL)
        self._file = self._partial.open("x", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow([column.name for column in columns])

    def write(self, rows: Rows) -> None:
        self._writer.writerows(rows)
        # Should the process die, the file is readable up to here.
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self._partial.replace(self._path)

    def discard(self) -> None:
        # Closing flushes the buffer, which fails once more on a full disk.
        with suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


class ParquetFile:
    """Apache Parquet; a row group for each :meth:`write`."""

    def __init__(self, folder: Path, name: str, columns: Sequence[Column]) -> None:
        # An optional package, imported in the thread that writes: the import would block the event loop.
        self._arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
        self._path = folder / f"{name}.parquet"
        self._partial = self._path.with_name(self._path.name + PARTIAL)
        self._schema = self._arrow.schema(
            [(c.name, getattr(self._arrow, _PARQUET[c.type])()) for c in columns]
        )
        self._file = self._partial.open("xb")
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def write(self, rows: Rows) -> None:
        if not rows:
            return
        columns = zip(*rows, strict=True)
        arrays = [
            self._arrow.array(c, type=field.type)
            for c, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()
        self._file.close()
        self._partial.replace(self._path)

    def discard(self) -> None:
        with suppress(OSError):
            self._writer.close()
        with suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)


_PARQUET = {"string": "string", "int64": "int64", "double": "float64", "bool": "bool_"}

FORMATS: Mapping[str, Callable[[Path, str, Sequence[Column]], TableFile]] = {
    "csv": CsvFile,
    "parquet": ParquetFile,
}
"""By the format's name, as users write it."""
