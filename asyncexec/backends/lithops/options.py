"""The options of the executor ``lithops``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from asyncexec.backends.option_fields import check_options
from asyncexec.config.checks import Count, EnvVars, Seconds, Texts, mapping

type ConfigLike = Mapping[str, Any] | str | os.PathLike[str]


def _config(value: object, where: str) -> ConfigLike:
    if isinstance(value, str | os.PathLike):
        return value
    return mapping(value, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class LithopsOptions:
    """Options of the executor ``lithops``."""

    config: Annotated[ConfigLike, _config] | None = field(default=None, repr=False)
    """Lithops' configuration, or a file with it; default: where Lithops looks for one (the variable
    ``LITHOPS_CONFIG_FILE``, ``.lithops_config``, ``~/.lithops/config`` …)."""

    backend: str | None = None
    """Lithops' compute backend, such as "aws_lambda"; default: the configuration's."""

    storage: str | None = None
    """Lithops' storage backend, such as "aws_s3"; default: the configuration's."""

    max_workers: Count | None = None
    """How many calls to run at once; default: what the configuration says; on this machine, one for each core."""

    runtime: str | None = None
    """The container image, or on this machine the Python interpreter, to run in."""

    runtime_memory: Count | None = None
    """Memory of a worker in megabytes, where Lithops sets it. Plans that are allowed more are refused."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of the tasks."""

    include_modules: Texts | None = None
    """Modules to send along; they, like asyncexec itself, are otherwise expected in the runtime."""

    timeout: Seconds | None = None
    """Seconds that a task may take. Lithops is told as well, so that it ends calls which only it can end."""

    start_timeout: Seconds = 300.0
    """Seconds that Lithops may take to start on entering: to reach its storage, and to make a runtime."""

    batch_limit: Count = 1_000
    """How many tasks may go into one call."""

    patience: Seconds = 60.0
    """Seconds that work waits while given-up tasks hold every worker, before Lithops counts as broken."""

    def __post_init__(self) -> None:
        check_options(self, executor="lithops")
