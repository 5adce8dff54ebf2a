"""Durations of earlier tasks of the same kind."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from asyncexec.plan.memory import Memory
from asyncexec.plan.stage import Stage
from asyncexec.straggler.duration_history import KEPT_KINDS, DurationHistory


def load(item):
    return item


def other(item):
    return item


class Callable:
    def __call__(self, item):
        return item


class Wrapper:
    def __init__(self, function):
        self.function = function

    def __call__(self, item):
        return self.function(item)


def stage(kernel=load, *, operation="", chunk_bytes=100):
    memory = Memory(projected_bytes=chunk_bytes, chunk_bytes=chunk_bytes)
    return Stage(name="s", kernel=kernel, shape=(4,), operation=operation, memory=memory)


def test_stages_that_call_the_same_function_on_chunks_of_the_same_size_share_their_durations():
    history = DurationHistory()
    known = history.of(stage())
    known.durations.add(5.0)
    assert history.of(stage()) is known
    assert history.of(stage()).durations.count == 1


def test_other_functions_operations_and_sizes_are_other_kinds():
    history = DurationHistory()
    kinds = [
        stage(),
        stage(other),
        stage(operation="mean"),
        stage(chunk_bytes=200),
        stage(Callable()),
        stage(max),
    ]
    assert len({id(history.of(each)) for each in kinds}) == len(kinds)


def test_a_function_is_known_through_what_wraps_it():
    history = DurationHistory()
    known = history.of(stage())
    assert history.of(stage(partial(load, 1))) is known
    assert history.of(stage(Wrapper(Wrapper(load)))) is known
    assert history.of(stage(Callable())) is history.of(stage(Callable()))


def test_kinds_that_were_not_asked_for_lately_are_forgotten():
    history = DurationHistory()
    known = history.of(stage())
    for size in range(KEPT_KINDS - 1):
        history.of(stage(chunk_bytes=1_000 + size))
    assert history.of(stage()) is known
    for size in range(KEPT_KINDS):
        history.of(stage(chunk_bytes=5_000 + size))
    assert history.of(stage()) is not known


def test_runs_that_are_planned_in_several_threads_share_durations():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            history, begin = DurationHistory(), threading.Barrier(8)

            def plan(history=history, begin=begin):
                begin.wait(30)
                found = [history.of(stage(chunk_bytes=size)) for size in range(KEPT_KINDS // 4)]
                begin.wait(30)
                # More kinds than are kept, so that some are dropped while others are looked up.
                for size in range(KEPT_KINDS, 3 * KEPT_KINDS):
                    history.of(stage(chunk_bytes=size))
                return tuple(map(id, found)), found

            with ThreadPoolExecutor(8) as threads:
                found = [planned.result() for planned in [threads.submit(plan) for _ in range(8)]]
            assert len({ids for ids, _ in found}) == 1
    finally:
        sys.setswitchinterval(interval)
