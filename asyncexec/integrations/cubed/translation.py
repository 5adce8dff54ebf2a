"""The translation of a Cubed DAG to a plan: one stage for each operation that is to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cubed.runtime.pipeline import visit_nodes

from asyncexec.integrations.cubed.block_relations import Written, relation, written
from asyncexec.integrations.cubed.grid import Grid, grid_of
from asyncexec.integrations.cubed.mapping import chunks_read
from asyncexec.integrations.cubed.outputs import outputs_of, repeatable
from asyncexec.integrations.cubed.tasks import BlockTask, ItemTask, opening_once
from asyncexec.plan.memory import Memory
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import Opaque
from asyncexec.plan.stage import Items, Read, Stage

if TYPE_CHECKING:
    import networkx as nx

    from asyncexec.plan.stage import Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of a Cubed DAG.

    Attributes
    ----------
    name : str
    node : mapping
        The node's data.
    grid : Grid
        The index space.
    items : list or None
        The tasks' items, where these are not block coordinates.
    """

    name: str
    node: Mapping[str, Any]
    grid: Grid
    items: list[Any] | None

    @property
    def pipeline(self) -> Any:
        """Cubed's pipeline: the function, its configuration and the iterable it is mapped over."""
        return self.node["pipeline"]

    @property
    def config(self) -> Any:
        """The function's configuration."""
        return self.pipeline.config


def plan_of(dag: nx.MultiDiGraph[str], name: str = "cubed", *, backups: bool = False) -> Plan:
    """Return a plan of the operations of ``dag`` that are to run; it is a finalized one: ``cubed.plan(x).dag``.

    Its tasks read and write Zarr themselves, as on Cubed's executors; the plan has no value.

    >>> import cubed, cubed.array_api as cxp
    >>> from asyncexec.integrations.cubed import plan_of
    >>> x = cxp.ones((4, 4), chunks=(2, 2), spec=cubed.Spec(allowed_mem="500MB"))
    >>> plan = plan_of(cubed.plan(cxp.sum(x + 1)).dag, "total")
    >>> plan.name, plan.returns
    ('total', ())

    Parameters
    ----------
    name : str
        The plan's name in messages and events.
    backups : bool
        Whether operations may have backups also where their writes are not known to be atomic.

    Raises
    ------
    PlanError
        If tasks would write the same chunk, or need more memory than they are allowed.
    """
    operations = {n: _operation(n, node) for n, node in visit_nodes(dag)}
    arrays = {
        array: found for op in operations.values() for array, found in _written_arrays(op).items()
    }
    stages = [
        _stage(op, tuple(_reads(dag, op, operations, arrays)), backups=backups)
        for op in operations.values()
    ]
    return Plan(stages, name, returns=())


def _operation(name: str, node: Mapping[str, Any]) -> Operation:
    mappable = node["pipeline"].mappable
    grid = grid_of(mappable)
    if grid is not None:
        return Operation(name=name, node=node, grid=grid, items=None)
    items = list(mappable)
    return Operation(name=name, node=node, grid=Grid(shape=(len(items),), first=(0,)), items=items)


def _written_arrays(op: Operation) -> dict[str, Written]:
    """Return the arrays whose blocks are the tasks of ``op``, by name."""
    if op.items is not None or not op.grid.from_origin:
        return {}
    found: dict[str, Written] = {}
    for name, proxy in getattr(op.config, "writes_map", {}).items():
        array = written(op.name, op.grid.shape, proxy.array, proxy.chunks)
        if array is not None:
            found[name] = array
    return found


def _stage(op: Operation, reads: tuple[Read, ...], *, backups: bool) -> Stage:
    function, config = op.pipeline.function, opening_once(op.config)
    backups = backups or repeatable(op.config)
    inputs: tuple[Read | Items, ...] = reads
    kernel: Kernel = BlockTask(function, config, op.grid.first)
    if op.items is not None:
        # Operations of items create arrays, which two attempts must not do at the same time.
        backups, kernel, inputs = False, ItemTask(function, config), (Items(op.items), *reads)
    return Stage(
        name=op.name,
        kernel=kernel,
        shape=op.grid.shape,
        inputs=inputs,
        outputs=outputs_of(op.name, op.config, op.grid),
        operation=_operation_name(op),
        memory=_memory(op),
        overrides={} if backups else {"straggler": "off"},
    )


def _operation_name(op: Operation) -> str:
    return str(op.node.get("func_name") or op.node.get("op_name") or "")


def _memory(op: Operation) -> Memory:
    primitive = op.node.get("primitive_op")
    if primitive is None:
        return Memory()
    return Memory(
        projected_bytes=int(primitive.projected_mem),
        reserved_bytes=int(primitive.reserved_mem),
        allowed_bytes=int(primitive.allowed_mem),
    )


def _reads(
    dag: nx.MultiDiGraph[str],
    op: Operation,
    operations: Mapping[str, Operation],
    arrays: Mapping[str, Written],
) -> Iterator[Read]:
    """Yield the reads of ``op``: block by block where tables are known, else of a whole stage."""
    inputs = Counter(array for array, _ in dag.in_edges(op.name))
    feeders = {array: _feeders(dag, array, operations) for array in inputs}
    # An array that the function reads by itself, apart from the key function, is needed as a whole.
    whole = inputs - Counter(_sources(op))
    in_blocks = {a for a in inputs if a not in whole and a in arrays and feeders[a]}
    tables = chunks_read(op.config, op.grid) if in_blocks and op.items is None else {}
    waited: set[str] = set()
    for array in inputs:
        if array in in_blocks and array in tables:
            producer = arrays[array]
            yield Read(producer.stage, relation(producer, op.grid.shape, tables[array]))
        else:
            for feeder in feeders[array]:
                if feeder not in waited:
                    waited.add(feeder)
                    yield Read(feeder, Opaque(operations[feeder].grid.shape, op.grid.shape))


def _sources(op: Operation) -> list[str]:
    """Return the arrays whose chunks the key function returns; those that a function reads by itself are not in it."""
    primitive = op.node.get("primitive_op")
    return [] if primitive is None else list(primitive.source_array_names)


def _feeders(
    dag: nx.MultiDiGraph[str], array: str, operations: Mapping[str, Operation]
) -> list[str]:
    """Return the operations that make ``array``, if they are still to run."""
    if array in operations:
        return [array]
    return [op for op in dag.predecessors(array) if op in operations]
