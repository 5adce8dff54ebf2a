"""The options of the executor ``modal``, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import (
    Count,
    CountFromZero,
    EnvVars,
    Memory,
    Seconds,
    TextOrTexts,
    Texts,
    amount,
    bytes_of,
    text_or_texts,
    whole_number,
)
from asyncexec.errors import OptionError

NAME = "modal"
MIB = 2**20
LONGEST_CALL_SECONDS = 86_400
SPARE_SECONDS = 60


def _kinds(value: object, where: str) -> str | tuple[str, ...]:
    kinds = text_or_texts(value, where)
    if not kinds:
        raise OptionError(f"{where} must be a kind of GPU, such as 'A100', or several")
    return kinds


def _secrets(value: object, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        kind = type(value).__name__
        raise OptionError(f"{where} must be a list of names or modal.Secrets, not a {kind}")
    return tuple(value)


def _volumes(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise OptionError(f"{where} must map paths to modal.Volumes, not {value!r}")
    return dict(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalOptions:
    """Options of the executor ``modal``."""

    max_workers: Count = 100
    """Containers at once."""

    app_name: str = "asyncexec"
    """What the app is called at Modal."""

    environment_name: str | None = None
    """Modal's environment to run in."""

    image: Any = field(default=None, repr=False)
    """A ``modal.Image``, what containers have installed: Python of the driver's minor version, and asyncexec. By
    default, Debian with what asyncexec needs, in the driver's versions, and the driver's own asyncexec."""

    pip: Texts | None = None
    """Requirements to install into the image."""

    py_modules: Texts | None = None
    """Packages of the driver's to put into the image, by import name."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of the tasks."""

    secrets: Annotated[Sequence[Any], _secrets] | None = field(default=None, repr=False)
    """Secrets that tasks find in their environment, by name or as they are."""

    cpus: Annotated[float, partial(amount, above_zero=True)] | None = None
    """Cores of a container."""

    memory: Memory | None = None
    """Memory that a container has at least (``"2GB"``, bytes); under Linux's own kernel, the most that a
    task may hold."""

    gpu: Annotated[str | Sequence[str], _kinds] | None = None
    """Kind of GPU, as Modal writes it (``"A100"``, ``"H100:2"``); of several kinds, any will do."""

    gpus: CountFromZero | None = None
    """How many GPUs a container has."""

    region: TextOrTexts | None = None
    """Where containers run."""

    cloud: str | None = None
    """Whose they are: ``"aws"``, ``"gcp"``, ``"oci"``."""

    volumes: Annotated[Mapping[str, Any], _volumes] | None = None
    """What is mounted where."""

    nonpreemptible: bool = False
    """Whether containers are not taken away for others, which costs more."""

    scaledown_window: Annotated[int, partial(whole_number, least=2)] | None = None
    """Seconds that a container may be idle."""

    timeout: Seconds | None = None
    """Seconds that one task may run; the engine ends it then."""

    batch_limit: Count = 1000
    """How many tasks may go into one call."""

    connect_timeout: Seconds = 30.0
    """Seconds that Modal's server may take to answer."""

    start_timeout: Seconds = 1800.0
    """Seconds that the app may take to start, with the image that Modal builds for it."""

    client: Any = field(default=None, repr=False)
    """A ``modal.Client`` to use, which stays the caller's."""

    def __post_init__(self) -> None:
        check_options(self, executor=NAME)
        gpu_of(self.gpu, self.gpus)

    @property
    def memory_bytes(self) -> int | None:
        """The memory that a container has at least, in bytes."""
        return bytes_of(self.memory)

    def function_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``App.function``, except image, secrets and environment variables."""
        size = self.memory_bytes
        arguments = {
            "cpu": self.cpus,
            "memory": None if size is None else max(math.ceil(size / MIB), 1),
            "gpu": gpu_of(self.gpu, self.gpus),
            "timeout": longest_call(self.timeout, self.batch_limit),
            "max_containers": self.max_workers,
            "scaledown_window": self.scaledown_window,
            "region": self.region if isinstance(self.region, str) else list(self.region or ()),
            "cloud": self.cloud,
            "volumes": dict(self.volumes or {}),
            "nonpreemptible": self.nonpreemptible,
        }
        return {name: value for name, value in arguments.items() if value}


def longest_call(timeout: float | None, batch_limit: int) -> int:
    """Return the seconds after which Modal itself ends a call: never before the engine has ended its tasks.

    The engine's timeout is for a task, Modal's for a call, which is a batch of them.
    """
    if timeout is None:
        return LONGEST_CALL_SECONDS
    limit = timeout * batch_limit + SPARE_SECONDS
    return LONGEST_CALL_SECONDS if limit >= LONGEST_CALL_SECONDS else math.ceil(limit)


def gpu_of(kind: str | Sequence[str] | None, count: int | None) -> str | list[str] | None:
    """Return the request for GPUs in Modal's notation; raises OptionError if the two options do not go together."""
    if kind is None:
        return f"any:{count}" if count else None
    if count == 0:
        raise OptionError(f"executor {NAME!r}: gpu={kind!r} and gpus=0 contradict each other")
    kinds = [kind] if isinstance(kind, str) else list(kind)
    if count is not None:
        kinds = [_counted(each, count) for each in kinds]
    return kinds[0] if len(kinds) == 1 else kinds


def _counted(kind: str, number: int) -> str:
    if ":" in kind:
        raise OptionError(
            f"executor {NAME!r}: gpu={kind!r} says how many already; leave out gpus={number}"
        )
    return f"{kind}:{number}"
