"""Flowdapt's three executors by their class paths, as executors of asyncexec: each key is honoured, or refused by name.

A key that is not listed here goes on as it is, so that the options of our executor can be given too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.backends.cores import usable_cores
from asyncexec.config.checks import amounts, flag, whole_number
from asyncexec.errors import OptionError

type Options = dict[str, Any]
type Meaning = Callable[[Any, str], Options]
"""Takes a value of Flowdapt's key, and where it stands for messages; returns the options of ours that mean the same."""

_PREFIX = "flowdapt.compute.executor."
_LOOPBACK = ("127.0.0.1", "localhost", "::1", None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlowdaptTarget:
    """One of Flowdapt's executors.

    Attributes
    ----------
    path : str
        Its class, by the dotted path.
    keys : mapping of str to Meaning
        The keys that do not mean the same under the same name here.
    refused : mapping of str to str
        The keys that are refused, with the reason.
    executor : str
        The name of our executor.
    said : mapping of str to str
        For the manual: what the keys mean here.
    combined : callable
        Returns the options as our executor takes them, after each key was replaced.
    """

    path: str
    keys: Mapping[str, Meaning]
    refused: Mapping[str, str]
    executor: str
    said: Mapping[str, str]
    combined: Callable[[Options], Options] = field(default=dict)

    def options(self, given: Mapping[str, Any]) -> tuple[Options, list[tuple[str, str]]]:
        """Return the options of our executor, and what is wrong: names of keys, each with a sentence."""
        problems: list[tuple[str, str]] = []
        options: Options = {}
        for name, value in given.items():
            where = f"executor {self.executor!r} (as {self.path}): {name}"
            if name in self.refused:
                problems.append((name, f"{where} is refused: {self.refused[name]}"))
                continue
            meaning = self.keys.get(name, _renamed(name))
            try:
                options |= meaning(_number(value), where)
            except OptionError as error:
                problems.append((name, str(error)))
        try:
            options = self.combined(options)
        except OptionError as error:
            problems.append(("resources", str(error)))
        return options, problems


def _number(value: Any) -> Any:
    """Return the number that a text of digits spells."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def flowdapt_target(path: str, options: Mapping[str, Any]) -> FlowdaptTarget | None:
    """Return the executor of Flowdapt's with this path, as the options say; None if it is none of them."""
    if path == THREADS.path and options.get("use_processes") in (False, "false"):
        return THREADS
    return next((each for each in FLOWDAPT_TARGETS if each.path == path), None)


def _renamed(ours: str, *, defaults: Sequence[object] = (), empty: object = None) -> Meaning:
    """Return the meaning of a key that is ``ours`` here: ``empty`` for null, nothing for ``defaults``."""

    def replace(value: Any, _: str) -> Options:
        if value is None:
            return {} if empty is None else {ours: empty}
        return {} if value in defaults else {ours: value}

    return replace


def _only(allowed: Sequence[object], *, why: str) -> Meaning:
    """Return the meaning of a key that may have only values with which it changes nothing."""

    def check(value: Any, where: str) -> Options:
        if value not in allowed:
            raise OptionError(f"{where}={value!r} is refused: {why}")
        return {}

    return check


def _cpus(value: Any, where: str) -> Options:
    return {} if value in (None, "auto") else {"cpus": whole_number(value, where)}


def _dask_gpus(value: Any, where: str) -> Options:
    if value in (None, "disabled"):
        return {}
    if isinstance(value, str):
        raise OptionError(
            f"{where}={value!r} is refused: workers are not bound to devices; give the number of GPUs"
        )
    return {"gpus": value}


def _dask_scheme(value: Any, where: str) -> Options:
    if value not in ("tcp", "tls"):
        raise OptionError(f"{where}={value!r} is refused: a cluster of our own speaks tcp or tls")
    return {"encrypted": value == "tls"}


def _dask_combined(options: Options) -> Options:
    """Return Dask's options: Flowdapt says them of each worker, and asyncexec of all together."""
    options = dict(options)
    threads = options.get("threads", 1)
    if options.get("cluster_address") is not None:
        return options
    workers = options.pop("cpus", None)
    if isinstance(threads, int) and threads > 0:
        workers = workers or max(1, usable_cores() // threads)
        options.setdefault("max_workers", workers * threads)
    if options.get("resources"):
        options["resources"] = dict(_of_all_workers(options["resources"], workers or 1))
    return options


def _of_all_workers(each: Any, workers: int) -> Iterator[tuple[str, float]]:
    for name, amount in amounts(each, "executor 'dask': resources").items():
        yield name, amount * workers


def _use_processes(value: Any, where: str) -> Options:
    if value not in ("true", "false"):
        flag(value, where)
    return {}


def _local_combined(options: Options) -> Options:
    options = dict(options)
    if (size := options.pop("cpus", None)) is not None:
        options.setdefault("max_workers", size)
    return options


_NO_ACTOR = "cluster memory needs no actor on this executor; use flowdapt.compute.executor.ray.RayExecutor for one"
_NO_PLUGINS = _only(
    (False, None), why="asyncexec has no plugins: have their packages where workers run"
)
_RECONNECTING = (
    "Ray itself looks after its connection; a cluster that is lost ends the run with BackendError"
)

RAY = FlowdaptTarget(
    path=f"{_PREFIX}ray.RayExecutor",
    executor="ray",
    said={
        "cluster_address": "of a Ray to connect to; null or `local` starts one here",
        "cpus": "`auto` is all cores",
        "gpus": "`auto` is what Ray finds",
        "memory": "of the cluster: the budget of the engine, and what each task is kept within its share of",
        "cluster_memory_actor": "defaults for what is left out; its place is checked before anything starts",
        "log_to_driver": "prints, warnings and log records of tasks reach the driver's logging",
        "tasks_per_worker": "`max_tasks_per_worker`",
        "dashboard_host": "loopback only",
        "dashboard_port": "starts Ray's dashboard there; without it there is none",
        "strategy": "`all_at_once`, as always; `group_by_group` is refused: give `engine.barriers: true`",
        "upload_plugins": "`false`; there are no plugins",
    },
    keys={
        "cluster_address": _renamed("cluster_address", empty="local"),
        "cpus": _cpus,
        "gpus": _renamed("gpus", defaults=("auto",)),
        "tasks_per_worker": _renamed("max_tasks_per_worker"),
        "dashboard_host": _only(
            _LOOPBACK, why="the dashboard of a Ray that is started here is on loopback"
        ),
        "strategy": _only(
            ("all_at_once", None),
            why="a stage starts as soon as what it reads is complete; engine.barriers: true has stages wait as a whole",
        ),
        "upload_plugins": _NO_PLUGINS,
    },
    refused={
        "logging_level": "give logging.level",
        "container": "Ray has replaced it; have workers run in the image",
        "mapper_actor": "maps need no actor: the engine sends their tasks",
        **dict.fromkeys(
            (
                "connection_monitor_interval",
                "max_reconnect_retries",
                "base_reconnect_delay",
                "max_reconnect_delay",
                "ping_timeout",
                "ping_failure_threshold",
            ),
            _RECONNECTING,
        ),
    },
    combined=lambda options: {"cluster_address": "local", **options},
)

DASK = FlowdaptTarget(
    path=f"{_PREFIX}dask.DaskExecutor",
    executor="dask",
    said={
        "cpus": "the number of workers; `auto` is the cores, divided by `threads`",
        "threads": "of each worker; `auto` is 1",
        "memory": "of each worker, which is ended over it; `auto` is no limit",
        "gpus": "what stages may request in all; `disabled` is none. `auto` and lists of devices are refused",
        "resources": "of each worker; the scheduler counts them in all",
        "scheduler_host": "loopback only, for a cluster of our own",
        "scheduler_scheme": "`tls`, or `tcp` for a cluster of our own without encryption",
        "log_to_driver": "prints, warnings and log records of tasks reach the driver's logging",
        "upload_plugins": "`false`; there are no plugins",
    },
    keys={
        "scheduler_host": _only(
            _LOOPBACK,
            why="a cluster of our own is on loopback; start `dask scheduler` for others, and give cluster_address",
        ),
        "scheduler_scheme": _dask_scheme,
        "cpus": _cpus,
        "threads": _renamed("threads", defaults=("auto",)),
        "memory": _renamed("memory", defaults=("auto",)),
        "gpus": _dask_gpus,
        "upload_plugins": _NO_PLUGINS,
    },
    refused={
        "pip": "workers of a cluster of our own run in this environment: install it here",
        "cluster_memory_actor": _NO_ACTOR,
    },
    combined=_dask_combined,
)

_LOCAL_KEYS: Mapping[str, Meaning] = {"use_processes": _use_processes, "cpus": _cpus}
_LOCAL_REFUSED = {
    "cluster_memory_socket_path": "each engine has a server of its own, on loopback and with a token",
    "cluster_memory_actor": _NO_ACTOR,
}
_LOCAL_SAID = {
    "use_processes": "whether tasks run in processes (the default) or in threads",
    "cpus": "how many tasks run at once; `auto` is the cores",
    "gpus": "what stages may request in all",
    "resources": "what stages may request in all",
    "log_to_driver": "prints, warnings and log records of tasks reach the driver's logging",
}
_IN_THREADS = "tasks in threads share this process; give use_processes: true"

PROCESSES = FlowdaptTarget(
    path=f"{_PREFIX}local.LocalExecutor",
    executor="processes",
    said={
        **_LOCAL_SAID,
        "memory": "of each worker process: a task that asks for more gets a MemoryError (on Linux)",
        "env_vars": "of the worker processes",
    },
    keys={**_LOCAL_KEYS, "memory": _renamed("memory_limit")},
    refused=_LOCAL_REFUSED,
    combined=_local_combined,
)

THREADS = FlowdaptTarget(
    path=PROCESSES.path,
    executor="threads",
    said=_LOCAL_SAID,
    keys=_LOCAL_KEYS,
    refused={**_LOCAL_REFUSED, "memory": _IN_THREADS, "env_vars": _IN_THREADS},
    combined=_local_combined,
)

FLOWDAPT_TARGETS = (PROCESSES, DASK, RAY)
"""By their paths; :data:`THREADS` takes the place of the first without processes."""
