"""Lithops as a backend: functions on AWS Lambda, Google Cloud, Azure, Kubernetes …, or processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import ClassVar

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.lithops_jobs.settings import ConfigLike, settings_of
from asyncexec.backends.lithops_jobs.system import LithopsSystem
from asyncexec.backends.options import (
    environment,
    mapping,
    optional_text,
    seconds,
    texts,
    whole_number,
)
from asyncexec.errors import OptionError

_NAME = "lithops"


class LithopsBackend(BlockingBackend):
    """Run tasks with `Lithops <https://lithops-cloud.github.io>`_.

    A batch of tasks is one call of Lithops, and all the calls that are ready go as one job. What Lithops is configured
    for is where they run; where nothing is configured, that is this machine.

    Parameters
    ----------
    config : mapping or path, optional
        Lithops' configuration, or a file with it; default: where Lithops looks for one (the variable
        ``LITHOPS_CONFIG_FILE``, ``.lithops_config``, ``~/.lithops/config`` …).
    backend : str, optional
        Lithops' compute backend, such as "aws_lambda"; default: the configuration's.
    storage : str, optional
        Lithops' storage backend, such as "aws_s3"; default: the configuration's.
    max_workers : int, optional
        How many calls to run at once; default: what the configuration says; on this machine, one for each core.
    runtime : str, optional
        The container image, or on this machine the Python interpreter, to run in.
    runtime_memory : int, optional
        Memory of a worker in megabytes, where Lithops sets it. Plans that are allowed more are refused.
    env_vars : mapping of str to str, optional
        Environment variables of the tasks.
    include_modules : sequence of str, optional
        Modules to send along; they, like asyncexec itself, are otherwise expected in the runtime.
    timeout : float, optional
        Seconds that a task may take. Lithops is told as well, so that it ends calls which only it can end.
    batch_limit : int
        How many tasks may go into one call.
    patience : float
        Seconds that work waits while given-up tasks hold every worker, before Lithops counts as broken.

    Raises
    ------
    OptionError
        If an option is not what it should be, or Lithops does not take its configuration.
    MissingExtraError
        If Lithops is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        kills=True,
        local=True,
        isolated=True,
        measures_memory=True,
        batch_limit=1_000,
        tells_progress=False,
        loss_seconds=3.0,
        native_retry="only through RetryingFunctionExecutor, which is not used",
        call_seconds=0.4,
    )

    def __init__(
        self,
        *,
        config: ConfigLike = None,
        backend: str | None = None,
        storage: str | None = None,
        max_workers: int | None = None,
        runtime: str | None = None,
        runtime_memory: int | None = None,
        env_vars: Mapping[str, str] | None = None,
        include_modules: Sequence[str] | None = None,
        timeout: float | None = None,
        batch_limit: int = 1_000,
        patience: float = 60.0,
    ) -> None:
        need(_NAME, "lithops")
        for option, value in (("max_workers", max_workers), ("runtime_memory", runtime_memory)):
            if value is not None:
                whole_number(value, executor=_NAME, option=option)
        settings = settings_of(
            config=_checked_config(config),
            backend=optional_text(backend, executor=_NAME, option="backend"),
            storage=optional_text(storage, executor=_NAME, option="storage"),
            max_workers=max_workers,
            runtime=optional_text(runtime, executor=_NAME, option="runtime"),
            runtime_memory=runtime_memory,
            env_vars=environment(env_vars, executor=_NAME),
            include_modules=None
            if include_modules is None
            else texts(include_modules, executor=_NAME, option="include_modules"),
            timeout=None if timeout is None else seconds(timeout, executor=_NAME, option="timeout"),
        )
        if runtime_memory is not None and settings.memory_bytes is None:
            raise OptionError(
                f"executor 'lithops': on {settings.place!r} Lithops does not set the memory of a "
                f"worker, so runtime_memory means nothing there"
            )
        limit = whole_number(batch_limit, executor=_NAME, option="batch_limit")
        capabilities = settings.capabilities(self.features, batch_limit=limit)
        super().__init__(
            LithopsSystem(settings, capabilities),
            patience=seconds(patience, executor=_NAME, option="patience"),
        )


def _checked_config(config: ConfigLike) -> ConfigLike:
    if config is None or isinstance(config, str | os.PathLike):
        return config
    return mapping(config, executor=_NAME, option="config")
