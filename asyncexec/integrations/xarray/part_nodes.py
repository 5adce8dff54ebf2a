"""The arrays that a function of parts of datasets makes: one at a time, or several by one call for each part."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import SeveralOfBlocks
from asyncexec.array.kernels import BlockFunction, read_only
from asyncexec.array.operands import common_spec
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.integrations.xarray.part_calls import OnlyResult, PartCall, PartResult
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index
from asyncexec.plan.lengths import lengths_of
from asyncexec.plan.memory import parse_bytes

type Dims = tuple[Hashable, ...]
type Lengths = Mapping[Hashable, tuple[int, ...]]
"""The lengths of all blocks along each dimension."""


def made_arrays(
    call: PartCall,
    inputs: Sequence[tuple[Array, Dims]],
    before: Lengths,
    after: Lengths,
    extra_memory: int | str,
) -> dict[Hashable, Array]:
    """Return the arrays of all results of ``call``, by name.

    Results that are followed along the same dimensions are made by one call for each part. A dimension of several
    blocks that a result lacks is not followed: what the function makes of its first block is taken.

    Parameters
    ----------
    inputs : sequence of (Array, dimensions)
    before, after : mapping
        The lengths of the blocks of inputs and of results.
    """
    several = [dim for dim, lengths in before.items() if len(lengths) > 1]
    groups: dict[Dims, list[PartResult]] = {}
    for each in call.results:
        groups.setdefault(tuple(d for d in several if d in each.dims), []).append(each)
    found: dict[Hashable, Array] = {}
    for loop, results in groups.items():
        firsts = {dim: before[dim][0] for dim in several if dim not in loop}
        parts = [(_first_block(x, dims, firsts), dims) for x, dims in inputs]
        own = replace(call, results=tuple(results), along=loop)
        if len(results) == 1:
            found[results[0].name] = _one(own, parts, after, extra_memory)
        else:
            found |= _several(
                own, parts, before, after, parse_bytes(extra_memory, what="extra_memory")
            )
    return found


def _first_block(x: Array, dims: Dims, firsts: Mapping[Hashable, int]) -> Array:
    key = tuple(slice(firsts.get(dim)) for dim in dims)
    return x[key] if any(dim in firsts for dim in dims) else x


def _one(
    call: PartCall, parts: Sequence[tuple[Array, Dims]], after: Lengths, extra_memory: int | str
) -> Array:
    (result,) = call.results
    known = {dim for _, dims in parts for dim in dims}
    return xp.blockwise(
        OnlyResult(replace(call, along=result.dims)),
        result.dims,
        *(each for pair in parts for each in pair),
        dtype=result.dtype,
        new_axes={dim: sum(after[dim]) for dim in result.dims if dim not in known},
        adjust_chunks={dim: after[dim] for dim in result.dims if dim in known},
        extra_memory=extra_memory,
    )


def _several(
    call: PartCall,
    parts: Sequence[tuple[Array, Dims]],
    before: Lengths,
    after: Lengths,
    extra_bytes: int,
) -> dict[Hashable, Array]:
    loop = call.along
    maker = PartsOfBlocks(
        operation=f"map_blocks({call.__name__})",
        call=call,
        inputs=tuple(x.own_node for x, _ in parts),
        axes=tuple(
            tuple(loop.index(dim) if dim in loop else None for dim in dims) for _, dims in parts
        ),
        outputs=tuple(_output(each, loop, after) for each in call.results),
        shape=tuple(len(before[dim]) for dim in loop),
        chunks=(1,) * len(loop),
        extra_bytes=extra_bytes,
    )
    spec = common_spec(x.own_spec for x, _ in parts)
    nodes = outputs_of(maker)
    return {each.name: Array(node, spec) for each, node in zip(call.results, nodes, strict=True)}


def _output(result: PartResult, loop: Dims, after: Lengths) -> ArrayOutput:
    shape = tuple(sum(after[dim]) for dim in result.dims)
    chunks = tuple(max(lengths_of(after[dim]), 1) for dim in result.dims)
    axes = [
        AxisAccess(loop.index(dim), c, 0, n) if dim in loop else AxisAccess.constant(0, n)
        for dim, n, c in zip(result.dims, shape, chunks, strict=True)
    ]
    return ArrayOutput(
        shape=shape,
        chunks=chunks,
        dtype=result.dtype,
        name=str(result.name),
        access=AccessMap(tuple(axes)),
    )


@dataclass(frozen=True, slots=True)
class _CallWithPart:
    """The step that calls a function with the blocks of a part, and its number along each dimension."""

    function: Callable[..., tuple[Any, ...]]

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return self.function(*map(read_only, values), block_id=index)


class PartsOfBlocks(SeveralOfBlocks):
    """A function of blocks of several arrays that returns several blocks, of lengths of their own.

    ``shape`` has the number of blocks along each dimension that is followed, and ``chunks`` are of one: a part is a
    task.
    """

    __slots__ = ()

    def function(self, out: AccessMap) -> BlockFunction:
        return _CallWithPart(self.call)
