"""Functions that save arrays and tables in an artifact, and load them again: npy, Zarr, Parquet, CSV, ORC."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from asyncexec.artifacts.artifact import Artifact, ArtifactFile
from asyncexec.artifacts.hooks import FILE, TYPE, LoadHook, SaveHook, check_kind
from asyncexec.config.checks import one_of, whole_number
from asyncexec.errors import ArtifactNotFoundError, MissingExtraError, SerializationError
from asyncexec.plan.masked import unmasked

ARRAY = "numpy.ndarray"
PANDAS = "pandas.DataFrame"
ARROW = "pyarrow.Table"
FORMAT = "value_format"
_ARRAYS = ("npy", "zarr")
_WRITTEN = ("parquet", "csv")
_READ = (*_WRITTEN, "orc")


def array_to_artifact(format: str = "npy", *, num_parts: int = 1) -> SaveHook:  # noqa: A002 - Flowdapt's name of it
    """Return a function that saves an array, in so many parts along its first axis: as ``npy``, or zipped as ``zarr``.

    >>> from asyncexec.artifacts import array_from_artifact, array_to_artifact, get_artifact
    >>> artifact = get_artifact("field", base_path="runs", create=True)
    >>> array_to_artifact("zarr")(artifact, np.arange(3))
    >>> array_from_artifact()(artifact)
    array([0, 1, 2])
    """
    kind = one_of(format, "format", choices=_ARRAYS)
    parts = whole_number(num_parts, "num_parts")

    def save(artifact: Artifact, value: Any) -> None:
        array = _needed("numpy").asarray(unmasked(value, "the array"))
        if array.dtype.hasobject:
            raise SerializationError("an array of Python objects cannot be saved: pickle it")
        pieces = _needed("numpy").array_split(array, parts) if array.ndim and parts > 1 else [array]
        _save_parts(artifact, pieces, kind, _WRITERS[kind], ARRAY)

    return save


def array_from_artifact(format: str = "") -> LoadHook:  # noqa: A002 - Flowdapt's name of it
    """Return a function that loads what :func:`array_to_artifact` has saved, in whatever format it was."""

    def load(artifact: Artifact) -> Any:
        check_kind(artifact, ARRAY)
        kind = one_of(format or artifact.get_meta(FORMAT), "format", choices=_ARRAYS)
        pieces = [_READERS[kind](file) for file in _parts(artifact, kind)]
        return pieces[0] if len(pieces) == 1 else _needed("numpy").concatenate(pieces)

    return load


def dataframe_to_artifact(format: str = "parquet", *, num_parts: int = 1) -> SaveHook:  # noqa: A002 - Flowdapt's name of it
    """Return a function that saves a table of pandas or Arrow, in so many parts: as ``parquet`` or ``csv``."""
    kind = one_of(format, "format", choices=_WRITTEN)
    parts = whole_number(num_parts, "num_parts")

    def save(artifact: Artifact, value: Any) -> None:
        module = type(value).__module__.partition(".")[0]
        if module not in {"pandas", "pyarrow"} or not hasattr(value, "shape"):
            raise SerializationError(f"a {type(value).__qualname__} is no table of pandas or Arrow")
        length = value.shape[0]
        bounds = [length * n // parts for n in range(parts + 1)]
        # A slice of a table of pandas itself may be one of labels.
        rows = value.iloc if module == "pandas" else value
        pieces = [rows[start:stop] for start, stop in pairwise(bounds)]
        writer = _pandas_writer(kind) if module == "pandas" else _arrow_writer(kind)
        _save_parts(artifact, pieces, kind, writer, PANDAS if module == "pandas" else ARROW)

    return save


def dataframe_from_artifact(format: str = "") -> LoadHook:  # noqa: A002 - Flowdapt's name of it
    """Return a function that loads what :func:`dataframe_to_artifact` has saved; ``orc`` is read too."""

    def load(artifact: Artifact) -> Any:
        check_kind(artifact, PANDAS, ARROW)
        kind = one_of(format or artifact.get_meta(FORMAT), "format", choices=_READ)
        files = _parts(artifact, kind)
        if artifact.get_meta(TYPE) == ARROW:
            arrow = _needed("pyarrow")
            return arrow.concat_tables([_read_arrow(file, kind) for file in files])
        pandas = _needed("pandas")
        read = getattr(pandas, f"read_{kind}")
        options = {"index_col": 0} if kind == "csv" else {}
        pieces = [_opened(file, lambda opened: read(opened, **options)) for file in files]
        return pieces[0] if len(pieces) == 1 else pandas.concat(pieces)

    return load


def _save_parts(
    artifact: Artifact,
    pieces: list[Any],
    kind: str,
    write: Callable[[IO[bytes], Any], None],
    value_type: str,
) -> None:
    for number, piece in enumerate(pieces):
        with artifact.new_file(f"partition-{number}.{kind}").open("wb") as file:
            write(file, piece)
    for name, said in {
        TYPE: value_type,
        FORMAT: kind,
        FILE: "",
        "parts": len(pieces),
    }.items():
        artifact[name] = said


def _parts(artifact: Artifact, kind: str) -> list[ArtifactFile]:
    """Return the parts of a value, in their order."""
    count = artifact.get_meta("parts")
    if count is None:
        count = sum(file.name.endswith(f".{kind}") for file in artifact)
    if not count:
        raise ArtifactNotFoundError(f"artifact {artifact.uri} has no part of format {kind!r}")
    return [artifact.get_file(f"partition-{number}.{kind}") for number in range(count)]


def _write_npy(file: IO[bytes], array: Any) -> None:
    _needed("numpy").save(file, array, allow_pickle=False)


def _read_npy(file: ArtifactFile) -> Any:
    return _opened(file, lambda opened: _needed("numpy").load(opened, allow_pickle=False))


def _write_zarr(file: IO[bytes], array: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="asyncexec-") as directory:
        path = Path(directory) / "array.zip"
        store = _needed("zarr.storage").ZipStore(path, mode="w")
        try:
            _needed("zarr").create_array(store, data=array)
        finally:
            store.close()
        file.write(path.read_bytes())


def _read_zarr(file: ArtifactFile) -> Any:
    with tempfile.TemporaryDirectory(prefix="asyncexec-") as directory:
        path = Path(directory) / "array.zip"
        path.write_bytes(file.read())
        store = _needed("zarr.storage").ZipStore(path, mode="r")
        try:
            return _needed("zarr").open_array(store, mode="r")[...]
        finally:
            store.close()


_WRITERS: dict[str, Callable[[IO[bytes], Any], None]] = {"npy": _write_npy, "zarr": _write_zarr}
_READERS: dict[str, Callable[[ArtifactFile], Any]] = {"npy": _read_npy, "zarr": _read_zarr}


def _pandas_writer(kind: str) -> Callable[[IO[bytes], Any], None]:
    if kind == "parquet":
        _needed("pyarrow")
    return lambda file, table: getattr(table, f"to_{kind}")(file)


def _arrow_writer(kind: str) -> Callable[[IO[bytes], Any], None]:
    if kind == "parquet":
        return lambda file, table: _needed("pyarrow.parquet").write_table(table, file)
    return lambda file, table: _needed("pyarrow.csv").write_csv(table, file)


def _read_arrow(file: ArtifactFile, kind: str) -> Any:
    module = _needed(f"pyarrow.{kind}")
    read = module.read_csv if kind == "csv" else module.read_table
    return _opened(file, read)


def _opened(file: ArtifactFile, read: Callable[[Any], Any]) -> Any:
    with file.open("rb") as opened:
        return read(opened)


def _needed(module: str) -> Any:
    """Return a module, which is loaded when it is needed: it is dear, or may not be installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"this artifact needs {package}, which is not installed. Install it: pip install {package}"
        ) from error
