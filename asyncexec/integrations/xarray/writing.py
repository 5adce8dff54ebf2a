"""Writing arrays into what xarray has created: Zarr arrays, and variables of netCDF files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.blocking import run
from asyncexec.array.chunks import chunk_bytes, grid
from asyncexec.array.storing import Computation, computation_of
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray.aligned_pieces import Piece, pieces_of
from asyncexec.integrations.xarray.block_writes import WriteBlock, is_shared
from asyncexec.integrations.xarray.read_places import check_not_read
from asyncexec.plan import Plan

_IN_THIS_PROCESS = (None, "threads", "serial", "asyncio")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Writing:
    """Arrays that are to be written into targets that exist; nothing is written before it is run.

    ``await ax.execute(writing)`` runs it, and so does :meth:`compute` in scripts and notebooks. Dask takes it as one of
    its collections, as xarray wants it for ``to_zarr(compute=False)``.

    Attributes
    ----------
    computation : Computation
        Of one number for each part of an array: how many elements its tasks wrote.
    here : bool
        Whether a target has to be written by this process.
    """

    computation: Computation
    here: bool
    _in_dask: list[Any] = field(default_factory=list, init=False, repr=False)

    @property
    def spec(self) -> Any:
        """The place and the memory with which it runs: on threads, where targets have to be written by this process."""
        spec = self.computation.spec
        if self.here and spec.executor not in _IN_THIS_PROCESS:
            return replace(spec, executor="threads", executor_options=None)
        return spec

    def to_plan(self) -> Plan:
        """Return the plan; its value says how many elements were written of each part of an array."""
        return self.computation.to_plan()

    def compute(self, /, **options: Any) -> None:
        """Run it and wait for its end, on the spec's executor; options as for ``Array.compute``.

        Raises
        ------
        OptionError
            If a target has to be written by this process, and another executor is named.
        """
        executor = options.get("executor")
        if self.here and executor not in _IN_THIS_PROCESS:
            raise OptionError(
                f"executor={executor!r} has workers elsewhere, and what is written is a file with one writer, or in "
                f"the memory of this process: use 'threads'"
            )
        run(
            self,
            options,
            called="to_zarr() or to_netcdf()",
            instead="await ds.asyncexec.to_zarr(store), or await asyncio.to_thread(ds.to_netcdf, path)",
        )

    def __dask_graph__(self) -> Any:
        return self._delayed().__dask_graph__()

    def __dask_keys__(self) -> Any:
        return self._delayed().__dask_keys__()

    def __dask_layers__(self) -> Any:
        return self._delayed().__dask_layers__()

    def __dask_tokenize__(self) -> Any:
        return self._delayed().__dask_tokenize__()

    def __dask_postcompute__(self) -> Any:
        return self._delayed().__dask_postcompute__()

    def __dask_postpersist__(self) -> Any:
        return self._delayed().__dask_postpersist__()

    @property
    def __dask_scheduler__(self) -> Any:
        return self._delayed().__dask_scheduler__

    @property
    def __dask_optimize__(self) -> Any:
        return self._delayed().__dask_optimize__

    def _delayed(self) -> Any:
        """Return the one task of Dask's that runs it."""
        if not self._in_dask:
            from dask.delayed import delayed  # noqa: PLC0415 - asked for by Dask alone

            self._in_dask.append(delayed(_call, traverse=False)(self.compute))
        return self._in_dask[0]


def writing_of(
    sources: Sequence[Array], targets: Sequence[Any], *, regions: Any = None, lock: Any = None
) -> Writing:
    """Return what writes ``sources`` into the ``regions`` (by default the whole) of ``targets``.

    Parameters
    ----------
    sources : sequence of Array
    targets : sequence
        Zarr arrays, or what takes ``target[slices] = block``.
    regions : sequence, optional
        For each target a tuple of slices, or None; or one for all.
    lock : lock or bool, optional
        Held while a block is written. What is no Zarr array is written block by block anyway.

    Raises
    ------
    OptionError
        If there are not as many targets as sources, a region has another shape than its source, or a target is read.
    """
    if len(sources) != len(targets):
        raise OptionError(f"{len(sources)} arrays cannot be written into {len(targets)} targets")
    check_not_read(sources, targets)
    where = list(regions) if isinstance(regions, list) else [regions] * len(targets)
    shared = [is_shared(target) for target in targets]
    held = lock if lock not in (None, True, False) else None
    written = [
        _written(source, piece, target, held)
        for source, target, region in zip(sources, targets, where, strict=True)
        for piece in pieces_of(source.shape, source.node.chunks, target, region)
    ]
    here = held is not None or not all(shared)
    return Writing(computation=computation_of(*written), here=here)


def _written(source: Array, piece: Piece, target: Any, lock: Any) -> Array:
    """Return the number of elements that were written of a part of ``source``, once that is computed."""
    part = source[piece.part].rechunk(piece.chunks) if source.ndim else source
    write = WriteBlock(
        target=target,
        begin=piece.begin,
        chunks=part.node.chunks,
        lock=lock,
        here=lock is not None or not is_shared(target),
    )
    node = Blocks(
        operation="write",
        call=write,
        keywords={},
        inputs=(part.node,),
        axes=(tuple(range(part.ndim)),),
        shape=grid(part.shape, part.node.chunks),
        chunks=(1,) * part.ndim,
        dtype=np.dtype(np.int64),
        wants_block_id=True,
        # A block is encoded before it is written, chunk by chunk at once.
        extra_bytes=2 * chunk_bytes(part.shape, part.node.chunks, part.itemsize),
    )
    return xp.sum(Array(node, source.own_spec))


def _call(function: Any) -> Any:
    return function()
