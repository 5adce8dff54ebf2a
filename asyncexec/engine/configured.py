"""Make an engine of a configuration: every key that an engine has is an argument of it, or a problem by its place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.artifacts.settings import ArtifactStorage
from asyncexec.backends.registry import make_backend
from asyncexec.backends.targets import ChosenExecutor, choose_executor
from asyncexec.cluster_memory.settings import MemorySettings
from asyncexec.engine.executor_options import RUN_OPTIONS, EveryExecutorOptions
from asyncexec.engine.run_options import SharedOptions
from asyncexec.errors import ConfigurationError, MissingExtraError, SettingsError
from asyncexec.plan.limit import Limit
from asyncexec.policies.from_fields import from_fields
from asyncexec.policies.retry import as_retry
from asyncexec.policies.timeout import as_timeout
from asyncexec.scheduler.run_policies import RunPolicies

if TYPE_CHECKING:
    import os

    from asyncexec.config.configuration import ConfigLike, Configuration
    from asyncexec.runs.store import RunStore

_log = logging.getLogger("asyncexec")

FOR_EVER = -1.0
_EXECUTOR = ("services", "compute", "executor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A configuration, and the parts of an engine that it asks for.

    Attributes
    ----------
    configuration : Configuration
    arguments : dict
        Of the engine.
    observers : tuple
        Observers that the engine enters and leaves with itself.
    context : dict
        Entries for the context of each plan that has none of its own.
    """

    configuration: Configuration
    arguments: dict[str, Any]
    observers: tuple[RunStore, ...]
    context: dict[str, Any]


def configure(
    source: ConfigLike | None,
    *,
    overrides: Iterable[str] = (),
    env_file: str | os.PathLike[str] | None = None,
) -> Configured:
    """Read a configuration, and return what it makes of an engine.

    Raises
    ------
    SettingsError
        With all that is wrong, each with its place.
    MissingExtraError
        If what reads configurations is not installed.
    """
    configuration = read_configuration(source, overrides=overrides, env_file=env_file)
    for notice in configuration.notices:
        _log.warning("%s", notice)
    settings = configuration.settings
    url, retention = settings.database.url, settings.services.compute.run_retention_duration
    return Configured(
        configuration=configuration,
        arguments=engine_arguments(configuration),
        observers=() if url is None else (_run_store(url, retention),),
        context={"namespace": settings.services.compute.default_namespace},
    )


def read_configuration(
    source: ConfigLike | None,
    *,
    overrides: Iterable[str] = (),
    env_file: str | os.PathLike[str] | None = None,
) -> Configuration:
    """Return the configuration, with what is wrong in its ``problems``.

    Raises
    ------
    MissingExtraError
        If what reads configurations is not installed.
    """
    try:
        from asyncexec.config.configuration import examine_configuration  # noqa: PLC0415 - of the extra `config`
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("a configuration", str(error.name), extra="config") from error
    return examine_configuration(source, overrides=overrides, env_file=env_file)


def _run_store(url: str, retention: float) -> RunStore:
    try:
        from asyncexec.runs.store import RunStore as Store  # noqa: PLC0415 - of the extra `runs`
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("database.url", str(error.name), extra="runs") from error
    return Store(url, retention=retention)


def problems_of(configuration: Configuration) -> tuple[str, ...]:
    """Return all that is wrong with a configuration, also with what is installed; nothing is started."""
    settings = configuration.settings
    target = configuration.origin(*_EXECUTOR, "target")
    try:
        arguments = engine_arguments(configuration)
    except SettingsError as error:
        return error.problems
    problems: list[str] = []
    options = {
        name: value
        for name, value in arguments["executor_options"].items()
        if name not in RUN_OPTIONS
    }
    try:
        make_backend(arguments["executor"], options)
    except ConfigurationError as error:
        problems.append(f"{target}: {error}")
    if settings.database.url is not None:
        try:
            _run_store(settings.database.url, FOR_EVER)
        except ConfigurationError as error:
            problems.append(f"{configuration.origin('database', 'url')}: {error}")
    return tuple(problems)


def chosen_executor(configuration: Configuration) -> ChosenExecutor:
    """Return the executor of a configuration; what is wrong with its options is in its ``problems``.

    Raises
    ------
    ConfigurationError
        If the target is unknown, not allowed, or no backend.
    """
    settings = configuration.settings
    executor = settings.services.compute.executor
    return choose_executor(
        executor.target,
        executor.options,
        allow_targets=settings.allow_targets,
        run_options=EveryExecutorOptions,
    )


def engine_arguments(configuration: Configuration) -> dict[str, Any]:
    """Return the arguments of the engine that a configuration asks for.

    Raises
    ------
    SettingsError
        With all that is wrong, each with its place.
    """
    problems = list(configuration.problems)
    arguments: dict[str, Any] = {}
    try:
        chosen = chosen_executor(configuration)
    except ConfigurationError as error:
        problems.append(f"{configuration.origin(*_EXECUTOR, 'target')}: {error}")
    else:
        for key, said in chosen.problems:
            problems.append(f"{configuration.origin(*_place(configuration, key, said))}: {said}")
        arguments |= {"executor": chosen.executor, "executor_options": chosen.options}
    engine = configuration.settings.engine
    for name in type(engine).model_fields:
        try:
            arguments[name] = _argument(name, getattr(engine, name))
            if name in SharedOptions.__annotations__:
                RunPolicies.of().override(**{name: arguments[name]})
        except ConfigurationError as error:
            problems.append(f"{configuration.origin('engine', name)}: engine.{name}: {error}")
    try:
        arguments["object_store"] = _object_store(configuration)
    except ConfigurationError as error:
        problems.append(f"{configuration.origin('storage')}: {error}")
    if problems:
        raise SettingsError.of(problems)
    return arguments


def _object_store(configuration: Configuration) -> ArtifactStorage:
    """Return the place of artifacts: a folder of the user, where nobody says another."""
    storage = configuration.settings.storage
    base_path = storage.base_path
    if base_path is None and storage.protocol in {"file", "local"}:
        base_path = str(Path.home() / ".asyncexec")
    return ArtifactStorage(
        protocol=storage.protocol,
        base_path=base_path,
        parameters=storage.parameters,
        strategy=configuration.settings.services.compute.default_os_strategy,
    )


def _place(configuration: Configuration, key: str, said: str) -> tuple[str, ...]:
    """Return the path of what a sentence about an option is about, which may be below the option."""
    path = (*_EXECUTOR, key) if key else _EXECUTOR
    value = configuration.settings.services.compute.executor.options.get(key)
    while isinstance(value, Mapping):
        inner = next((n for n in value if repr(n) in said or f".{n} " in said), None)
        if inner is None and len(value) > 0:
            inner = next((n for n, each in value.items() if _names(each, said)), None)
        if inner is None:
            break
        path, value = (*path, inner), value[inner]
    return path


def _names(value: Any, said: str) -> bool:
    return isinstance(value, Mapping) and any(repr(name) in said for name in value)


def _argument(name: str, value: Any) -> Any:
    """Return the argument ``name`` of an engine: a policy where its fields are given."""
    if name == "cluster_memory":
        return MemorySettings.of(value)
    if name == "limits":
        return {label: from_fields(Limit, fields) for label, fields in (value or {}).items()}
    made = _AS_POLICY.get(name)
    return value if made is None or value is None else made(value)


_AS_POLICY: Mapping[str, Callable[[Any], Any]] = {"retry": as_retry, "timeout": as_timeout}
