"""What a process says of its own memory."""

import mmap
import resource

import pytest

from asyncexec.worker import memory as process_memory
from asyncexec.worker.memory import (
    MemoryGuard,
    MemoryLimit,
    MemoryMeter,
    SharedMemoryLimit,
    lifetime_peak_bytes,
)


@pytest.fixture
def limits(monkeypatch):
    """What would have been set, without setting it here."""
    made = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (-1, 10**12))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: made.append(limit))
    return made


class ReservesMore:
    """A meter of a process that reserves 50 bytes more each time it is asked."""

    def __init__(self):
        self.reserved = 0

    def reserved_bytes(self):
        self.reserved += 50
        return self.reserved


def test_a_peak_is_forgotten_at_the_next_start():
    meter = MemoryMeter(always=True)
    meter.start()
    # Not of the allocator, which may have as much left of what was freed before, and keeps it.
    with mmap.mmap(-1, 60_000_000) as data:
        data.write(b"x" * len(data))
        high = meter.peak_bytes()
        assert high > len(data)
    meter.start()
    assert meter.peak_bytes() < high - 50_000_000


def test_short_tasks_are_measured_only_where_that_is_asked_for():
    meter = MemoryMeter()
    meter.start()
    meter._since = float("inf")
    assert meter.peak_bytes() == 0
    meter._since = 0.0
    assert meter.peak_bytes() > 0


def test_where_there_is_no_proc_the_peak_is_that_of_the_life(monkeypatch):
    monkeypatch.setattr(process_memory, "_open", lambda path, flags: None)
    meter = MemoryMeter(always=True)
    meter.start()
    assert meter.peak_bytes() == pytest.approx(lifetime_peak_bytes(), rel=0.01)
    assert meter.reserved_bytes() == 0


def test_a_limit_is_set_once_and_lifted(limits):
    limit = MemoryLimit(MemoryMeter())
    for allowed in (None, 10, 10, 20, None):
        limit.set(allowed)
    assert limits == [(10, 10**12), (20, 10**12), (10**12, 10**12)]


def test_what_loading_a_program_reserves_comes_on_top(limits):
    limit = MemoryLimit(ReservesMore())
    limit.loading()
    limit.loaded()
    limit.set(1000)
    limit.loading()
    limit.loaded()
    limit.set(1000)
    assert [soft for soft, _ in limits] == [1050, 1100]


def test_a_limit_stays_under_the_systems_own(limits):
    MemoryLimit(MemoryMeter()).set(10**15)
    assert limits == [(10**12, 10**12)]


def test_a_guard_limits_each_attempt_to_its_memory_and_lifts_the_limit_after_it(
    limits, monkeypatch
):
    guard = MemoryGuard(always=True)
    monkeypatch.setattr(guard, "reserved_bytes", lambda: 50)
    for allowed in (1000, 2000):
        guard.within(allowed).start()
        assert guard.peak_bytes() > 0
    assert [soft for soft, _ in limits] == [1050, 10**12, 2050, 10**12]


def test_batches_side_by_side_may_hold_the_sum_of_what_each_of_them_may(limits, monkeypatch):
    monkeypatch.setattr(process_memory, "_data_now", lambda: (150, 100))
    monkeypatch.setattr(process_memory, "LEAST_BYTES", 0)
    monkeypatch.setattr(process_memory, "_STACK_BYTES", 7)
    shared = SharedMemoryLimit()
    with shared.within(1_000):
        with shared.within(None), shared.within(300):
            pass
        assert [soft for soft, _ in limits] == [1_057, 1_364, 1_057]
    assert limits[-1] == (10**12, 10**12)


def test_a_process_over_its_limit_from_the_start_may_ask_for_enough_to_report(limits, monkeypatch):
    monkeypatch.setattr(process_memory, "_data_now", lambda: (5_000, 5_000))
    monkeypatch.setattr(process_memory, "LEAST_BYTES", 64)
    with SharedMemoryLimit().within(10):
        assert limits[-1][0] == max(5_064, 10 + process_memory._STACK_BYTES)


def test_what_a_program_reserves_while_it_is_loaded_is_no_task_s(limits, monkeypatch):
    now = [(100, 100)]
    monkeypatch.setattr(process_memory, "_data_now", lambda: now[0])
    monkeypatch.setattr(process_memory, "LEAST_BYTES", 0)
    monkeypatch.setattr(process_memory, "_STACK_BYTES", 0)
    shared = SharedMemoryLimit()
    with shared.lifted():
        assert limits == []
    with shared.within(1_000):
        with shared.lifted():
            assert limits[-1] == (10**12, 10**12)
            now[0] = (600, 110)
        assert limits[-1][0] == 1_490
