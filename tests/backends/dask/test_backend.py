"""The decisions of the `dask` executor, without a cluster."""

import asyncio
import json
import subprocess
import sys

import anyio
import pytest

pytest.importorskip("distributed")

from asyncexec.backends.dask import DaskBackend
from asyncexec.backends.dask.connection import loss_of
from asyncexec.backends.dask.scaling import AdaptiveScaling, ScaleRetry
from asyncexec.backends.dask.workers import WorkerTable
from asyncexec.errors import BackendError, OptionError
from asyncexec.plan.locality import Locality
from asyncexec.testing.patience import scaled


@pytest.mark.parametrize(
    "options, word",
    [
        ({"max_workers": 0}, "max_workers"),
        ({"max_workers": 3, "threads": 2}, "multiple of threads"),
        ({"processes": "no"}, "processes"),
        ({"processes": False, "memory": "1GB"}, "worker processes"),
        ({"processes": False, "env_vars": {"A": "1"}}, "worker processes"),
        ({"processes": False, "kill_workers": True}, "kill_workers"),
        ({"threads": 2, "max_workers": 2, "kill_workers": True}, "kill_workers"),
        ({"resources": {"x": -1}}, "'x'"),
        ({"gpus": "two"}, "gpus"),
        ({"memory": "much"}, "memory"),
        ({"patience": -1}, "patience"),
        ({"adaptive": (3, 2)}, "adaptive"),
        ({"adaptive": 5}, "adaptive"),
        ({"cluster_address": "tcp://here:1", "scheduler_file": "x.json"}, "only one of"),
        ({"cluster_address": "tcp://here:1", "max_workers": 2}, "max_workers"),
        ({"cluster_address": "tcp://here:1", "env_vars": {"A": "1"}}, "env_vars"),
        ({"cluster_address": "tcp://here:1", "adaptive": (1, 2)}, "cluster object"),
        ({"cluster_address": 8786}, "cluster_address"),
        ({"cluster": 5}, "cluster"),
        ({"client": 5}, "client"),
        ({"security": object()}, "security"),
        ({"scheduler_port": 70_000}, "scheduler_port must be a port"),
        ({"processes": False, "scheduler_port": 8786}, "scheduler_port needs worker processes"),
        ({"cluster_address": "tcp://here:1", "dashboard_port": 8787}, "dashboard_port"),
    ],
)
def test_wrong_options_are_refused_by_name(options, word):
    with pytest.raises(OptionError, match=word):
        DaskBackend(**options)


def test_what_it_can_do_follows_from_its_options():
    assert DaskBackend(max_workers=2).capabilities.kills
    assert not DaskBackend(max_workers=4, threads=2).capabilities.kills
    assert not DaskBackend(cluster_address="tcp://here:1").capabilities.kills
    far = DaskBackend(cluster_address="tcp://here:1").capabilities
    assert far.locality is Locality.ELSEWHERE
    shared = DaskBackend(processes=False).capabilities
    assert (shared.locality, shared.isolated, shared.kills) == (Locality.SAME_PROCESS, False, False)
    assert (
        DaskBackend(max_workers=4, threads=2, memory="1GB").capabilities.worker_bytes == 5 * 10**8
    )
    assert DaskBackend(max_workers=4, memory="1GB").capabilities.budget_bytes == 4 * 10**9
    requested = DaskBackend(cpus=3, gpus=1, resources={"licence": 2}).capabilities.resources
    assert requested == {"cpus": 3, "gpus": 1, "licence": 2}


def test_memory_is_guarded_where_a_worker_of_one_task_has_a_limit():
    assert DaskBackend(max_workers=2, memory="1GB").capabilities.guarantees_memory
    assert not DaskBackend(max_workers=2).capabilities.guarantees_memory
    assert not DaskBackend(max_workers=4, threads=2, memory="1GB").capabilities.guarantees_memory


def test_memory_is_measured_where_a_process_never_holds_that_of_two_tasks():
    assert DaskBackend(max_workers=2).capabilities.measures_memory
    assert DaskBackend(
        cluster_address="tcp://here:1", kill_workers=True
    ).capabilities.measures_memory
    assert not DaskBackend(cluster_address="tcp://here:1").capabilities.measures_memory
    assert not DaskBackend(max_workers=4, threads=2).capabilities.measures_memory
    assert not DaskBackend(processes=False).capabilities.measures_memory
    # What is given up computes on, beside the next task.
    assert not DaskBackend(max_workers=2, kill_workers=False).capabilities.measures_memory


def told(threads: int = 1, **resources: float) -> dict:
    return {"nthreads": threads, "memory_limit": 0, "resources": resources, "nanny": None}


def test_the_idlest_worker_is_taken_and_none_beyond_its_threads():
    table = WorkerTable()
    table.update({"a": told(2), "b": told(1)})
    taken = [table.acquire({}) for _ in range(4)]
    assert sorted(w.address for w in taken[:3]) == ["a", "a", "b"]
    assert taken[0].address != taken[1].address
    assert taken[3] is None
    table.release(taken[0], {})
    assert table.acquire({}) is taken[0]


async def test_a_worker_that_its_nanny_ends_for_its_memory_is_known_to_be_though_the_word_is_late():
    table = WorkerTable()
    table.update({"a": told() | {"memory_limit": 4 * 10**8, "nanny": "n"}, "b": told()})
    heavy, other = table.workers["a"], table.workers["b"]
    table.remove("a")
    table.remove("b")
    table.mark_over_memory("a")
    table.mark_over_memory("never seen")
    error = await loss_of(heavy, "died")
    assert isinstance(error, MemoryError)
    assert "limit of 400.0 MB" in str(error)
    assert not isinstance(await loss_of(other, "died"), MemoryError)


def test_a_worker_at_the_address_of_one_over_its_memory_is_not_blamed_for_it():
    table = WorkerTable()
    table.update({"a": told()})
    table.mark_over_memory("a")
    table.remove("a")
    table.update({"a": told()})
    assert not table.workers["a"].over_memory.is_set()


def test_a_worker_that_is_avoided_is_neither_taken_nor_counted_until_told_otherwise():
    table = WorkerTable()
    table.update({"a": told(2), "b": told(1)})
    changed = table.changed
    table.avoid({"a", "gone long ago"})
    assert changed.is_set()
    assert table.threads == 1
    assert table.acquire({}).name == "b"
    assert table.acquire({}) is None
    table.avoid(())
    assert table.threads == 3
    assert table.acquire({}).name == "a"


def test_what_an_avoided_worker_runs_already_counts_until_it_has_ended():
    table = WorkerTable()
    table.update({"a": told(2), "b": told(1)})
    worker = table.acquire({}, frozenset({"b"}))
    table.avoid({"a"})
    assert table.threads == 2
    table.release(worker, {})
    assert table.threads == 1


def test_if_all_that_are_left_are_avoided_they_are_taken_all_the_same():
    table = WorkerTable()
    table.update({"a": told(), "b": told()})
    table.avoid({"a"})
    table.remove("b")
    assert table.threads == 1
    assert table.acquire({}).name == "a"


def test_a_call_that_is_to_run_apart_takes_another_worker_or_waits_for_one():
    table = WorkerTable()
    table.update({"a": told(3), "b": told(1)})
    apart = frozenset({"a"})
    assert table.acquire({}).name == "a"
    other = table.acquire({}, apart)
    assert other.name == "b"
    assert table.acquire({}, apart) is None  # There are threads free, but not where it is to run,
    assert table.acquire({}).name == "a"  # as it may when it does not want to wait any longer.
    table.release(other, {})
    assert table.acquire({}, apart) is other


def test_a_call_that_can_run_nowhere_else_does_not_run_apart():
    table = WorkerTable()
    table.update({"a": told(2), "b": told(2)})
    assert table.acquire({}, frozenset({"a", "b"})) is not None
    table.avoid({"b"})
    # Beside another attempt of it rather than on a worker that is slow.
    assert table.acquire({}, frozenset({"a"})).name == "a"


def test_who_has_the_named_resources_counts_more_than_who_is_avoided():
    table = WorkerTable()
    table.update({"a": told(2, gpus=2), "b": told(2), "c": told(2, gpus=1)})
    wanted = {"gpus": 1}
    assert table.acquire(wanted, frozenset({"a"})).name == "c"
    assert table.acquire(wanted, frozenset({"a"})) is None  # The other has one, which is in use.
    table.avoid({"c"})
    assert table.acquire(wanted, frozenset({"a"})).name == "a"
    table.avoid({"a", "c"})
    assert table.acquire(wanted).name == "a"
    assert table.acquire({}).name == "b"


def test_an_address_that_is_had_again_is_another_worker():
    table = WorkerTable()
    table.update({"a": told()})
    names = [table.workers["a"].name]
    for _ in range(2):
        table.remove("a")
        table.update({"a": told()})
        names.append(table.workers["a"].name)
    assert names == ["a", "a#2", "a#3"]
    table.update({"a": told()})
    assert table.workers["a"].name == "a#3"
    table.avoid({"a"})
    table.update({"a": told(), "b": told()})
    assert table.threads == 2


def test_named_resources_are_counted_on_each_worker():
    table = WorkerTable()
    table.update({"a": told(4, gpus=1), "b": told(4)})
    assert table.resources() == {"gpus": 1}
    first = table.acquire({"gpus": 1})
    assert first.address == "a"
    assert table.acquire({"gpus": 1}) is None
    table.release(first, {"gpus": 1})
    assert table.acquire({"gpus": 1}) is first


def test_a_worker_that_left_is_not_taken_and_one_to_be_killed_does_not_come_back():
    table = WorkerTable()
    table.update({"a": told(), "b": told()})
    worker = table.workers["a"]
    table.mark_killed(worker)
    assert worker.gone.is_set()
    table.update({"a": told(), "b": told()})  # The scheduler has not noticed yet.
    assert set(table.workers) == {"b"}
    table.remove("a")  # Now it has, and another may come by that address.
    table.update({"a": told(), "b": told()})
    assert set(table.workers) == {"a", "b"}
    table.update({"a": told()})
    assert table.threads == 1


def test_workers_double_while_work_waits_and_go_when_there_is_none():
    scaling = AdaptiveScaling(minimum=1, maximum=5, requested=1)
    assert scaling.target(0.0, waiting=3, running=1, workers=1) is None
    assert scaling.target(0.9, waiting=3, running=1, workers=1) is None
    assert scaling.target(1.0, waiting=3, running=1, workers=1) == 2
    assert scaling.target(3.0, waiting=3, running=1, workers=1) is None  # They have not come.
    assert scaling.target(4.0, waiting=3, running=2, workers=2) == 4
    assert scaling.target(6.0, waiting=3, running=4, workers=4) == 5
    assert scaling.target(9.0, waiting=3, running=5, workers=5) is None
    assert scaling.target(10.0, waiting=0, running=1, workers=5) is None
    assert scaling.target(60.0, waiting=0, running=1, workers=5) is None
    assert scaling.target(61.0, waiting=0, running=0, workers=5) is None
    assert scaling.target(91.0, waiting=0, running=0, workers=5) == 1
    assert scaling.target(99.0, waiting=0, running=0, workers=5) is None


def test_a_short_wait_brings_no_workers():
    scaling = AdaptiveScaling(minimum=1, maximum=5, requested=1)
    for second in range(10):
        assert scaling.target(second, waiting=second % 2, running=1, workers=1) is None


def test_from_nothing_the_first_worker_is_asked_for_when_work_waits():
    scaling = AdaptiveScaling(minimum=0, maximum=3, requested=0)
    scaling.target(0.0, waiting=0, running=1, workers=0)
    scaling.target(1.0, waiting=1, running=1, workers=0)
    assert scaling.target(2.0, waiting=1, running=1, workers=0) == 1


def test_workers_that_do_not_come_are_asked_for_again_and_again_while_work_waits():
    scaling = AdaptiveScaling(minimum=1, maximum=5, requested=3)
    looks = {now: scaling.target(now, waiting=1, running=1, workers=2) for now in range(12)}
    assert {now: requested for now, requested in looks.items() if requested} == {5: 3, 10: 3}
    assert scaling.target(14.0, waiting=0, running=1, workers=0) is None
    assert scaling.target(16.0, waiting=1, running=1, workers=0) is None
    assert scaling.target(21.0, waiting=1, running=1, workers=0) == 3


def test_a_cluster_is_not_reminded_of_workers_that_are_there_again():
    retry = ScaleRetry()
    assert not retry.due(0.0, missing=True)
    assert not retry.due(4.0, missing=False)
    assert not retry.due(6.0, missing=True)
    assert retry.due(11.0, missing=True)


@pytest.mark.parametrize(
    "content, why",
    [
        (None, "does not exist"),
        ("no JSON", "is not what a scheduler writes"),
        ("[]", "is not what a scheduler writes"),
        ('{"address": 5}', "holds no address"),
    ],
)
async def test_a_scheduler_file_that_is_none_is_named_with_the_reason(tmp_path, content, why):
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(
        BackendError, match=rf"scheduler\.json' {why}.*within 0\.05 s.*Start a scheduler"
    ):
        async with DaskBackend(scheduler_file=str(file), connect_timeout=0.05):
            pass


@pytest.mark.parametrize("by", ["cluster_address", "scheduler_file"])
async def test_a_scheduler_that_is_silent_is_named_within_the_bound(tmp_path, silent_port, by):
    address = f"tcp://127.0.0.1:{silent_port}"
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": address}))
    where = address if by == "cluster_address" else str(file)
    with (
        anyio.fail_after(scaled(30)),
        pytest.raises(BackendError, match="no Dask scheduler answers at"),
    ):
        async with DaskBackend(connect_timeout=0.2, **{by: where}):
            pass


async def test_a_connection_to_a_silent_scheduler_can_be_cancelled(silent_port):
    with anyio.fail_after(scaled(30)), pytest.raises(TimeoutError):
        async with (
            asyncio.timeout(0.2),
            DaskBackend(cluster_address=f"tcp://127.0.0.1:{silent_port}"),
        ):
            pass


async def test_a_server_that_is_no_scheduler_is_named_as_one():
    async def refuse(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BackendError, match="does not speak as a scheduler does"):
            async with DaskBackend(cluster_address=f"tcp://127.0.0.1:{port}", connect_timeout=5):
                pass
    finally:
        server.close()


@pytest.mark.slow
def test_a_script_that_its_workers_cannot_import_is_told_to_guard_its_start(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import asyncexec as ax\n"
        "ax.sync.execute(ax.Plan.map(abs, [1]), executor='dask', executor_options={'max_workers': 1})\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert 'start the engine below `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]
