"""The options of the backend, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.backends.options import (
    environment,
    flag,
    memory_bytes,
    optional_text,
    seconds,
    text,
    texts,
    whole_number,
)
from asyncexec.errors import OptionError

NAME = "modal"
MIB = 2**20
LONGEST_CALL_SECONDS = 86_400
SPARE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the app is to be; secrets stay out of its repr.

    Attributes
    ----------
    app_name : str
    environment_name : str or None
    max_workers : int
        Containers at once.
    image : modal.Image or None
    pip, py_modules : tuple of str
        What to add to the image.
    function : mapping
        Keyword arguments of ``App.function``, but for image, secrets and environment variables.
    worker_bytes : int or None
        What a container has at least.
    """

    app_name: str
    environment_name: str | None
    max_workers: int
    image: Any = field(repr=False)
    pip: tuple[str, ...]
    py_modules: tuple[str, ...]
    function: Mapping[str, Any]
    worker_bytes: int | None
    env_vars: Mapping[str, str] = field(repr=False)
    secrets: tuple[Any, ...] = field(repr=False)
    client: Any = field(repr=False)


def checked(batch_limit: int, /, **given: Any) -> Settings:
    """Return the settings that the constructor's options mean.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    """
    workers = whole_number(given["max_workers"], executor=NAME, option="max_workers")
    worker_bytes = memory_bytes(given["memory"], executor=NAME, option="memory")
    function = {
        "cpu": None if given["cpus"] is None else _positive(given["cpus"], "cpus"),
        "memory": None if worker_bytes is None else max(math.ceil(worker_bytes / MIB), 1),
        "gpu": gpu_of(given["gpu"], given["gpus"]),
        "timeout": longest_call(given["timeout"], batch_limit),
        "max_containers": workers,
        "scaledown_window": None
        if given["scaledown_window"] is None
        else whole_number(
            given["scaledown_window"], executor=NAME, option="scaledown_window", least=2
        ),
        "region": _text_or_texts(given["region"], "region"),
        "cloud": optional_text(given["cloud"], executor=NAME, option="cloud"),
        "volumes": _volumes(given["volumes"]),
        "nonpreemptible": flag(given["nonpreemptible"], executor=NAME, option="nonpreemptible"),
    }
    return Settings(
        app_name=optional_text(given["app_name"], executor=NAME, option="app_name") or "asyncexec",
        environment_name=optional_text(
            given["environment_name"], executor=NAME, option="environment_name"
        ),
        max_workers=workers,
        image=given["image"],
        pip=texts(given["pip"], executor=NAME, option="pip"),
        py_modules=texts(given["py_modules"], executor=NAME, option="py_modules"),
        function={option: value for option, value in function.items() if value},
        worker_bytes=worker_bytes,
        env_vars=environment(given["env_vars"], executor=NAME),
        secrets=_secrets(given["secrets"]),
        client=given["client"],
    )


def longest_call(timeout: object, batch_limit: int) -> int:
    """Return the seconds after which Modal itself ends a call, so that it never does so before the engine has.

    The engine's timeout is for a task, Modal's for a call, which is a batch of them.
    """
    if timeout is None:
        return LONGEST_CALL_SECONDS
    limit = seconds(timeout, executor=NAME, option="timeout") * batch_limit + SPARE_SECONDS
    return LONGEST_CALL_SECONDS if limit >= LONGEST_CALL_SECONDS else math.ceil(limit)


def gpu_of(kind: object, count: object) -> str | list[str] | None:
    """Return how Modal wants GPUs to be asked for.

    Raises
    ------
    OptionError
        If the two options do not go together.
    """
    if count is not None:
        number = whole_number(count, executor=NAME, option="gpus", least=0)
        if kind is None:
            return f"any:{number}" if number else None
        if number == 0:
            raise OptionError(f"executor {NAME!r}: gpu={kind!r} and gpus=0 contradict each other")
        kinds = [_counted(each, number) for each in _kinds(kind)]
        return kinds[0] if len(kinds) == 1 else kinds
    if kind is None:
        return None
    kinds = _kinds(kind)
    return kinds[0] if len(kinds) == 1 else kinds


def _kinds(kind: object) -> list[str]:
    kinds = list(texts([kind] if isinstance(kind, str) else kind, executor=NAME, option="gpu"))
    if not kinds:
        raise OptionError(
            f"executor {NAME!r}: gpu must be a kind of GPU, such as 'A100', or several"
        )
    return kinds


def _counted(kind: str, number: int) -> str:
    if ":" in kind:
        raise OptionError(
            f"executor {NAME!r}: gpu={kind!r} says how many already; leave out gpus={number}"
        )
    return f"{kind}:{number}"


def _positive(value: object, option: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise OptionError(f"executor {NAME!r}: {option} must be a number above 0, not {value!r}")
    return float(value)


def _text_or_texts(value: object, option: str) -> str | list[str] | None:
    if isinstance(value, str):
        return text(value, executor=NAME, option=option)
    return list(texts(value, executor=NAME, option=option)) or None


def _volumes(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise OptionError(
            f"executor {NAME!r}: volumes must map paths to modal.Volumes, not {value!r}"
        )
    return dict(value)


def _secrets(value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        kind = type(value).__name__
        raise OptionError(
            f"executor {NAME!r}: secrets must be a list of names or modal.Secrets, not a {kind}"
        )
    return tuple(value)
