"""What cannot run is refused when the plan is built, by an error that names who is to blame."""

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import (
    CycleError,
    DuplicateStageError,
    MemoryBudgetError,
    OptionError,
    PlanError,
    RelationError,
    UnknownInputError,
    WriteConflictError,
)
from asyncexec.plan import ChunkedOutput, Items, Plan, Read, Stage
from asyncexec.plan.axes import every_block, one_block, windowed
from asyncexec.plan.memory import Memory
from asyncexec.plan.relations import All, Blockwise, block_reduce, identity, permute, window


def kernel(index, *inputs):
    return inputs


def stage(name, *reads, shape=(4,), **more):
    return Stage(name=name, kernel=kernel, shape=shape, inputs=tuple(reads), **more)


def read(name, shape=(4,), consumer=None):
    return Read(
        name, identity(shape) if consumer is None else All(shape, consumer), consumer is not None
    )


def output(location="out", shape=(8,), block=(2,), unit=(2,)):
    return ChunkedOutput(location=location, shape=shape, block=block, unit=unit, dtype="f8")


# ---------------------------------------------------------------- the graph


@given(st.data(), st.integers(1, 12))
def test_producers_come_before_consumers_and_ties_keep_the_order_given(data, count):
    names = [f"s{i}" for i in range(count)]
    stages = []
    for i, name in enumerate(names):
        below = data.draw(st.sets(st.sampled_from(names[:i]), max_size=3)) if i else set()
        stages.append(stage(name, *map(read, sorted(below))))
    given = data.draw(st.permutations(stages))
    ordered = Plan(given).stages
    assert sorted(s.name for s in ordered) == sorted(names)
    position = {s.name: i for i, s in enumerate(ordered)}
    assert all(position[r.stage] < position[s.name] for s in ordered for r in s.reads)
    # Of the stages that could come next, the one given first does.
    done, left = set(), list(given)
    for chosen in ordered:
        ready = [s for s in left if {r.stage for r in s.reads} <= done]
        assert chosen is ready[0]
        done.add(chosen.name)
        left.remove(chosen)


def test_stages_given_in_order_stay_in_order():
    given = [stage("z"), stage("y"), stage("x", read("z")), stage("a")]
    assert [s.name for s in Plan(given).stages] == ["z", "y", "x", "a"]


def test_a_cycle_is_shown_from_stage_to_stage():
    stages = [
        stage("start"),
        stage("a", read("c"), read("start")),
        stage("b", read("a")),
        stage("c", read("b")),
    ]
    with pytest.raises(CycleError, match=r"plan 'p'.*: a -> b -> c -> a "):
        Plan(stages, "p")


def test_a_stage_that_reads_itself_is_a_cycle():
    with pytest.raises(CycleError, match="a -> a "):
        Plan([stage("a", read("a"))])


def test_an_unknown_input_names_the_stage_the_input_and_what_was_meant():
    with pytest.raises(UnknownInputError, match=r"'sum'.* 'lod'.*did you mean 'load'\?"):
        Plan([stage("load"), stage("sum", read("lod"))])
    with pytest.raises(UnknownInputError, match=r"'sum'.* 'xyz'.*add it"):
        Plan([stage("load"), stage("sum", read("xyz"))])


def test_two_stages_of_one_name_are_told_apart_by_position():
    with pytest.raises(DuplicateStageError, match=r"stages 0 and 2 .* 'a'"):
        Plan([stage("a"), stage("b"), stage("a")])


def test_an_empty_plan_is_a_plan():
    plan = Plan(())
    assert (plan.tasks, plan.write_bytes, plan.projected_bytes, plan.returns) == (0, 0, 0, ())


# ---------------------------------------------------------------- relations and items


def test_a_relation_must_fit_the_index_space_it_reads():
    with pytest.raises(RelationError, match=r"'b'.*'a'.*\(3,\).*\(4,\)"):
        Plan([stage("a"), stage("b", Read("a", identity((3,))), shape=(3,))])


def test_a_relation_must_fit_the_index_space_that_reads():
    with pytest.raises(RelationError, match=r"'b'.*\(3,\).*'a'.*\(4,\)"):
        Plan([stage("a"), stage("b", read("a"), shape=(3,))])


@pytest.mark.parametrize(
    "relation, count",
    [
        (All((4,), (2,)), 4),
        (block_reduce((4,), {0: 2}), 2),
        (Blockwise((4,), (2,), (0,), (every_block(4, 2),)), 4),
        (window([windowed(in_extent=4, in_chunk=1, out_extent=2, out_chunk=1, after=1)]), 2),
        (window([windowed(in_extent=4, in_chunk=1, out_extent=2, out_chunk=1, offset=3)]), 0),
    ],
)
def test_a_value_that_is_several_must_be_asked_for_as_many(relation, count):
    with pytest.raises(RelationError, match=f"'b'.* reads {count} values of 'a'.*many=True"):
        Plan([stage("a"), stage("b", Read("a", relation), shape=(2,))])
    Plan([stage("a"), stage("b", Read("a", relation, many=True), shape=(2,))])


def test_one_value_need_not_be_many():
    fixed = Blockwise((4,), (2,), (0,), (one_block(3, 4, 2),))
    Plan([stage("a"), stage("b", Read("a", fixed), shape=(2,))])
    Plan([stage("a", shape=(1,)), stage("b", Read("a", All((1,), ())), shape=())])
    Plan([stage("a", shape=(1,)), stage("b", Read("a", permute((1,), (0,), (0,))), shape=(0,))])


@pytest.mark.parametrize("items", [[], [1, 2, 3], range(5)])
def test_there_is_one_item_a_task(items):
    with pytest.raises(RelationError, match=f"'a'.* 4 tasks .* {len(items)} items"):
        Plan([stage("a", Items(items))])


def test_a_negative_index_space_is_refused():
    with pytest.raises(RelationError, match=r"'a'.*\(-1,\)"):
        Plan([stage("a", shape=(-1,))])


# ---------------------------------------------------------------- writes


@pytest.mark.parametrize(
    "one, two",
    [
        ("s3://bucket/x", "s3://bucket/x"),
        ("s3://bucket/x", "s3://bucket/x/"),
        ("/data/x", "file:///data/x"),
        ("x", "./y/../x"),
    ],
)
def test_two_stages_must_not_write_one_location(one, two):
    with pytest.raises(WriteConflictError, match=r"'b'.* stage 'a' writes too"):
        Plan([stage("a", outputs=(output(one),)), stage("b", outputs=(output(two),))])


def test_one_stage_must_not_write_one_location_twice():
    with pytest.raises(WriteConflictError, match=r"'a'.* more than once"):
        Plan([stage("a", outputs=(output("x"), output("x/")))])


def test_locations_that_differ_are_fine():
    Plan([stage("a", outputs=(output("x"), output("y"))), stage("b", outputs=(output("x/y"),))])


axis = st.tuples(st.integers(0, 12), st.integers(1, 6), st.integers(1, 6))


@given(st.lists(axis, max_size=2))
def test_a_block_may_be_written_exactly_if_no_two_blocks_share_a_unit(axes):
    extents, blocks, units = (tuple(a[i] for a in axes) for i in range(3))
    grid = tuple(-(-n // b) for n, b in zip(extents, blocks, strict=True))
    shared = set()
    for n, b, u in axes:
        writers = {}
        for element in range(n):
            writers.setdefault(element // u, set()).add(element // b)
        shared |= {unit for unit, tasks in writers.items() if len(tasks) > 1}
    written = stage("a", shape=grid, outputs=(output("x", extents, blocks, units),))
    if shared:
        with pytest.raises(WriteConflictError, match="would both write chunk"):
            Plan([written])
    else:
        Plan([written])


def test_a_conflict_names_two_tasks_and_the_chunk_they_share():
    bad = stage("a", shape=(1, 4), outputs=(output("x", (5, 16), (5, 4), (3, 3)),))
    with pytest.raises(
        WriteConflictError,
        match=r"'a'.*tasks \(0, 0\) and \(0, 1\) .* chunk \(0, 1\) of 'x'.*along axis 1",
    ):
        Plan([bad])


def test_there_is_one_task_a_block():
    with pytest.raises(WriteConflictError, match=r"'a'.*\(4,\).*\(3,\) blocks"):
        Plan([stage("a", outputs=(output(shape=(6,)),))])


@pytest.mark.parametrize(
    "wrong", [{"block": (0,)}, {"unit": (0,)}, {"block": (2, 2)}, {"unit": ()}, {"shape": (8, 1)}]
)
def test_blocks_and_units_are_positive_and_one_an_axis(wrong):
    with pytest.raises(WriteConflictError, match=r"'a'.* one positive length an axis"):
        Plan([stage("a", outputs=(output(**wrong),))])


# ---------------------------------------------------------------- memory, policies, results


def test_a_task_over_memory_names_the_operation_the_figures_and_what_would_fit():
    memory = Memory(
        projected_bytes=2_100_000_000,
        reserved_bytes=100_000_000,
        allowed_bytes=1_100_000_000,
        chunk_bytes=500_000_000,
    )
    with pytest.raises(MemoryBudgetError) as caught:
        Plan([stage("mean-3", operation="mean", memory=memory)], "warming")
    message = str(caught.value)
    for part in (
        "'mean-3'",
        "'mean'",
        "'warming'",
        "need 2.1 GB",
        "1.1 GB is allowed",
        "100.0 MB of it reserved",
        "largest chunk is 500.0 MB",
        "at most 245.0 MB",
        "at least 2.1 GB (allowed_mem)",
    ):
        assert part in message


def test_of_several_stages_over_memory_the_one_is_told_that_needs_the_smallest_chunks():
    over = [
        Memory(projected_bytes=need, allowed_bytes=100, chunk_bytes=chunk)
        for need, chunk in ((110, 20), (150, 40), (140, 30))
    ]
    with pytest.raises(
        MemoryBudgetError, match=r"'s1'.* chunk is 40 B: make chunks of at most 25 B"
    ):
        Plan([stage(f"s{k}", memory=memory) for k, memory in enumerate(over)])


def test_figures_that_look_equal_are_told_in_bytes():
    memory = Memory(projected_bytes=1_000_000_001, allowed_bytes=1_000_000_000)
    with pytest.raises(MemoryBudgetError, match=r"1,000,000,001 bytes.* 1,000,000,000 bytes"):
        Plan([stage("a", memory=memory)])


def test_where_no_chunk_would_fit_none_is_suggested():
    memory = Memory(projected_bytes=500, reserved_bytes=200, allowed_bytes=100, chunk_bytes=10)
    with pytest.raises(MemoryBudgetError) as caught:
        Plan([stage("a", memory=memory)])
    assert "make chunks" not in str(caught.value)


def test_memory_that_just_fits_is_fine():
    Plan([stage("a", memory=Memory(projected_bytes=100, allowed_bytes=100))])


def test_a_stage_overrides_known_policies_only():
    Plan([stage("a", overrides={"retry": 1, "timeout": 2, "straggler": "off"})])
    with pytest.raises(OptionError, match=r"'a'.*'barriers', 'retries'.*retry, straggler, timeout"):
        Plan([stage("a", overrides={"retry": 1, "retries": 2, "barriers": True})])


def test_by_default_a_plan_returns_the_value_stages_that_nobody_reads():
    stages = [stage("a"), stage("b", read("a")), stage("c"), stage("d", outputs=(output(),))]
    assert Plan(stages).returns == ("b", "c")
    assert Plan(stages, returns=("a",)).returns == ("a",)
    assert Plan(stages, returns=()).returns == ()


def test_a_plan_returns_stages_that_it_has():
    with pytest.raises(UnknownInputError, match=r"return or keep stage 'lod'.*did you mean 'load'"):
        Plan([stage("load")], returns=("lod",))
    with pytest.raises(OptionError, match="return or keep stage 'a', which puts out chunks"):
        Plan([stage("a", outputs=(output(),))], returns=("a",))


def test_all_of_these_are_plan_errors_that_a_value_error_catches():
    with pytest.raises(ValueError, match="circle") as caught:
        Plan([stage("a", read("a"))])
    assert isinstance(caught.value, PlanError)


# ---------------------------------------------------------------- what building costs


class Untouchable(Sequence):
    """Items that may be counted, not looked at."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        raise AssertionError("an item was looked at")

    def __iter__(self):
        raise AssertionError("the items were gone through")


class Counted:
    """A relation that counts what is asked of it."""

    def __init__(self, shape):
        self.producer = self.consumer = shape
        self.barrier = False
        self.asked = 0

    def reads(self, out):
        self.asked += 1
        return out

    def consumers(self, inputs):
        self.asked += 1
        return inputs


def build(side):
    """A plan over a grid of side x side, and how often its relations were asked."""
    shape = (side, side)
    counted = Counted(shape)
    moved = windowed(
        in_extent=side * 4, in_chunk=4, out_extent=side * 4, out_chunk=4, before=1, after=1
    )
    plan = Plan(
        [
            stage("load", Items(Untouchable(side * side)), shape=shape),
            stage("scale", Read("load", counted), shape=shape),
            stage("smooth", Read("scale", window([moved, moved]), many=True), shape=shape),
            stage("turn", Read("smooth", permute(shape, shape, (1, 0))), shape=shape),
            stage(
                "store",
                Read("turn", identity(shape)),
                shape=shape,
                outputs=(output("x", (side * 4, side * 4), (4, 4), (2, 2)),),
            ),
            stage("sum", Read("turn", All(shape, ()), many=True), shape=()),
        ]
    )
    assert plan.tasks == 5 * side * side + 1
    repr(plan), str(plan), plan.visualize()
    return counted.asked


def test_a_plan_of_10_to_the_12_tasks_costs_what_one_of_10_costs():
    assert build(10**6) == build(3)
