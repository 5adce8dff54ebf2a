"""The ``coiled`` executor: a Dask cluster of virtual machines in the user's cloud account, made for the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

import anyio

from asyncexec.backends.adapters.system_thread import call_abandonably
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.dask.backend import NATIVE_RETRY, ClusterBackend
from asyncexec.backends.dask.options import DaskOptions
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import check_options, takes_options
from asyncexec.config.checks import Count, CountFromZero, EnvVars, Seconds, TextOrTexts
from asyncexec.errors import ConfigurationError, OptionError

ACCOUNT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CoiledOptions:
    """Options of the executor ``coiled``."""

    max_workers: Count = 20
    """The most virtual machines."""

    min_workers: CountFromZero = 0
    """The fewest, of which at least one is there from the beginning."""

    threads: Count = 1
    """Tasks at once on each. With 1, a running task that is cancelled is killed; otherwise it is given up."""

    cpus: Count | None = None
    """Cores of each virtual machine."""

    memory: str | None = None
    """Memory of each (``"8GiB"``), which Coiled takes to within a tenth."""

    gpus: bool = False
    """Whether each has a GPU."""

    vm_type: TextOrTexts | None = None
    """Instance types, instead of ``cpus`` and ``memory``."""

    region: str | None = None
    """As in ``coiled.function``."""

    workspace: str | None = None
    """As in ``coiled.function``."""

    software: str | None = None
    """As in ``coiled.function``."""

    container: str | None = None
    """As in ``coiled.function``."""

    name: str | None = None
    """Of the cluster; default: one that nobody else has."""

    env_vars: EnvVars | None = field(default=None, repr=False)
    """Environment variables of the workers, sent past Coiled's own records."""

    spot: bool = True
    """Whether to take spot machines where there are any."""

    idle_timeout: str = "20 minutes"
    """After how long without work Coiled itself ends the cluster, should this process die."""

    local: bool = False
    """Coiled's way of trying things out: the cluster is on this machine. It asks for an account all the same."""

    start_timeout: Seconds = 900.0
    """Seconds that Coiled may take to make the cluster."""

    patience: Seconds = 600.0
    """Seconds that work waits while there is no machine at all."""

    def __post_init__(self) -> None:
        check_options(self, executor="coiled")
        if self.min_workers > self.max_workers:
            raise OptionError(
                f"executor 'coiled': min_workers ({self.min_workers}) is more than max_workers ({self.max_workers})"
            )


class CoiledBackend(ClusterBackend):
    """Run tasks on the cluster of a Coiled function, which is shut down on leaving.

    Virtual machines are started while work waits, and ended after half a minute without any.

    Its options are the fields of :class:`CoiledOptions`.

    Raises
    ------
    MissingExtraError
        If Coiled is not installed.
    OptionError
        If the value of an option is not allowed.
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
        overlaps=True,
    )

    @takes_options(CoiledOptions)
    def __init__(self, options: CoiledOptions) -> None:
        require_extra("coiled")
        least, most = max(1, options.min_workers), options.max_workers
        self._made = {
            "n_workers": least,
            "threads_per_worker": options.threads,
            "cpu": options.cpus,
            "memory": options.memory,
            "gpu": options.gpus or None,
            "vm_type": list(vm) if isinstance(vm := options.vm_type, tuple) else vm,
            "region": options.region,
            "workspace": options.workspace,
            "software": options.software,
            "container": options.container,
            "name": options.name,
            "environ": options.env_vars or {},
            "spot_policy": "spot_with_fallback" if options.spot else "on-demand",
            "idle_timeout": options.idle_timeout,
            "local": options.local,
        }
        cluster = DaskOptions(
            cluster=self._make_cluster,
            kill_workers=options.threads == 1,
            adaptive=(least, most),
            gpus=most if options.gpus else None,
            patience=options.patience,
            start_timeout=options.start_timeout,
        )
        super().__init__(cluster, self.features)

    async def _make_cluster(self) -> Any:
        await check_account()
        # Coiled's client caches the clusters of functions by name, and returns them even after they have been closed.
        named = (
            self._made
            if self._made["name"]
            else {**self._made, "name": f"asyncexec-{uuid4().hex[:12]}"}
        )
        return await call_abandonably(
            partial(make_function_cluster, named), name="asyncexec-coiled", undo=_close
        )


async def check_account() -> None:
    """Check the Coiled token, because Coiled's client would ask for one on the terminal.

    Raises
    ------
    ConfigurationError
        If there is no token, or it is not accepted.
    """
    from coiled.exceptions import AuthenticationError
    from coiled.utils import handle_credentials
    from dask import config

    token = config.get("coiled.token", None)
    if not token:
        raise ConfigurationError(
            "executor 'coiled' needs a Coiled account, and no token is configured here: run `coiled login`, or set "
            "the environment variable DASK_COILED__TOKEN to a token from https://cloud.coiled.io/profile"
        )
    try:
        with anyio.fail_after(ACCOUNT_SECONDS):
            await handle_credentials(
                token=token, save=False, retry=False, print_invalid_token_messages=False
            )
    except AuthenticationError:
        raise ConfigurationError(
            "executor 'coiled': Coiled does not accept the token that is configured here: run `coiled login` again"
        ) from None
    except Exception as error:  # Coiled's own, its HTTP client's, or no answer in time
        raise ConfigurationError(
            f"executor 'coiled': the token cannot be checked with {config.get('coiled.server', None)!r}: "
            f"{str(error) or f'no answer within {ACCOUNT_SECONDS:g} s'}"
        ) from error


def make_function_cluster(options: Mapping[str, Any]) -> Any:
    """Make the cluster that a Coiled function with these options runs on; blocks until it is there."""
    import coiled

    function: Any = coiled.function(**options)
    return function(_nothing).cluster


def _close(cluster: Any) -> None:
    """End a cluster that came after its engine had been given up; blocks."""
    cluster.close()


def _nothing() -> None:
    """Do nothing; tasks are sent to the cluster by Dask, not through this function."""
