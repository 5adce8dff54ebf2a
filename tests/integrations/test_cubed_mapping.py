"""What is told of Cubed's key functions, against asking them for every block."""

from itertools import product

import numpy as np
import pytest

cubed = pytest.importorskip("cubed")

import cubed.array_api as xp
from cubed.primitive.blockwise import BlockwiseSpec, ChunkKeys
from cubed.random import random

from asyncexec.integrations.cubed import mapping
from asyncexec.integrations.cubed.axis_tables import covers_all, tables_of
from asyncexec.integrations.cubed.block_relations import edges, overlaps
from asyncexec.integrations.cubed.grid import Grid, grid_of
from asyncexec.integrations.cubed.key_functions import is_separable, keys_read
from asyncexec.integrations.cubed.translation import plan_of
from asyncexec.plan.box import point
from asyncexec.plan.relations import Opaque


@pytest.fixture
def spec(tmp_path):
    return cubed.Spec(tmp_path, allowed_mem="200MB")


# With these chunks, the last ones are short. `c` is computed, so that what is made of it reads something written.
COMPUTATIONS = {
    "elementwise": lambda c, b, row: c + b,
    "broadcast": lambda c, b, row: c + xp.negative(row),
    "sum": lambda c, b, row: xp.sum(c, axis=0),
    "mean of everything": lambda c, b, row: xp.mean(c),
    "matmul": lambda c, b, row: xp.matmul(c, xp.permute_dims(xp.negative(b), (1, 0))),
    "permute": lambda c, b, row: xp.permute_dims(c, (1, 0)) + 1,
    "plus its transpose": lambda c, b, row: c[:17, :] + xp.permute_dims(c[:17, :], (1, 0)),
    "rechunk": lambda c, b, row: c.rechunk((3, 17)) + 1,
    "rechunk along one axis": lambda c, b, row: c.rechunk((22, 4)) + 1,
    "concat": lambda c, b, row: xp.concat([c, xp.negative(b)], axis=1) + 1,
    "stack": lambda c, b, row: xp.stack([c, xp.negative(b)], axis=0) + 1,
    "slice": lambda c, b, row: c[3:, 1:9] + 1,
    "steps": lambda c, b, row: c[::3, :] + 1,
    "integer": lambda c, b, row: c[7, :] + 1,
    "gather": lambda c, b, row: c[[20, 0, 3], :] + 1,
    "flip": lambda c, b, row: xp.flip(c, axis=0) + 1,
    "roll": lambda c, b, row: xp.roll(c, 3, axis=1) + 1,
    "reshape": lambda c, b, row: xp.reshape(c.rechunk((22, 17)), (17, 22)) + 1,
    "cumulative sum": lambda c, b, row: xp.cumulative_sum(c, axis=0),
    "argmax": lambda c, b, row: xp.argmax(c, axis=1),
    "several outputs": lambda c, b, row: xp.unstack(c.rechunk((5, 17)), axis=1)[1] + 1,
    "scalar": lambda c, b, row: xp.sum(c) + 1,
}


def computation(name, spec):
    a, b = (random((22, 17), chunks=(5, 4), spec=spec) for _ in range(2))
    row = random((17,), chunks=(4,), spec=spec)
    return COMPUTATIONS[name](xp.negative(a), b, row)


def chunks_of_block(proxy, block_shape, coordinates):
    """The chunks that one task writes, by elements: nothing here is shared with what is tested."""
    spans = []
    for n, chunk, block, i in zip(
        proxy.array.shape, proxy.array.chunks, block_shape, coordinates, strict=True
    ):
        elements = range(i * block, min((i + 1) * block, n))
        spans.append(sorted({e // chunk for e in elements}))
    return set(product(*spans))


@pytest.mark.parametrize("optimize", [True, False], ids=["optimized", "as is"])
@pytest.mark.parametrize("name", COMPUTATIONS)
def test_a_task_waits_for_every_task_that_writes_what_it_reads(spec, name, optimize):
    dag = cubed.plan(computation(name, spec), optimize_graph=optimize).dag
    plan = plan_of(dag)
    configs = {s.name: dag.nodes[s.name]["pipeline"].config for s in plan.stages}
    writers = {
        array: (name, proxy)
        for name, config in configs.items()
        if isinstance(config, BlockwiseSpec)
        for array, proxy in config.writes_map.items()
    }
    for stage in plan.stages:
        config = configs[stage.name]
        if not isinstance(config, BlockwiseSpec):
            continue
        for index in product(*map(range, stage.shape)):
            for array, keys in keys_read(config.back_key_function, index).items():
                if array not in writers:
                    continue
                producer, proxy = writers[array]
                relations = [r.relation for r in stage.reads if r.stage == producer]
                assert relations
                boxes = [set(product(*r.reads(point(index)))) for r in relations]
                waited = set().union(*boxes)
                for task in product(*map(range, plan.stage(producer).shape)):
                    if chunks_of_block(proxy, proxy.chunks, task) & keys:
                        assert task in waited


def relations_of(array):
    plan = plan_of(cubed.plan(array, optimize_graph=False).dag)
    return {
        (plan.stage(r.stage).operation, s.operation): r.relation
        for s in plan.stages
        for r in s.reads
        if r.stage != "create-arrays"
    }


def test_elementwise_operations_follow_each_other_task_by_task(spec):
    a = random((20, 20), chunks=(5, 5), spec=spec)
    relations = relations_of(xp.sqrt(xp.negative(a)))
    assert relations["negative", "sqrt"].is_identity


def test_reductions_wait_for_their_groups_only(spec):
    a = random((80, 20), chunks=(5, 5), spec=spec)
    relations = relations_of(xp.sum(xp.negative(a), axis=0, split_every=4))
    closed = [r for r in relations.values() if not isinstance(r, Opaque)]
    assert len(closed) == len(relations)
    sizes = {tuple(map(len, r.reads(point((0, 0))))) for r in closed if len(r.consumer) == 2}
    assert (4, 1) in sizes


def test_a_rechunked_array_is_read_as_it_becomes_complete(tmp_path):
    # With little memory, a task takes no more than one block of the result at a time.
    spec = cubed.Spec(tmp_path, allowed_mem=40_000)
    a = random((40, 40), chunks=(10, 40), spec=spec)
    b = xp.negative(xp.negative(a).rechunk((20, 40)))
    relations = relations_of(b)
    assert not any(isinstance(r, Opaque) for r in relations.values())
    (rechunk,) = (
        r for (one, two), r in relations.items() if two == "rechunk" and one == "negative"
    )
    assert rechunk.reads(point((1, 0))) == (range(2, 4), range(1))


def test_arrays_that_a_function_reads_beside_its_blocks_are_waited_for_as_a_whole(spec):
    a = xp.negative(random((4, 4), chunks=(2, 2), spec=spec))

    def look(_block, array, block_id=None):
        return array.zarray[:2, :2] + sum(block_id)

    from cubed.core.ops import map_direct

    with pytest.warns(PendingDeprecationWarning):
        b = map_direct(
            look, a, shape=(4, 4), dtype=a.dtype, chunks=((2, 2), (2, 2)), extra_projected_mem=0
        )
    plan = plan_of(cubed.plan(b, optimize_graph=False).dag)
    (last,) = (
        s for s in plan.stages if s.name not in {r.stage for t in plan.stages for r in t.reads}
    )
    producers = {r.stage: r.relation for r in last.reads}
    assert all(isinstance(relation, Opaque) for relation in producers.values())
    assert any(plan.stage(name).operation == "negative" for name in producers)


def test_cubeds_key_functions_are_recognised_so_that_large_plans_are_not_asked_block_by_block(spec):
    a = random((22, 17), chunks=(5, 4), spec=spec)
    for array in (
        a + 1,
        xp.sum(a, axis=0),
        a[3:, :],
        xp.matmul(a, xp.permute_dims(a, (1, 0))),
        xp.mean(xp.sqrt(a) + a),
        a.rechunk((22, 4)),
    ):
        for _, node in cubed.plan(array).dag.nodes(data=True):
            config = node["pipeline"].config if "pipeline" in node else None
            if isinstance(config, BlockwiseSpec):
                assert is_separable(config.back_key_function)


def test_large_plans_cost_no_more_calls_than_their_axes_are_long(spec, monkeypatch):
    calls = 0

    def counted(function, coordinates):
        nonlocal calls
        calls += 1
        return keys_read(function, coordinates)

    monkeypatch.setattr(mapping, "keys_read", counted)
    a = random((1000, 1000), chunks=(1, 1), spec=spec)
    plan = plan_of(cubed.plan(xp.sqrt(xp.negative(a)), optimize_graph=False).dag)
    assert plan.tasks > 3_000_000
    assert calls < 10 * 2000
    assert not any(isinstance(r.relation, Opaque) for r in plan.stages[-1].reads[:1])


def test_a_key_function_that_cannot_be_followed_makes_a_barrier(spec, monkeypatch):
    monkeypatch.setattr(mapping, "is_separable", lambda _: False)
    monkeypatch.setattr(mapping, "MOST_CALLS", 3)
    a = random((20, 20), chunks=(5, 5), spec=spec)
    relations = relations_of(xp.sqrt(xp.negative(a)))
    assert isinstance(relations["negative", "sqrt"], Opaque)


def test_what_is_no_product_of_axes_is_not_taken_for_one():
    def diagonal(index):
        i, j = index
        return {"x": {(i + j,)}}

    assert tables_of(diagonal, (3, 3)) == {}

    def bent(index):
        i, j = index
        return {"x": {(i * j,)}}

    # On the lines through the origin it looks as if nothing depended on anything.
    tables = tables_of(bent, (3, 3))
    assert covers_all(bent, (3, 3), tables) == {}


def test_an_array_that_only_some_tasks_read_is_found():
    def read(index):
        i, j = index
        return {"x": {(i, j)}} if i < 2 else {"y": {(i - 2, j)}}

    tables = covers_all(read, (5, 3), tables_of(read, (5, 3)))
    assert [list(s) for s in tables["x"][0].spans] == [[0], [1], [], [], []]
    assert [list(s) for s in tables["y"][0].spans] == [[], [], [0], [1], [2]]
    assert [list(s) for s in tables["y"][1].spans] == [[0], [1], [2]]


def test_overlapping_chunks_are_found_by_their_borders():
    (these,), (others,) = edges([(3, 3, 3, 1)]), edges([(4, 4, 2)])
    assert overlaps(these, others) == [range(1), range(2), range(1, 3), range(2, 3)]


def test_coordinates_that_fill_a_box_are_an_index_space():
    assert grid_of(ChunkKeys(((2, 2, 1), (4,)))) == Grid(shape=(3, 1), first=(0, 0))
    assert grid_of([[1, 2], [1, 3], [2, 2], [2, 3]]) == Grid(shape=(2, 2), first=(1, 2))
    assert grid_of([[]]) == Grid(shape=(), first=())


@pytest.mark.parametrize(
    "mappable",
    [
        [[0, 0], [0, 1], [1, 0]],
        [[0, 1], [0, 0]],
        [[0], [0]],
        [[0], [0, 1]],
        ["a", "b"],
        [np.int64(3)],
        [],
        iter([[0], [1]]),
    ],
)
def test_anything_else_is_not(mappable):
    assert grid_of(mappable) is None
