"""A target is a name, a class of asyncexec, one of Flowdapt's executors, or a path that was allowed."""

import sys
from types import ModuleType

import pytest

from asyncexec.backends.cores import usable_cores
from asyncexec.backends.flowdapt_targets import DASK, FLOWDAPT_TARGETS, PROCESSES, RAY
from asyncexec.backends.targets import choose_executor
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.errors import UnknownExecutorError


@pytest.fixture
def mine(monkeypatch):
    module = ModuleType("mine")
    module.Backend = type("Backend", (ThreadsBackend,), {})
    module.function = lambda **options: ThreadsBackend(max_workers=1, **options)
    module.number = 3
    monkeypatch.setitem(sys.modules, "mine", module)


def wrong(target, **options):
    """The sentences about each key."""
    return dict(choose_executor(target, options).problems)


def test_names_and_classes_of_asyncexec_are_targets():
    assert choose_executor("threads", {"max_workers": 2}).executor == "threads"
    by_path = choose_executor("asyncexec.backends.threads.ThreadsBackend", {"max_workers": 2})
    assert by_path.executor is ThreadsBackend
    assert (
        choose_executor("asyncexec.backends.threads:ThreadsBackend", {}).executor is ThreadsBackend
    )


@pytest.mark.parametrize("pattern", ["mine", "mine.Backend", "mi*", "mine.*"])
def test_another_path_is_a_target_where_it_is_allowed(mine, pattern):
    chosen = choose_executor("mine.Backend", {"max_workers": 2}, allow_targets=[pattern])
    assert issubclass(chosen.executor, ThreadsBackend)
    assert chosen.options == {"max_workers": 2}


@pytest.mark.parametrize("patterns", [[], ["min"], ["mine.Backends"], ["yours.*"]])
def test_a_path_that_is_not_allowed_is_not_imported(patterns):
    with pytest.raises(UnknownExecutorError, match=r"allow_targets: \[mine\]"):
        choose_executor("mine.Backend", {}, allow_targets=patterns)
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    "target, says",
    [
        ("mine.function", "no class of a backend"),
        ("mine.number", "makes no backend"),
        ("mine.nothing", "nothing"),
        ("asyncexec.engine.engine.Engine", "it has no capabilities, slots, map"),
        ("asyncexec.backends.nothing.Backend", "no module 'asyncexec.backends.nothing'"),
        ("thread", "Did you mean 'threads'"),
        ("", "there is no executor ''"),
        ("flowdapt.compute.executor.ray.RayExecuter", r"did you mean '.*ray\.RayExecutor'\?"),
    ],
)
def test_what_is_no_backend_is_refused(mine, target, says):
    with pytest.raises(UnknownExecutorError, match=says):
        choose_executor(target, {}, allow_targets=["mine"])


def test_texts_are_coerced_where_the_option_is_a_number_or_a_truth_value():
    options = {
        "cpus": "2",
        "log_to_driver": "true",
        "memory": "8GB",
        "env_vars": {"N": 1, "X": 0.5},
    }
    chosen = choose_executor("ray", options)
    assert chosen.options == {
        "cpus": 2,
        "log_to_driver": True,
        "memory": 8 * 10**9,
        "env_vars": {"N": "1", "X": "0.5"},
    }
    assert "cpus must be a whole number" in wrong("ray", cpus="two")["cpus"]


def test_an_option_that_has_to_be_given_is_named():
    assert wrong("http") == {"": "executor 'http' needs the option 'url'"}


def test_every_wrong_option_is_told():
    told = wrong("processes", max_worker=2, env_vars={"A": True}, start_timeout="soon")
    assert set(told) == {"max_worker", "env_vars", "start_timeout"}
    assert "did you mean 'max_workers'?" in told["max_worker"]


# Flowdapt's executors.


def options_of(target, **options):
    chosen = choose_executor(target, options)
    assert chosen.problems == ()
    return chosen.name, chosen.options


def test_the_ray_executor_of_flowdapt():
    name, options = options_of(
        RAY.path,
        cluster_address=None,
        strategy="all_at_once",
        cpus="auto",
        gpus=1,
        resources={"wheels": 6},
        object_store_memory="100MB",
        dashboard_host="127.0.0.1",
        tasks_per_worker=3,
        upload_plugins=False,
        env_vars={"A": "1"},
    )
    assert (name, options) == (
        "ray",
        {
            "cluster_address": "local",
            "gpus": 1,
            "resources": {"wheels": 6.0},
            "object_store_memory": 100_000_000,
            "max_tasks_per_worker": 3,
            "env_vars": {"A": "1"},
        },
    )
    assert options_of(RAY.path) == ("ray", {"cluster_address": "local"})
    assert options_of(RAY.path, cluster_address="head:6379")[1]["cluster_address"] == "head:6379"


def test_the_dask_executor_of_flowdapt_says_things_of_each_worker():
    name, options = options_of(
        DASK.path,
        scheduler_host="127.0.0.1",
        scheduler_port=6684,
        scheduler_scheme="tcp",
        cpus=2,
        threads=3,
        memory="1GB",
        gpus="disabled",
        adaptive=True,
        resources={"wheels": 6},
    )
    assert (name, options) == (
        "dask",
        {
            "scheduler_port": 6684,
            "encrypted": False,
            "threads": 3,
            "max_workers": 6,
            "memory": 10**9,
            "adaptive": True,
            "resources": {"wheels": 12.0},
        },
    )
    assert options_of(DASK.path, cpus="2", threads="3")[1]["max_workers"] == 6
    auto = options_of(DASK.path, cpus="auto", threads="auto", memory="auto", gpus=2)[1]
    assert auto == {"max_workers": usable_cores(), "gpus": 2.0}
    there = options_of(DASK.path, cluster_address="tcp://head:8786", resources={"wheels": 6})[1]
    assert there == {"cluster_address": "tcp://head:8786", "resources": {"wheels": 6.0}}


def test_the_local_executor_of_flowdapt_has_processes_or_threads():
    given = {"cpus": 2, "gpus": 1, "resources": {"wheels": 6}}
    ours = {"max_workers": 2, "gpus": 1.0, "resources": {"wheels": 6.0}}
    assert options_of(PROCESSES.path, **given) == ("processes", ours)
    assert options_of(PROCESSES.path, **given, use_processes=False) == ("threads", ours)
    limited = options_of(PROCESSES.path, use_processes=True, memory="1GB", env_vars={"A": "1"})
    assert limited == ("processes", {"memory_limit": 10**9, "env_vars": {"A": "1"}})


@pytest.mark.parametrize(
    "target, option, value, says",
    [
        (RAY, "strategy", "group_by_group", "engine.barriers: true"),
        (RAY, "logging_level", "info", "give logging.level"),
        (RAY, "container", {}, "Ray has replaced it"),
        (RAY, "mapper_actor", {"name": "x"}, "maps need no actor"),
        (RAY, "connection_monitor_interval", 15, "Ray itself looks after its connection"),
        (RAY, "ping_timeout", 10, "Ray itself looks after its connection"),
        (RAY, "upload_plugins", True, "no plugins"),
        (RAY, "dashboard_host", "0.0.0.0", "on loopback"),
        (DASK, "scheduler_host", "0.0.0.0", "cluster_address"),
        (DASK, "scheduler_scheme", "ucx", "tcp or tls"),
        (DASK, "gpus", "0,1", "give the number of GPUs"),
        (DASK, "pip", ["x"], "install it here"),
        (DASK, "upload_plugins", True, "no plugins"),
        (DASK, "resources", {"wheels": -1}, "must be a number of at least 0"),
        (DASK, "cluster_memory_actor", {}, "flowdapt.compute.executor.ray.RayExecutor"),
        (PROCESSES, "cluster_memory_actor", {"name": "x"}, "ray.RayExecutor"),
        (PROCESSES, "cluster_memory_socket_path", "/x", "a server of its own"),
        (PROCESSES, "use_processes", "perhaps", "must be True or False"),
        (PROCESSES, "cpus", 0, "cpus must be a whole number of at least 1"),
    ],
)
def test_a_key_that_means_nothing_here_is_refused_by_name_with_what_to_do(
    target, option, value, says
):
    told = wrong(target.path, **{option: value})
    assert list(told) == [option]
    assert says in told[option]
    assert option in told[option]
    assert "executor '" in told[option]


def test_what_needs_processes_is_refused_in_threads():
    told = wrong(PROCESSES.path, use_processes=False, memory="1GB", env_vars={"A": "1"})
    assert set(told) == {"memory", "env_vars"}
    assert all("give use_processes: true" in said for said in told.values())


def test_every_refusal_has_a_reason():
    for target in FLOWDAPT_TARGETS:
        assert all(target.refused.values())
        assert not target.refused.keys() & target.keys.keys()
