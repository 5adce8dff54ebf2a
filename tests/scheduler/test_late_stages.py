"""Stages whose sizes are known only when others are complete: when they begin, what they wait for, how they fail."""

import pickle

import pytest

from asyncexec.errors import StageSizeError
from asyncexec.events.outcome import Encoded
from asyncexec.plan import Plan, Read, Stage
from asyncexec.plan.late import of_shape, sized_by
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import LateSize
from asyncexec.scheduler.late_stages import LateStages

from .workbench import Workbench


def kernel(index, *inputs):
    return inputs


def chain():
    return (
        Plan.call(list, name="items")
        .then_each(str, name="each")
        .then(str, name="then")
        .reduce(list, name="all")
    )


def sizes(bench):
    """Find the sizes that are due, as the driver does."""
    bench.run.sized(bench.run.take_sizing()(), bench.now)


def ended(bench, value, jobs=None):
    for job in jobs or bench.send():
        bench.end(job, value=value)


def test_a_stage_begins_when_its_size_is_known():
    bench = Workbench(chain(), slots=10)
    assert not bench.run.late.due
    ended(bench, "abc")
    assert bench.run.late.due
    assert bench.send() == []
    sizes(bench)
    jobs = bench.send()
    assert [bench.jobs[job.attempt] for job in jobs] == [("each", 0), ("each", 1), ("each", 2)]
    assert [job.inputs for job in jobs] == [("a",), ("b",), ("c",)]
    assert bench.run.left == 3 + 3 + 1


def test_a_run_ends_when_all_sizes_are_known_and_all_tasks_are_complete():
    bench = Workbench(chain())
    ended(bench, "ab")
    assert (bench.run.finished, bench.run.stalled) == (False, False)
    find = bench.run.take_sizing()
    assert (bench.run.finished, bench.run.stalled) == (False, False)
    bench.run.sized(find(), bench.now)
    bench.finish()
    assert bench.run.left == 0
    assert [stage.figures.completed for stage in bench.run.stages] == [1, 2, 2, 1]
    assert [stage.figures.tasks for stage in bench.run.stages] == [1, 2, 2, 1]


def test_stages_sized_together_wait_for_each_other_task_by_task():
    bench = Workbench(chain(), slots=4)
    ended(bench, "abc")
    sizes(bench)
    first, *_ = bench.send(1)
    bench.end(first, value="A")
    (job,) = bench.send(1)
    assert (bench.jobs[job.attempt], job.inputs) == (("then", 0), ("A",))


def test_with_barriers_they_wait_for_each_other_as_a_whole():
    bench = Workbench(chain(), slots=4, barriers=True)
    ended(bench, "abc")
    sizes(bench)
    first, *_ = bench.send(1)
    bench.end(first, value="A")
    (job,) = bench.send(1)
    assert bench.jobs[job.attempt] == ("each", 1)
    bench.end(job)
    bench.finish()


def test_a_map_over_nothing_is_complete_at_once():
    bench = Workbench(chain())
    ended(bench, [])
    sizes(bench)
    (job,) = bench.send()
    assert bench.jobs[job.attempt][0] == "all"
    assert job.inputs[0].values == ()
    bench.end(job)
    assert bench.run.finished
    kinds = [kind for kind in bench.kinds() if kind.startswith("Stage")]
    assert kinds == [
        "StageStarted",
        "StageCompleted",
        *["StageSized"] * 3,
        *["StageCompleted"] * 2,
        "StageStarted",
        "StageCompleted",
    ]


def test_the_size_event_comes_before_all_else_of_its_stage():
    bench = Workbench(chain())
    ended(bench, "ab")
    sizes(bench)
    bench.finish()
    events = bench.run.event_buffer.events
    of_each = [e for e in events if getattr(e, "stage", None) == "each"]
    assert [type(e).__name__ for e in of_each] == ["StageSized", "StageStarted", "StageCompleted"]
    sized = of_each[0]
    assert (sized.shape, sized.tasks) == ((2,), 2)
    assert [(read.stage, read.relation["kind"]) for read in sized.reads] == [("items", "all")]


def test_maps_over_values_nest():
    plan = chain().then_each(str, name="again")
    bench = Workbench(plan, slots=10)
    ended(bench, "ab")
    sizes(bench)
    assert bench.run.late.unresolved == 1
    for _ in range(2):
        ended(bench, "x")
    ended(bench, "xyz")  # of `all`
    sizes(bench)
    jobs = bench.send()
    assert [job.inputs for job in jobs] == [("x",), ("y",), ("z",)]
    ended(bench, None, jobs)
    assert bench.run.finished


def test_a_value_that_came_pickled_is_decoded_once_for_all_tasks():
    bench = Workbench(chain(), slots=10)
    ended(bench, Encoded(pickle.dumps([[1], [2]])))
    sizes(bench)
    first, second = bench.send()
    assert [first.inputs, second.inputs] == [([1],), ([2],)]


def test_the_value_is_let_go_when_all_its_items_are_read():
    bench = Workbench(chain(), slots=10)
    ended(bench, "ab")
    sizes(bench)
    store = bench.state.values
    assert store._items
    ended(bench, "x")
    assert (store._items, store._kept[0]) == ({}, {})


def test_values_that_give_a_size_only_are_let_go_when_it_is_known():
    bench = Workbench(counts(), slots=10)
    jobs = bench.send()
    ended(bench, 2, [j for j in jobs if bench.jobs[j.attempt][0] == "count"])
    sizes(bench)
    assert len(bench.state.values._kept[0]) == 2  # `join` waits for them, too
    ended(bench, 2, [j for j in jobs if bench.jobs.get(j.attempt, ("",))[0] == "slow"])
    sizes(bench)
    assert not bench.state.values._kept[0]


def test_nothing_is_kept_for_each_item_that_waits():
    bench = Workbench(chain(), slots=2)
    ended(bench, range(10**12))
    sizes(bench)
    assert bench.run.left == 2 * 10**12 + 1
    for _ in range(10):
        ended(bench, "x")
    assert bench.run.late.unresolved == 0


def test_a_size_that_cannot_be_found_ends_the_run():
    bench = Workbench(chain())
    ended(bench, 5)
    with pytest.raises(StageSizeError, match="'each' maps over the value of 'items', which is an"):
        bench.run.take_sizing()()
    bench.run.sized(StageSizeError("no"), bench.now)
    assert bench.run.finished
    assert isinstance(bench.run.error, StageSizeError)


def test_a_run_that_is_stopped_waits_for_sizes_that_are_being_found_and_starts_nothing():
    bench = Workbench(chain())
    ended(bench, "ab")
    find = bench.run.take_sizing()
    bench.run.stop()
    assert not bench.run.finished
    bench.run.sized(find(), bench.now)
    assert bench.run.finished
    assert bench.send() == []


def test_a_run_that_gives_up_no_longer_waits_for_sizes():
    bench = Workbench(chain())
    ended(bench, "ab")
    find = bench.run.take_sizing()
    bench.run.stop()
    bench.run.abandon_all(bench.now)
    assert bench.run.finished
    bench.run.sized(find(), bench.now)
    assert bench.run.finished


def test_retries_allowed_grow_with_the_tasks():
    bench = Workbench(chain(), retry=3)
    before = bench.run.retries.budget.allowed
    ended(bench, range(1000))
    sizes(bench)
    assert bench.run.retries.budget.allowed > before


# -- stages that read others besides


def joined(order=("a", "b")):
    """A map over the value of `items` that also reads a stage of known size, `other`."""
    relation = All((2,), (0,))
    return Plan(
        [
            Stage(name="items", kernel=kernel, shape=()),
            Stage(name="other", kernel=kernel, shape=(2,)),
            Stage(
                name="each",
                kernel=kernel,
                shape=(0,),
                inputs=(
                    Read("items", All((), (0,)), item=True),
                    Read("other", relation, many=True),
                ),
                late=sized_by("items"),
            ),
        ]
    )


@pytest.mark.parametrize("first", ["items", "other"])
def test_a_late_stage_waits_for_all_it_reads(first):
    bench = Workbench(joined(), slots=10)
    jobs = bench.send()
    of = {
        name: [j for j in jobs if bench.jobs[j.attempt][0] == name] for name in ("items", "other")
    }
    if first == "items":
        ended(bench, "ab", of["items"])
        sizes(bench)
        assert bench.send() == []
        ended(bench, 7, of["other"])
    else:
        ended(bench, 7, of["other"])
        ended(bench, "ab", of["items"])
        sizes(bench)
    assert [job.inputs[0] for job in bench.send()] == ["a", "b"]


def test_what_completes_while_sizes_are_found_counts():
    bench = Workbench(joined(), slots=10)
    items, *others = bench.send()
    if bench.jobs[items.attempt][0] != "items":
        others, items = [items, others[0]], others[1]
    bench.end(items, value="ab")
    sized = bench.run.take_sizing()()
    ended(bench, 7, others)
    bench.run.sized(sized, bench.now)
    assert [list(job.inputs[1].values) for job in bench.send()] == [[7, 7]] * 2


def counts():
    """`pick` takes the sizes of what many tasks of `count` found; `join` waits for another value as well."""

    def resolve(stage, values, shapes):
        return of_shape(stage, (sum(values["count"]),), shapes)

    def follow(stage, values, shapes):
        return of_shape(stage, shapes["pick"], shapes)

    return Plan(
        [
            Stage(name="count", kernel=kernel, shape=(2,)),
            Stage(name="slow", kernel=kernel, shape=()),
            Stage(
                name="pick",
                kernel=kernel,
                shape=(0,),
                late=LateSize(waits_for=("count",), resolve=resolve),
            ),
            Stage(
                name="join",
                kernel=kernel,
                shape=(0,),
                inputs=(Read("pick", identity((0,))),),
                late=LateSize(waits_for=("count", "slow"), resolve=follow),
            ),
        ]
    )


def test_a_size_may_come_of_the_values_of_many_tasks():
    bench = Workbench(counts(), slots=10)
    jobs = bench.send()
    ended(bench, 2, [j for j in jobs if bench.jobs[j.attempt][0] == "count"])
    sizes(bench)
    assert [bench.jobs[j.attempt] for j in bench.send()] == [("pick", i) for i in range(4)]


def test_what_is_sized_later_waits_for_what_was_sized_before_as_a_whole():
    bench = Workbench(counts(), slots=10)
    jobs = bench.send()
    slow = [j for j in jobs if bench.jobs[j.attempt][0] == "slow"]
    ended(bench, 2, [j for j in jobs if j not in slow])
    sizes(bench)
    picks = bench.send()
    ended(bench, 1, picks[:2])
    ended(bench, 0, slow)
    sizes(bench)
    assert bench.send() == []
    ended(bench, 1, picks[2:])
    assert [bench.jobs[j.attempt][0] for j in bench.send()] == ["join"] * 4


def test_what_is_sized_at_one_moment_is_sized_in_one_go():
    stages = counts().stages
    late = LateStages(stages)
    names = [stage.name for stage in stages]
    for name in ("count", "slow"):
        assert not late.due or name == "slow"
        late.completed(names.index(name))
    assert [names[i] for i in late.take()] == ["pick", "join"]
    assert (late.sizing, late.due) == (True, False)
    late.sized([names.index("pick"), names.index("join")])
    assert (late.unresolved, late.due, late.sizing) == (0, False, False)
