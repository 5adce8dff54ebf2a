"""The chunk manager: what xarray calls wherever it handles chunks (its protocol ``ChunkManagerEntrypoint``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from xarray.namedarray.parallelcompat import ChunkManagerEntrypoint

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.operands import chunk_limit
from asyncexec.array.storing import computation_of
from asyncexec.errors import UnknownOptionError
from asyncexec.integrations.xarray import block_calls, sources
from asyncexec.integrations.xarray.chunk_tuples import ChunkTuples, chunk_tuples, settled_chunks
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.duck_namespace import DuckNamespace
from asyncexec.integrations.xarray.known_truths import known_truth
from asyncexec.integrations.xarray.loads import loaded
from asyncexec.integrations.xarray.numpy_calls import unwrapped
from asyncexec.integrations.xarray.registration import register
from asyncexec.integrations.xarray.settings import chosen_spec
from asyncexec.integrations.xarray.writing import Writing, writing_of

_OF_DASK = ("inline_array", "lock", "meta", "name")


class AsyncexecManager(ChunkManagerEntrypoint[Any]):
    """Arrays of asyncexec in xarray: ``chunked_array_type="asyncexec"``, or ``xr.set_options(chunk_manager=...)``.

    xarray makes one when it first needs it, and calls its methods; users have no need to. Chunks have the lengths that
    xarray names, also where these differ along an axis.

    >>> import xarray as xr
    >>> ds = xr.Dataset({"t": (("time", "x"), np.ones((6, 4)))}).chunk(time=2, chunked_array_type="asyncexec")
    >>> dict(ds.t.chunksizes)
    {'time': (2, 2, 2), 'x': (4,)}
    >>> ds.t.mean("time").compute().values
    array([1., 1., 1., 1.])
    """

    available = True

    def __init__(self) -> None:
        self.array_cls = DuckArray
        register()

    def is_chunked_array(self, data: Any) -> bool:
        # Arrays as they are compute, too; what xarray asks of their chunks, a DuckArray knows.
        return isinstance(data, DuckArray | Array)

    def chunks(self, data: Any) -> ChunkTuples:
        array: Array = unwrapped(data)
        return array.chunksizes

    def normalize_chunks(
        self,
        chunks: Any,
        shape: tuple[int, ...] | None = None,
        limit: int | None = None,
        dtype: Any = None,
        previous_chunks: Any = None,
    ) -> ChunkTuples:
        """Return chunks in any spelling as the lengths of all chunks along each axis.

        >>> from asyncexec.integrations.xarray import AsyncexecManager
        >>> AsyncexecManager().normalize_chunks((-1, "auto"), shape=(10, 6), dtype=np.dtype("f8"))
        ((10,), (6,))
        """
        if shape is None:
            shape = tuple(sum(along) for along in chunks)
        itemsize = 8 if dtype is None else max(np.dtype(dtype).itemsize, 1)
        most = self.get_auto_chunk_size() if limit is None else limit
        settled = settled_chunks(chunks, shape, itemsize, limit=most, previous=previous_chunks)
        return chunk_tuples(shape, settled)

    def from_array(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        """Return ``data`` (in memory, or opened by xarray and not read) as a lazy array.

        Times, strings and objects are returned as they are, since arrays here have none: they are read when needed.

        Raises
        ------
        UnknownOptionError
            If ``from_array_kwargs`` has another name than ``spec``.
        """
        spec = chosen_spec(kwargs.pop("spec", None))
        # xarray always names Dask's options, which mean nothing here.
        unknown = [name for name, value in kwargs.items() if name not in _OF_DASK or value]
        if unknown:
            raise UnknownOptionError(
                f"from_array_kwargs takes 'spec' alone, and got {', '.join(map(repr, unknown))}"
            )
        return sources.from_data(data, chunks, spec)

    def rechunk(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        return DuckArray(unwrapped(data)).rechunk(chunks)

    def compute(self, *data: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return ``data`` with all lazy arrays computed, by one plan; options are those of ``Array.compute``."""
        given = [unwrapped(each) if self.is_chunked_array(each) else each for each in data]
        settled = [_at_once(each) if isinstance(each, Array) else each for each in given]
        lazy = [each for each in settled if isinstance(each, Array)]
        found = loaded(computation_of(*lazy), kwargs) if lazy else ()
        values = iter(found)
        return tuple(next(values) if isinstance(each, Array) else each for each in settled)

    def persist(self, *data: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return ``data`` with all lazy arrays computed, by one plan, and kept in memory in the same chunks."""
        values = self.compute(*data, **kwargs)
        return tuple(
            _kept(unwrapped(each), value) if self.is_chunked_array(each) else each
            for each, value in zip(data, values, strict=True)
        )

    @property
    def array_api(self) -> Any:
        """NumPy's functions, which hand lazy arrays over to those of :mod:`asyncexec.array`."""
        return DuckNamespace()

    def shuffle(self, x: Any, indexer: list[list[int]], axis: int, chunks: Any) -> Any:
        """Return the elements of ``x`` along ``axis`` in the order of ``indexer``, in chunks of ``x``.

        ``indexer`` has the positions of each group; a group may span chunks, since chunks are regular here.
        """
        order = np.concatenate(
            [np.asarray(group, np.int64) for group in indexer] or [np.empty(0, np.int64)]
        )
        taken = DuckArray(xp.take(unwrapped(x), order, axis=axis))
        return taken if chunks in (None, "auto") else taken.rechunk(chunks)

    def reduction(  # noqa: PLR0917 - xarray's protocol
        self,
        arr: Any,
        func: Callable[..., Any],
        combine_func: Callable[..., Any] | None = None,
        aggregate_func: Callable[..., Any] | None = None,
        axis: int | Sequence[int] | None = None,
        dtype: Any = None,
        keepdims: bool = False,  # noqa: FBT001, FBT002 - xarray's protocol
    ) -> Any:
        found = xp.reduction(
            unwrapped(arr),
            func,
            aggregate_func or combine_func or func,
            combine=combine_func,
            axis=axis,
            keepdims=keepdims,
            dtype=dtype,
        )
        return DuckArray(found)

    def scan(  # noqa: PLR0917 - xarray's protocol
        self,
        func: Callable[..., Any],
        binop: Callable[..., Any],
        ident: float,
        arr: Any,
        axis: int | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> Any:
        return DuckArray(
            block_calls.scanned(
                func, binop, ident, unwrapped(arr), axis=axis, dtype=dtype, **kwargs
            )
        )

    def apply_gufunc(
        self, func: Callable[..., Any], signature: str, *args: Any, **kwargs: Any
    ) -> Any:
        return block_calls.with_core_axes(func, signature, args, kwargs)

    def map_blocks(
        self,
        func: Callable[..., Any],
        *args: Any,
        dtype: Any = None,
        chunks: Any = None,
        drop_axis: int | Sequence[int] | None = None,
        new_axis: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Any:
        return block_calls.mapped(
            func,
            args,
            dtype=dtype,
            chunks=chunks,
            drop_axis=drop_axis,
            new_axis=new_axis,
            keywords=kwargs,
        )

    def blockwise(
        self,
        func: Callable[..., Any],
        out_ind: Any,
        *args: Any,
        adjust_chunks: Mapping[Any, Any] | None = None,
        new_axes: Mapping[Any, int] | None = None,
        align_arrays: bool = True,
        **kwargs: Any,
    ) -> Any:
        return DuckArray(
            xp.blockwise(
                func,
                out_ind,
                *map(unwrapped, args),
                adjust_chunks=adjust_chunks,
                new_axes=new_axes,
                align_arrays=align_arrays,
                **block_calls.without_names(kwargs),
            )
        )

    def unify_chunks(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], list[Any]]:
        """Return the common chunks of arrays along the dimensions that they name, and the arrays in these chunks."""
        pairs = list(zip(args[::2], args[1::2], strict=True))
        lengths = block_calls.common_lengths(
            [(unwrapped(a), tuple(dims)) for a, dims in pairs if self.is_chunked_array(a)]
        )
        unified = [
            self.rechunk(a, tuple(lengths[d][1] for d in dims)) if self.is_chunked_array(a) else a
            for a, dims in pairs
        ]
        chunks = {d: chunk_tuples((n,), (c,))[0] for d, (n, c) in lengths.items()}
        return chunks, unified

    def store(self, sources: Any, targets: Any, **kwargs: Any) -> Writing | None:
        """Write arrays into ``targets``, by one plan; with ``compute=False`` return what does so.

        ``regions``, ``lock`` and ``flush`` are xarray's; other options are those of ``Array.compute``. Each task writes
        whole chunks (or shards) of its target, whatever chunks the source has.
        """
        compute = kwargs.pop("compute", True)
        collected: list[Writing] | None = kwargs.pop("collected", None)
        writing = writing_of(
            list(map(unwrapped, sources if isinstance(sources, list | tuple) else [sources])),
            targets if isinstance(targets, list | tuple) else [targets],
            regions=kwargs.pop("regions", None),
            lock=kwargs.pop("lock", None),
        )
        kwargs.pop("flush", None)
        if collected is not None:
            collected.append(writing)
            return None
        if not compute:
            return writing
        writing.compute(**kwargs)
        return None

    def get_auto_chunk_size(self) -> int:
        """Return the bytes that "auto" chunks aim at: less where little memory is allowed."""
        return chunk_limit(chosen_spec())


def _at_once(array: Array) -> Any:
    """Return the truth value of ``array`` in memory where it is known, and others as they are."""
    known = known_truth(array)
    return array if known is None else np.asarray(known)


def _kept(array: Array, value: Any) -> DuckArray:
    """Return a computed ``value`` as lazy as ``array`` was."""
    found = xp.asarray(value, copy=False, chunks=array.chunks, spec=array.own_spec)
    return DuckArray(found)
