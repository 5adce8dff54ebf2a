"""The `ray` executor without a Ray: options, demands, and what a worker does with a batch."""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import anyio
import pytest

from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.contract import AttemptSpec, StageProgram, Started
from asyncexec.backends.ray import RayBackend
from asyncexec.backends.ray.actor_options import ActorOptions
from asyncexec.backends.ray.attempt_file import AttemptFile, AttemptFiles
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.pending_kills import PendingKills, until_gone
from asyncexec.backends.ray.resources import Nodes, ResourceRequest, resource_request
from asyncexec.backends.ray.session import _check_resources
from asyncexec.backends.ray.tasks import MAX_RESUBMISSIONS, RayTasks
from asyncexec.backends.ray.worker_side import frames
from asyncexec.backends.registry import make_backend
from asyncexec.errors import MissingExtraError, OptionError, ResourceError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.programs import PROGRAMS, LoadedProgram
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray")


def program(kernel=abs, **options) -> StageProgram:
    return StageProgram(key="p", plan="plan", stage="stage", kernel=kernel, shape=(100,), **options)


def call_of(kernel, jobs):
    call, failed = Packer().pack(
        program(kernel), [AttemptSpec(10 + task, task) for task in range(jobs)]
    )
    assert not failed
    return call


def reports_of(call, record=None):
    return [report for frame in frames(call, record, 0, {}) for report in decode_reports(frame)]


# Options.


@needs_ray
@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"cluster_address": "ray://head:10001"}, "Ray Client"),
        ({"cluster_address": ""}, "must be 'host:port'"),
        ({"cpus": 0}, "cpus must be a whole number"),
        ({"gpus": -1}, "gpus must be a whole number"),
        ({"max_workers": 0}, "max_workers must be"),
        ({"max_calls": 0}, "max_calls must be"),
        ({"memory": "much"}, "memory='much' is not a size"),
        ({"task_memory": 0}, "task_memory must be above 0"),
        ({"dashboard_port": 70_000}, "dashboard_port must be a port"),
        ({"dashboard_port": 8265, "cluster_address": "head:6379"}, "started here"),
        ({"conda": 3}, "conda must be the name of an environment"),
        ({"conda": "env", "pip": ["x"]}, "only one of pip and conda"),
        ({"max_calls": 1, "max_tasks_per_worker": 1}, "only one of max_calls and max_tasks"),
        ({"cluster_memory_actor": "name"}, "cluster_memory_actor must map names to values"),
        ({"cluster_memory_actor": {"nam": "x"}}, "there is no 'nam' in .*did you mean 'name'"),
        ({"cluster_memory_actor": {"name": ""}}, "cluster_memory_actor.name must be text"),
        ({"cluster_memory_actor": {"num_cpus": -1}}, "cluster_memory_actor.num_cpus must be"),
        ({"cluster_memory_actor": {"max_concurrency": 0}}, "max_concurrency must be a whole"),
        ({"resources": {"gpus": 1}}, "'gpus' is not a custom resource; give CPUs"),
        ({"resources": {"wheel": 0}}, r"resources\['wheel'\] must be a number above 0"),
        ({"object_store_memory": "1MB"}, "at least 80MB"),
        ({"object_store_memory": "1GB", "cluster_address": "head:6379"}, "started here"),
        ({"env_vars": {"TOKEN": 12345}}, "env_vars must map names to text, not 'TOKEN' to int$"),
        ({"pip": "numpy"}, "pip must be a list"),
        ({"py_modules": "package"}, "py_modules must be a list"),
        ({"py_modules": ["there/is/none"]}, "there is no 'there/is/none'"),
        ({"working_dir": 5}, "working_dir takes paths"),
        ({"log_to_driver": "yes"}, "log_to_driver must be True or False"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_what_it_should_be(options, complaint):
    with pytest.raises(OptionError, match=complaint):
        make_backend(RayBackend, options)


@needs_ray
def test_what_is_known_without_a_ray_is_what_the_options_say():
    backend = RayBackend(task_memory="2GB", memory="8GB", max_workers=7)
    assert backend.slots == 7
    assert backend.capabilities.worker_bytes == 2_000_000_000
    assert backend.capabilities.budget_bytes == 8_000_000_000
    assert backend.capabilities.guarantees_memory
    assert backend.capabilities.locality is Locality.SAME_HOST
    assert not _here(RayBackend(cluster_address="head:6379"))


def test_a_task_whose_stage_says_nothing_has_an_equal_share_of_the_memory():
    assert RayOptions(memory="8GB").task_bytes(4) == 2_000_000_000
    assert RayOptions(memory="8GB", task_memory="1GB").task_bytes(4) == 1_000_000_000
    assert RayOptions().task_bytes(4) == 0
    assert not RayOptions().limits


def test_the_options_of_the_actor_that_are_left_out_have_defaults():
    actor = RayOptions(cpus=2, cluster_memory_actor={"name": "store"}).actor
    assert actor == ActorOptions(name="store", num_cpus=1, max_concurrency=1000)
    assert ActorOptions().name == "RayClusterMemoryActor"


@pytest.mark.parametrize(
    "actor, complaint",
    [
        (
            {"resources": {"hamster_wheel": 1}},
            r"asks for 1 of resource 'hamster_wheel', and the Ray that is started .* did you mean 'hamster_wheels'\?",
        ),
        ({"resources": {"hamster_wheels": 7}}, "asks for 7 of .* has 6$"),
        ({"resources": {"licence": 1}}, "has none of that name. It has .*6 of 'hamster_wheels'"),
        ({"num_cpus": 3}, "asks for 3 of resource 'cpus', and .* has 2"),
        ({"num_cpus": 2}, "takes 2 of 2 CPUs .*leaves none for tasks"),
    ],
)
def test_an_actor_that_has_no_place_is_refused_before_anything_starts(actor, complaint):
    with pytest.raises(ResourceError, match=complaint):
        RayOptions(cpus=2, resources={"hamster_wheels": 6}, cluster_memory_actor=actor)


def test_the_place_of_an_actor_on_a_cluster_that_runs_is_checked_when_it_is_known():
    wrong = {"cluster_memory_actor": {"resources": {"wheel": 1}}}
    options = RayOptions(cluster_address="head:6379", **wrong)
    with pytest.raises(
        ResourceError, match="the Ray cluster has none of that name: did you mean 'wheels'"
    ):
        _check_resources(options, nodes({"CPU": 4.0, "wheels": 2.0}))


def test_what_the_actor_takes_is_not_there_for_tasks():
    actor = {"num_cpus": 1, "resources": {"wheels": 2}}
    options = RayOptions(cpus=2, resources={"wheels": 6}, cluster_memory_actor=actor)
    left = options.left_for_tasks({"cpus": 2.0, "gpus": 1.0, "wheels": 6.0})
    assert left == {"cpus": 1.0, "gpus": 1.0, "wheels": 4.0}


def test_a_cluster_with_less_memory_than_wanted_is_refused():
    options = RayOptions(cluster_address="head:6379", memory="8GB")
    with pytest.raises(ResourceError, match=r"8.0 GB of memory are wanted, .* has 1.0 GB"):
        _check_resources(options, nodes({"CPU": 4.0, "memory": 1e9}))


@needs_ray
def test_an_address_in_the_environment_is_taken_as_ray_itself_does(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert not _here(RayBackend())
    assert _here(RayBackend(cluster_address="local"))
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(OptionError, match="Ray Client"):
        RayBackend()


def test_without_ray_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("asyncexec.backends.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "asyncexec\[ray\]"'):
        RayBackend()


def test_it_is_made_without_importing_ray():
    if "ray" not in sys.modules:
        assert RayBackend.features.name == "ray"
        assert "ray" not in sys.modules


@needs_ray
def test_what_workers_fetch_themselves_goes_with_tasks_and_what_is_sent_with_the_connection(
    tmp_path,
):
    def environments(**options):
        found = RayOptions(**options)
        return found.runtime_env, found.task_env

    there, here = "s3://bucket/archive.zip", str(tmp_path)
    assert environments(working_dir=there) == ({}, {"working_dir": there})
    assert environments(working_dir=here) == ({"working_dir": here}, {})
    assert environments(py_modules=[there, there]) == ({}, {"py_modules": [there, there]})
    # Ray sends none with a task.
    assert environments(py_modules=[there, here]) == ({"py_modules": [there, here]}, {})


# Demands.


def test_a_task_takes_one_cpu_unless_its_stage_says_otherwise():
    assert resource_request(program()).options == {"num_cpus": 1.0, "num_gpus": 0.0}
    asked = {"cpus": 0.5, "gpus": 2, "wheel": 3}
    assert resource_request(program(resources=asked, memory_bytes=100)).options == {
        "num_cpus": 0.5,
        "num_gpus": 2.0,
        "memory": 100,
        "resources": {"wheel": 3.0},
    }


def test_memory_stands_in_where_the_stage_says_nothing():
    assert resource_request(program(), memory_bytes=7).memory_bytes == 7
    assert resource_request(program(memory_bytes=5), memory_bytes=7).memory_bytes == 5


def nodes(*resources, alive=True):
    return Nodes.of([{"Alive": alive, "Resources": each} for each in resources])


def test_resources_have_our_names_and_those_of_ray_alone_are_left_out():
    cluster = nodes(
        {"CPU": 4.0, "memory": 1e9, "object_store_memory": 1e9, "node:10.0.0.1": 1.0},
        {"CPU": 8.0, "GPU": 1.0, "wheel": 2.0, "accelerator_type:T4": 1.0},
    )
    assert cluster.named == {"cpus": 12.0, "gpus": 1.0, "wheel": 2.0, "accelerator_type:T4": 1.0}
    assert nodes({"CPU": 2.0}).named == {"cpus": 2.0, "gpus": 0.0}


def test_dead_nodes_have_nothing():
    assert nodes({"CPU": 4.0}, alive=False).named == {"cpus": 0.0, "gpus": 0.0}


def test_a_demand_has_to_fit_on_one_node():
    cluster = nodes({"CPU": 4.0, "memory": 1e9}, {"CPU": 2.0, "GPU": 1.0})
    assert cluster.fit(ResourceRequest(cpus=4))
    assert cluster.fit(ResourceRequest(cpus=2, gpus=1))
    assert cluster.fit(ResourceRequest(memory_bytes=10**9))
    assert not cluster.fit(ResourceRequest(cpus=5))
    assert not cluster.fit(ResourceRequest(cpus=4, gpus=1))
    assert not cluster.fit(ResourceRequest(memory_bytes=2 * 10**9))
    assert not cluster.fit(ResourceRequest(custom=(("wheel", 1.0),)))


def test_what_no_node_has_is_said_with_what_there_is():
    cluster = nodes({"CPU": 4.0, "memory": 1e9}, {"CPU": 2.0, "GPU": 1.0})
    assert "5 of 'CPU' (the node with most has 4)" in cluster.shortage(ResourceRequest(cpus=5))
    too_much = ResourceRequest(memory_bytes=2 * 10**9)
    assert "2.0 GB of 'memory' (the node with most has 1.0 GB)" in cluster.shortage(too_much)
    assert "all at once: 4 of 'CPU', 1 of 'GPU'" in cluster.shortage(
        ResourceRequest(cpus=4, gpus=1)
    )


# On the worker.


def test_quick_tasks_are_told_of_together():
    call = call_of(lambda index: index[0], 50)
    found = list(frames(call, None, 0, {}))
    reports = [report for frame in found for report in decode_reports(frame)]
    assert [report.attempt for report in reports] == list(range(10, 60))
    assert {report.status for report in reports} == {Status.SUCCEEDED}
    assert all(report.peak_bytes > 0 for report in reports)


def test_a_slow_task_is_told_of_while_it_runs_and_is_the_last_of_its_call():
    release = threading.Event()
    ran = []

    def kernel(index):
        ran.append(index[0])
        if index == (2,):
            release.wait(20)

    PROGRAMS._programs.clear()
    call = call_of(abs, 5)
    PROGRAMS._programs[call.key] = LoadedProgram(kernel, None, (100,))
    stream = frames(call, None, 0, {})
    reports = decode_reports(next(stream))
    while not isinstance(reports[-1], Started):
        reports += decode_reports(next(stream))
    first, second, started = reports
    assert [first.attempt, second.attempt] == [10, 11]
    assert started == Started(12, started.worker)
    release.set()
    (slow,) = [report for frame in stream for report in decode_reports(frame)]
    assert isinstance(slow, Outcome)
    assert slow.attempt == 12
    assert ran == [0, 1, 2]
    PROGRAMS._programs.clear()


def test_outcomes_are_not_held_back_while_quick_tasks_go_on(monkeypatch):
    # Long beside a task, so that none counts as slow, which would end the call.
    monkeypatch.setattr("asyncexec.worker.streaming.START_SECONDS", 0.2)
    call = call_of(lambda index: time.sleep(0.02), 40)
    assert len(list(frames(call, None, 0, {}))) > 2


def test_a_worker_that_lacks_the_program_says_so():
    PROGRAMS._programs.clear()
    call = call_of(abs, 1)
    call.blob = None
    assert list(frames(call, None, 0, {})) == [NEEDS_PROGRAM]


def test_a_program_that_cannot_be_loaded_fails_every_job():
    call = call_of(abs, 2)
    call.key, call.blob = b"other", b"no pickle"
    assert {report.status for report in reports_of(call)} == {Status.FAILED}


# What ran, for workers that die.


def test_a_record_says_what_runs_until_it_has_ended():
    records, seen = AttemptFiles(), []
    records.open(here=True)
    try:
        path = records.path()
        assert records.running(path) is None
        call = call_of(abs, 2)
        PROGRAMS._programs[call.key] = LoadedProgram(
            lambda index: seen.append(records.running(path)),
            None,
            (100,),
        )
        reports_of(call, path)
        assert [started.attempt for started in seen] == [10, 11]
        assert all(started.worker.endswith(f":{os.getpid()}") for started in seen)
        assert records.running(path) is None
        records.remove(path)
        assert not Path(path).exists()
    finally:
        records.close()
        PROGRAMS._programs.clear()
    assert records.path() is None


def test_there_is_no_record_of_workers_elsewhere():
    records = AttemptFiles()
    records.open(here=False)
    assert records.path() is None
    assert records.running(None) is None
    records.remove(None)
    records.close()


def test_a_record_that_cannot_be_written_is_done_without(tmp_path):
    call = call_of(lambda index: index[0], 2)
    assert len(reports_of(call, str(tmp_path / "missing" / "record"))) == 2


# Calls that are given to a worker which is being killed because of another.


class Deaths(RayTasks):
    """Its workers die, so many of them, and tell so much before."""

    def __init__(self, kills, *, deaths, told=0, begun=None):
        super().__init__(kills=kills)
        self.deaths, self.told, self.begun = deaths, told, begun
        self.calls = 0

    def _function(self, request):
        return None

    async def _submit(self, call, record, function):
        self.calls += 1
        return self._stream()

    async def _stream(self):
        from ray.exceptions import WorkerCrashedError

        if self.begun is not None:
            AttemptFile.create(self.begun).started(10)
        for _ in range(self.told):
            yield _soon(b"told")
        if self.calls <= self.deaths:
            raise WorkerCrashedError
        yield _soon(b"frame")

    async def frames(self):
        return [frame async for frame in self.run(call_of(abs, 1), self.begun, ResourceRequest())]


async def _soon(frame):
    return frame


def a_kill() -> PendingKills:
    kills = PendingKills()
    kills.note()
    return kills


@needs_ray
async def test_a_call_that_met_the_end_of_a_killed_worker_is_passed_on_without_a_word():
    remote = Deaths(a_kill(), deaths=MAX_RESUBMISSIONS)
    assert await remote.frames() == [b"frame"]
    assert remote.calls == MAX_RESUBMISSIONS + 1


@needs_ray
@pytest.mark.parametrize(
    "killed, died",
    [(True, {"deaths": 99}), (False, {"deaths": 1}), (True, {"deaths": 1, "told": 1})],
    ids=["which dies again and again", "where nobody killed", "which had told something"],
)
async def test_a_call_is_lost(killed, died):
    from ray.exceptions import WorkerCrashedError

    remote = Deaths(a_kill() if killed else PendingKills(), **died)
    with pytest.raises(WorkerCrashedError):
        await remote.frames()
    assert remote.calls == (MAX_RESUBMISSIONS + 1 if died["deaths"] > MAX_RESUBMISSIONS else 1)


@needs_ray
async def test_a_call_of_which_something_had_begun_is_lost_though_a_worker_was_killed(tmp_path):
    from ray.exceptions import WorkerCrashedError

    remote = Deaths(a_kill(), deaths=1, begun=str(tmp_path / "record"))
    with pytest.raises(WorkerCrashedError):
        await remote.frames()
    assert remote.calls == 1


async def test_the_end_of_a_process_is_waited_for():
    process = await anyio.open_process([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    gone = []

    async def wait():
        await until_gone(process.pid)
        gone.append(process.pid)

    async with process, anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(0.05)
        assert not gone
        await process.stdin.aclose()
        await process.wait()
    assert gone == [process.pid]


def _here(backend):
    return backend.capabilities.locality is Locality.SAME_HOST


def test_ray_is_asked_only_for_resources_that_it_has():
    wants = program(resources={"licence": 2, "hamster_wheels": 3, "cpus": 2})
    request = resource_request(wants, known={"licence"})
    assert request.options == {"num_cpus": 2.0, "num_gpus": 0.0, "resources": {"licence": 2.0}}


@pytest.mark.parametrize("concurrency, limit", [(4, 10**9), (1, None)])
def test_tasks_that_run_at_once_are_kept_within_their_memory_together(concurrency, limit):
    """One that runs by itself is kept within it by the guard of its worker."""
    call = RemoteBatch(b"unknown", None, [], concurrency=concurrency)
    assert list(frames(call, None, 10**9, {})) == [NEEDS_PROGRAM]
    assert call.memory_bytes == limit
