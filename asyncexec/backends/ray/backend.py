"""Tasks on Ray: on this machine, on a cluster, or on a Ray that runs in this process already."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import anyio

from asyncexec.backends.adapters.calls import CallContext, CallsBackend
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.extras import need
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.ray.connect import check_reachable
from asyncexec.backends.ray.options import RayOptions
from asyncexec.backends.ray.record import Records
from asyncexec.backends.ray.remote import Remote, as_lost, probe
from asyncexec.backends.ray.resources import Demand, Nodes, demand_of
from asyncexec.backends.ray.session import Session, join, leave, look
from asyncexec.errors import ResourceError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.attempt import describe

BATCH_LIMIT = 512
LOOK_SECONDS = 10.0


class RayBackend(CallsBackend):
    """Run tasks as Ray tasks.

    A Ray that runs in this process already is used and left running. Otherwise the cluster at ``cluster_address`` (or
    ``RAY_ADDRESS`` of the environment) is connected to; without an address, a Ray is started on loopback, and ended on
    leaving. Stages ask for resources (``{"cpus": 2, "gpus": 1}`` and custom
    ones), which go to Ray with each task; a task takes one CPU unless its stage says otherwise. What no node has is an
    error at once.

    Its options are the fields of :class:`RayOptions`.

    Raises
    ------
    OptionError
        If an option is not what it should be.
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
    )

    @takes_options(RayOptions)
    def __init__(self, options: RayOptions) -> None:
        need("ray")
        super().__init__(_Ray(options, self.features))


class _Ray:
    """Ray as a system that is called."""

    def __init__(self, options: RayOptions, features: Capabilities) -> None:
        self.capabilities = replace(
            features,
            locality=_locality(here=options.address is None),
            worker_bytes=options.memory_bytes,
        )
        self.slots = options.max_workers or 1
        self._options = options
        self._features = features
        self._session: Session | None = None
        self._thread: SystemThread | None = None
        self._nodes = Nodes()
        self._looked_at = 0.0
        self._remote = Remote()
        self._records = Records()
        self._caller = RemoteCaller()

    async def open(self) -> None:
        await check_reachable(self._options.address)
        thread = SystemThread("ray")
        # Ray cannot be interrupted while it starts.
        with anyio.CancelScope(shield=True):
            try:
                session = await thread.run(partial(join, self._options))
            except BaseException:
                thread.end()
                raise
            self._session, self._thread = session, thread
            self._know()
        try:
            self._remote = Remote(self._options, thread)
            self._caller = RemoteCaller()
            self._records.open(here=self.capabilities.locality.on_this_host)
            await probe(self._remote)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    def _know(self) -> None:
        """Take note of what the session has."""
        if self._session is None:
            return
        session, nodes = self._session, self._session.nodes
        self._nodes, self._looked_at = nodes, time.monotonic()
        self.slots = self._options.max_workers or max(1, int(nodes.total("CPU")))
        self.capabilities = replace(
            self._features,
            locality=_locality(here=session.local),
            # A worker that dies is noticed at once; a machine that does, by Ray's health checks.
            loss_seconds=self._features.loss_seconds if session.local else 60.0,
            worker_bytes=self._options.memory_bytes or int(nodes.most("memory")) or None,
            resources=nodes.named,
        )

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        demand = demand_of(batch.program, memory_bytes=self._options.memory_bytes or 0)
        if time.monotonic() - self._looked_at > LOOK_SECONDS or not self._nodes.fit(demand):
            await self._look()
        if not self._nodes.fit(demand):
            return _refused(batch, self._nodes.why_not(demand))
        rest = batch.jobs
        while rest:
            sent = len(rest)
            # What is told from now on is about another call.
            context.running = None
            await self._once(Batch(batch.program, rest), context, demand)
            rest = [job for job in rest if job.attempt in context.pending]
            if len(rest) == sent:
                break  # It says nothing of them, so they are lost.
        return ()

    async def _look(self) -> None:
        """See which machines have come and gone."""
        if self._session is None or self._thread is None:
            return
        self._looked_at = time.monotonic()  # The other calls need not look as well.
        try:
            found = await self._thread.run(partial(_found, self._session))
        except Exception as error:
            raise as_lost(error) from error
        if self._session is not None:
            self._session = found
            self._know()

    async def _once(self, batch: Batch, context: CallContext, demand: Demand) -> None:
        """Run a batch until its end, or until after a task that took long."""
        record = self._records.path()
        try:
            run = partial(self._remote.run, record=record, demand=demand)
            await self._caller.stream(batch, context, run)
        except Exception as error:
            if (ran := self._records.running(record)) is not None and context.running != ran:
                context.started(ran.attempt, ran.worker)
            raise as_lost(error) from error
        finally:
            self._records.forget(record)

    async def close(self) -> None:
        session, self._session = self._session, None
        thread, self._thread = self._thread, None
        self._remote = Remote()
        self._records.close()
        if thread is not None:
            try:
                if session is not None:
                    await thread.run(partial(leave, session.connection))
            finally:
                thread.end()


def _found(session: Session) -> Session:
    return replace(session, **look())


def _refused(batch: Batch, why: str) -> list[Outcome]:
    """Return failures that say what no node has."""
    stage = f"stage {batch.program.stage!r} of plan {batch.program.plan!r}"
    told = describe(ResourceError(f"{stage}: {why}"), keep=True)
    return [Outcome(job.attempt, Status.FAILED, error=told) for job in batch.jobs]


def _locality(*, here: bool) -> Locality:
    return Locality.SAME_HOST if here else Locality.ELSEWHERE
