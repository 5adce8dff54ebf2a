"""The ``ray`` executor: tasks on a Ray of this machine, of a cluster, or one that runs in this process already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import ClassVar

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.calls import CallsBackend
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.ray.actor_options import ActorOptions
from asyncexec.backends.ray.attempt_file import AttemptFiles
from asyncexec.backends.ray.memory import RayMemoryHost
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.reachability import check_reachable
from asyncexec.backends.ray.resources import Nodes, ResourceRequest, resource_request
from asyncexec.backends.ray.session import (
    RaySession,
    acquire_session,
    inspect_cluster,
    release_connection,
)
from asyncexec.backends.ray.tasks import SHUT_DOWN, RayTasks, check_ray_workers, classify_error
from asyncexec.backends.ray.values import RayValues
from asyncexec.cluster_memory.settings import MemorySettings
from asyncexec.errors import BackendError, MissingExtraError, ResourceError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.attempt import describe

BATCH_LIMIT = 512
REFRESH_SECONDS = 10.0


class RayBackend(CallsBackend):
    """Run tasks as Ray tasks.

    A Ray that runs in this process already is used and left running. Otherwise the engine connects to the cluster at
    ``cluster_address`` (or ``RAY_ADDRESS`` of the environment); without an address, it starts a Ray on loopback, and
    ends it on leaving. Stages request resources (``{"cpus": 2, "gpus": 1}`` and custom ones), which are passed to Ray
    with each task; a task takes one CPU unless its stage says otherwise. A request that no node can meet is an error at
    once.

    Its options are the fields of :class:`RayOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed.
    MissingExtraError
        If Ray is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="ray",
        kills=True,
        locality=Locality.SAME_HOST,
        isolated=True,
        measures_memory=True,
        batch_limit=BATCH_LIMIT,
        loss_seconds=5.0,
        native_retry="tasks whose worker died, 3 times; off by max_retries=0",
        call_seconds=0.003,
        overlaps=True,
    )

    @takes_options(RayOptions)
    def __init__(self, options: RayOptions) -> None:
        require_extra("ray")
        if options.dashboard_port is not None and find_spec("aiohttp_cors") is None:
            raise MissingExtraError(
                "executor 'ray': dashboard_port needs more of Ray than is installed. Install it: "
                'pip install "ray[default]"'
            )
        self._options = options
        self._ray = RaySystem(options, self.features)
        super().__init__(self._ray)

    @property
    def value_store(self) -> RayValues | None:
        """The large values in Ray's object store, while the context is open."""
        return self._ray.values

    def memory_host(self, settings: MemorySettings) -> RayMemoryHost:
        """Return the place of cluster memories: an actor, which takes resources only if its options were given."""
        import ray

        if not ray.is_initialized():
            raise BackendError(SHUT_DOWN)  # Otherwise Ray would start another by itself.
        return RayMemoryHost(self._options.actor or ActorOptions(num_cpus=0), settings.quota_bytes)


class RaySystem:
    """Ray as a call system: batches are Ray tasks."""

    def __init__(self, options: RayOptions, features: Capabilities) -> None:
        self.capabilities = replace(
            features,
            locality=_locality(here=options.address is None),
            guarantees_memory=options.limits,
            worker_bytes=options.most_task_bytes,
            budget_bytes=options.memory_bytes,
            batch_limit=1 if options.max_tasks_per_worker else features.batch_limit,
            opening_seconds=options.opening_seconds,
            opening_advice="No worker starts: look at the cluster, and at pip, conda, working_dir and py_modules",
        )
        self.slots = options.max_workers or 1
        self._options = options
        self._features = features
        self._session: RaySession | None = None
        self._thread: SystemThread | None = None
        self._nodes = Nodes()
        self._resource_names: frozenset[str] = frozenset()
        self._refreshed_at = 0.0
        self._tasks = RayTasks()
        self._files = AttemptFiles()
        self._caller = RemoteCaller()

    async def open(self) -> None:
        limit = self._options.connect_timeout
        await check_reachable(self._options.address, limit)
        try:
            async with asyncio.timeout(limit):
                self._thread, session = await SystemThread.opened(
                    "ray", partial(acquire_session, self._options), undo=_release
                )
                self._session = session
        except TimeoutError as error:
            where = "start" if (a := self._options.address) is None else f"connect to {a!r}"
            raise BackendError(
                f"executor 'ray': Ray did not {where} within {limit:g} s, and was given up. Give it longer "
                f"(connect_timeout), or look at the logs of the cluster"
            ) from error
        self._update_capabilities()
        try:
            self._tasks = RayTasks(self._options, self._thread)
            self._caller = RemoteCaller()
            self._files.open(here=self.capabilities.locality.on_this_host)
            await check_ray_workers(self._tasks)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    def _update_capabilities(self) -> None:
        """Update capabilities and slots from the session."""
        if self._session is None:
            return
        session, nodes = self._session, self._session.nodes
        self._nodes, self._refreshed_at = nodes, time.monotonic()
        # A node that has gone may come back, so its resources stay Ray's to hand out.
        self._resource_names |= nodes.named.keys()
        resources = self._options.left_for_tasks(nodes.named)
        self.slots = self._options.max_workers or max(1, int(resources["cpus"]))
        self.capabilities = replace(
            self.capabilities,
            locality=_locality(here=session.local),
            # A worker that dies is noticed at once; a machine that dies, by Ray's health checks.
            loss_seconds=self._features.loss_seconds if session.local else 60.0,
            worker_bytes=self._options.most_task_bytes or int(nodes.largest("memory")) or None,
            resources=resources,
        )

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        share = self._options.task_bytes(self.slots)
        request = resource_request(batch.program, memory_bytes=share, known=self._resource_names)
        if time.monotonic() - self._refreshed_at > REFRESH_SECONDS or not self._nodes.fit(request):
            await self._refresh_nodes()
        if not self._nodes.fit(request):
            return _refused(batch, self._nodes.shortage(request))
        rest = batch.jobs
        while rest:
            sent = len(rest)
            # Reports from now on are about another call.
            context.running = None
            await self._once(Batch(batch.program, rest), context, request)
            rest = [job for job in rest if job.attempt in context.pending]
            if len(rest) == sent:
                break  # Nothing was reported: the adapter reports them as lost.
        return ()

    async def _refresh_nodes(self) -> None:
        """Fetch the nodes of the cluster, as machines may have come or gone."""
        if self._session is None or self._thread is None:
            return
        self._refreshed_at = (
            time.monotonic()
        )  # Set first, so that other calls do not refresh as well.
        try:
            found = await self._thread.run(partial(_refreshed, self._session))
        except Exception as error:
            raise classify_error(error) from error
        if self._session is not None:
            self._session = found
            self._update_capabilities()

    async def _once(self, batch: Batch, context: CallContext, request: ResourceRequest) -> None:
        """Run a batch to its end, or to the end of the first attempt whose start was reported (see ``worker_side``)."""
        record = self._files.path()
        try:
            run = partial(self._tasks.run, record=record, request=request)
            await self._caller.stream(batch, context, run)
        except Exception as error:
            if (ran := self._files.running(record)) is not None and context.running != ran:
                context.started(ran.attempt, ran.worker)
            raise classify_error(error) from error
        finally:
            self._files.remove(record)

    @property
    def values(self) -> RayValues | None:
        """The large values of this session."""
        return None if self._session is None else self._tasks.values

    async def close(self) -> None:
        session, self._session = self._session, None
        thread, self._thread = self._thread, None
        self._tasks.values.close()
        self._tasks = RayTasks()
        self._files.close()
        if thread is not None and session is not None:
            await thread.close(partial(release_connection, session.connection))


def _release(session: RaySession) -> None:
    """Release the connection of a session that came too late."""
    release_connection(session.connection)


def _refreshed(session: RaySession) -> RaySession:
    return replace(session, **inspect_cluster())


def _refused(batch: Batch, why: str) -> list[Outcome]:
    """Return failures of the whole batch, with the resources that no node has."""
    stage = f"stage {batch.program.stage!r} of plan {batch.program.plan!r}"
    info = describe(ResourceError(f"{stage}: {why}"), keep=True)
    return [Outcome(job.attempt, Status.FAILED, error=info) for job in batch.jobs]


def _locality(*, here: bool) -> Locality:
    return Locality.SAME_HOST if here else Locality.ELSEWHERE
