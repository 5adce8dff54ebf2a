"""Coiled: a Dask cluster of virtual machines in one's own cloud account, made for the run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask_cluster.backend import NATIVE_RETRY, ClusterBackend
from asyncexec.backends.dask_cluster.settings import DaskSettings, LentSettings
from asyncexec.backends.extras import need
from asyncexec.backends.options import environment, flag, seconds, whole_number
from asyncexec.errors import ConfigurationError, OptionError


class CoiledBackend(ClusterBackend):
    """Run tasks on the cluster of a Coiled function, which is shut down on leaving.

    Virtual machines come as work waits, and go when there has been none for half a minute.

    Parameters
    ----------
    max_workers : int
        The most virtual machines.
    min_workers : int
        The fewest, of which at least one is there from the beginning.
    threads : int
        Tasks at once on each. With 1, a running task that is cancelled is killed; otherwise it is given up.
    cpus : int, optional
        Cores of each virtual machine.
    memory : str, optional
        Memory of each (``"8GiB"``), which Coiled takes to within a tenth.
    gpus : bool
        Whether each has a GPU.
    vm_type : str or list of str, optional
        Instance types, instead of ``cpus`` and ``memory``.
    region, workspace, software, container : str, optional
        As in ``coiled.function``.
    name : str, optional
        Of the cluster; default: one that nobody else has.
    env_vars : mapping of str to str, optional
        Environment variables of the workers, sent past Coiled's own records.
    spot : bool
        Whether to take spot machines where there are any.
    idle_timeout : str
        After how long without work Coiled itself ends the cluster, should this process die.
    local : bool
        Coiled's way of trying things out: the cluster is on this machine. It asks for an account all the same.
    patience : float
        Seconds that work waits while there is no machine at all.

    Raises
    ------
    MissingExtraError
        If Coiled is not installed.
    OptionError
        If an option is not what it should be.
    ConfigurationError
        On entering, if there is no account, or Coiled does not accept it.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="coiled",
        kills=True,
        isolated=True,
        measures_memory=True,
        metered=True,
        batch_limit=512,
        loss_seconds=300.0,
        native_retry=NATIVE_RETRY,
        call_seconds=0.05,
    )

    def __init__(
        self,
        *,
        max_workers: int = 20,
        min_workers: int = 0,
        threads: int = 1,
        cpus: int | None = None,
        memory: str | None = None,
        gpus: bool = False,
        vm_type: str | list[str] | None = None,
        region: str | None = None,
        workspace: str | None = None,
        software: str | None = None,
        container: str | None = None,
        name: str | None = None,
        env_vars: Mapping[str, str] | None = None,
        spot: bool = True,
        idle_timeout: str = "20 minutes",
        local: bool = False,
        patience: float = 600.0,
    ) -> None:
        need("coiled", "coiled")
        most = whole_number(max_workers, executor="coiled", option="max_workers")
        least = whole_number(min_workers, executor="coiled", option="min_workers", least=0)
        if least > most:
            raise OptionError(
                f"executor 'coiled': min_workers ({least}) is more than max_workers ({most})"
            )
        threads = whole_number(threads, executor="coiled", option="threads")
        self._made = {
            "n_workers": max(1, least),
            "threads_per_worker": threads,
            "cpu": cpus,
            "memory": memory,
            "gpu": flag(gpus, executor="coiled", option="gpus") or None,
            "vm_type": vm_type,
            "region": region,
            "workspace": workspace,
            "software": software,
            "container": container,
            "name": name,
            "environ": environment(env_vars, executor="coiled"),
            "spot_policy": "spot_with_fallback"
            if flag(spot, executor="coiled", option="spot")
            else "on-demand",
            "idle_timeout": idle_timeout,
            "local": flag(local, executor="coiled", option="local"),
        }
        super().__init__(
            DaskSettings(
                source=LentSettings(make_cluster=self._make_cluster),
                name="coiled",
                kills=threads == 1,
                adaptive=(max(1, least), most),
                resources={"gpus": float(most)} if gpus else {},
                patience=seconds(patience, executor="coiled", option="patience"),
                metered=True,
            )
        )

    async def _make_cluster(self) -> Any:
        await check_account()
        # The client keeps the clusters of functions by name, and hands them out again when they have been closed.
        named = (
            self._made
            if self._made["name"]
            else {**self._made, "name": f"asyncexec-{uuid4().hex[:12]}"}
        )
        return await asyncio.to_thread(make_function_cluster, named)


async def check_account() -> None:
    """See that Coiled would let us in, since its client would otherwise ask on the terminal.

    Raises
    ------
    ConfigurationError
        If there is no token, or it is not accepted.
    """
    from coiled.errors import ServerError
    from coiled.exceptions import AuthenticationError, CoiledException
    from coiled.utils import handle_credentials
    from dask import config

    token = config.get("coiled.token", None)
    if not token:
        raise ConfigurationError(
            "executor 'coiled' needs a Coiled account, and no token is configured here: run `coiled login`, or set "
            "the environment variable DASK_COILED__TOKEN to a token from https://cloud.coiled.io/profile"
        )
    try:
        await handle_credentials(
            token=token, save=False, retry=False, print_invalid_token_messages=False
        )
    except AuthenticationError:
        raise ConfigurationError(
            "executor 'coiled': Coiled does not accept the token that is configured here: run `coiled login` again"
        ) from None
    except (OSError, ServerError, CoiledException, ValueError) as error:
        raise ConfigurationError(
            f"executor 'coiled': the token cannot be checked with {config.get('coiled.server', None)!r}: {error}"
        ) from error


def make_function_cluster(options: Mapping[str, Any]) -> Any:
    """Return the cluster that a Coiled function with these options runs on; blocks while it is made."""
    import coiled

    function: Any = coiled.function(**options)
    return function(_nothing).cluster


def _nothing() -> None:
    """Stand for the tasks: what runs on the cluster is sent to it by Dask, not by the function."""
