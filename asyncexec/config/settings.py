"""The schema of configurations: every key, its type, its default and its meaning, in one place.

The string below a field is its line in ``docs/reference/configuration.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, override

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from asyncexec.config.durations import parse_duration
from asyncexec.config.layers import Layer
from asyncexec.masking import MASK
from asyncexec.plan.memory import parse_bytes

FOR_EVER = -1.0

type ReprArgs = Iterator[tuple[str | None, Any]]


def _size(value: Any) -> int:
    return parse_bytes(value, what="size")


def _duration(value: Any) -> float:
    return parse_duration(value)


def _retention(value: Any) -> float:
    return FOR_EVER if value in (-1, "-1") else parse_duration(value)


def _policy(words: str) -> Callable[[Any], Any]:
    """Return a validator for a policy: a number, a truth value or a mapping, which the policy checks."""

    def validate(value: Any) -> Any:
        if isinstance(value, str):
            try:
                return float(value) if "." in value else int(value)
            except ValueError:
                pass
        elif isinstance(value, int | float | Mapping) or value is None:
            return value
        raise ValueError(f"must be {words}")

    return validate


def _database_url(value: Any) -> str:
    text = str(value)
    scheme, found, _ = text.partition("://")
    if not text or (found and scheme.partition("+")[0] not in {"sqlite", "postgresql", "postgres"}):
        raise ValueError(
            "must be a path of an SQLite file, sqlite:///path or postgresql://host/name"
        )
    return text


def _small(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _patterns(value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Sequence) or not all(isinstance(each, str) and each for each in given):
        raise ValueError("must be a list of dotted paths, or of patterns such as 'mypackage.*'")
    return tuple(given)


Size = Annotated[int, BeforeValidator(_size)]
Duration = Annotated[float, BeforeValidator(_duration)]


class Section(BaseModel):
    """A section of a configuration; a name that it has not is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class ExecutorSettings(Section):
    """The executor of plans: ``target``, and as further keys the options of that executor."""

    model_config = ConfigDict(extra="allow")

    target: str = "threads"
    """The executor: its name (``ray``), a class of asyncexec by its dotted path, one of Flowdapt's three
    (``flowdapt.compute.executor.ray.RayExecutor``), or another dotted path that ``allow_targets`` allows."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys other than ``target``."""
        return dict(self.model_extra or {})

    @override
    def __repr_args__(self) -> ReprArgs:
        yield "target", self.target
        for name in self.options:
            yield name, MASK


class ComputeSettings(Section):
    """The service that runs plans and workflows."""

    executor: ExecutorSettings = ExecutorSettings()
    """The executor of plans: ``target``, and as further keys the options of that executor."""

    default_namespace: str = Field(default="default", min_length=1)
    """The namespace of a run that gives none."""

    default_os_strategy: Literal["fallback", "artifact", "cluster_memory"] = "fallback"
    """The place of the object store for values whose call does not say: cluster memory, with artifacts as the second
    choice (``fallback``), or one of the two."""

    run_retention_duration: Annotated[float, BeforeValidator(_retention)] = FOR_EVER
    """The time for which records of runs are kept: seconds or ``2h``, ``30d``; 0 keeps none, -1 keeps them for ever."""


class ServicesSettings(Section):
    """The services; asyncexec has one of Flowdapt's."""

    compute: ComputeSettings = ComputeSettings()
    """The service that runs plans and workflows."""


class StorageSettings(Section):
    """The file system of artifacts."""

    protocol: str = Field(default="file", min_length=1)
    """The protocol of fsspec: ``file``, ``memory``, ``s3``, ``gcs``, …"""

    base_path: str | None = None
    """The folder or bucket below which artifacts are; default: a folder of the user."""

    parameters: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Arguments for opening the file system (keys, endpoints); never shown."""


class DatabaseSettings(Section):
    """The database of records of runs."""

    url: Annotated[str, BeforeValidator(_database_url)] | None = Field(default=None, repr=False)
    """The path of an SQLite file, or ``postgresql://user:password@host/name``; the password is never shown."""


class LoggingSettings(Section):
    """Logging of the command line; a program of your own sets up logging itself."""

    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_small)
    ] = "info"
    """The least level that is shown."""

    format: Literal["console", "json"] = "console"
    """Lines for people, or one JSON object a line."""

    show_tracebacks: bool = False
    """Whether exceptions are shown with their traceback."""

    traceback_show_locals: bool = False
    """Whether tracebacks show local variables, which may hold secrets."""

    traceback_max_frames: int = Field(default=10, ge=1)
    """The number of frames of a traceback that are shown."""


class EngineSettings(Section):
    """Arguments of :class:`asyncexec.Engine`."""

    memory: Size | None = None
    """The projected memory that tasks in flight may have together (``8GB``); default: what the executor is limited
    to, or 80% of this machine's memory for executors on it."""

    resources: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """Named resources that stages may request, in addition to those of the executor."""

    limits: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Limits of attempts at once and of starts in a second, by label, each with fields of :class:`asyncexec.Limit`."""

    retry: Annotated[
        Any, PlainValidator(_policy("a number of attempts, true or false, or fields of Retry"))
    ] = None
    """The attempts of a task in all, ``false`` for one attempt, or fields of :class:`asyncexec.Retry`."""

    timeout: Annotated[
        Any, PlainValidator(_policy("a number of seconds, or fields of Timeout"))
    ] = None
    """Seconds for each task, or fields of :class:`asyncexec.Timeout`."""

    straggler: Literal["two_phase", "off", "cubed", "late", "spark"] | None = None
    """The rule for backups of slow tasks."""

    barriers: bool | None = None
    """Whether a stage waits until those it reads are complete."""

    log_to_driver: bool | None = None
    """Whether what tasks in other processes log, warn of and print reaches the driver's logging; they do by default."""

    work_dir: str | None = None
    """The place of the values that a run keeps, a directory or a URL, which all workers reach."""

    storage_options: dict[str, Any] | None = Field(default=None, repr=False)
    """Arguments for opening ``work_dir`` and ``cache_dir`` where they are URLs; never shown."""

    keep_values: bool | None = None
    """Whether the values in ``work_dir`` stay after a run that has succeeded."""

    cache_dir: str | None = None
    """The place of the results of stages with ``cache="inputs"``; default: in ``work_dir``."""

    cache_bytes: Size | None = None
    """The size that the cache may have at the end of a run."""

    cache_seconds: Duration | None = None
    """The time after which a result in the cache that was not used is removed."""

    cluster_memory: dict[str, Any] | None = None
    """Settings of the memory that tasks share, fields of :class:`asyncexec.cluster_memory.MemorySettings`."""


class Settings(BaseSettings):
    """A whole configuration.

    >>> from asyncexec.config.settings import Settings
    >>> Settings(services={"compute": {"default_namespace": "weather"}}).services.compute.default_namespace
    'weather'
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    services: ServicesSettings = ServicesSettings()
    """The services; asyncexec has one of Flowdapt's."""

    storage: StorageSettings = StorageSettings()
    """The file system of artifacts."""

    database: DatabaseSettings = DatabaseSettings()
    """The database of records of runs."""

    logging: LoggingSettings = LoggingSettings()
    """Logging of the command line; a program of your own sets up logging itself."""

    engine: EngineSettings = EngineSettings()
    """Arguments of :class:`asyncexec.Engine`."""

    allow_targets: Annotated[tuple[str, ...], BeforeValidator(_patterns)] = ()
    """Dotted paths that ``target`` may import in addition to asyncexec's own: ``mypackage`` (with all in it) or
    ``mypackage.*.Backend``. Importing runs code."""

    LAYERS: ClassVar[str] = "layers"
    """The argument with the layers, the one that counts most last."""

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given: dict[str, Any] = getattr(init_settings, "init_kwargs", {})
        if cls.LAYERS not in given:
            return (init_settings,)
        return tuple(_LayerSource(settings_cls, layer) for layer in reversed(given[cls.LAYERS]))


class _LayerSource(PydanticBaseSettingsSource):
    """A layer, as pydantic-settings asks for it; it merges what its sources say."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._layer.values.get(field_name), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        return self._layer.values


def hidden_password(url: str) -> str:
    """Return a URL of a database with ``***`` for its password and its query, which may hold one."""
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    # By hand: a password with / or @ in it is no URL, and is to be hidden all the same.
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    place, query, _ = place.partition("?")
    return f"{scheme}://{user}{colon and f':{MASK}'}{at}{place}{query and f'?{MASK}'}"
