"""Calls to workers elsewhere, for systems with an async API: packed, sent, unpacked.

A system says how bytes travel, as one of two things. ``send`` has a call made and returns what it returned, when it has
ended. ``stream`` has :meth:`RemoteBatch.frames` iterated over there, and yields the frames here as they come, so that
starts and outcomes within a batch are known while it runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.contract import AttemptSpec, Batch, StageProgram, Started
from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_outcomes, decode_reports
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

type Send = Callable[[RemoteBatch], Awaitable[bytes]]
type Stream = Callable[[RemoteBatch], AsyncIterable[bytes]]


class RemoteCaller:
    """Packs batches, ships each program once, and unpacks what comes back; one for each system that is open."""

    def __init__(self) -> None:
        self._packer = Packer()

    async def call(self, batch: Batch, progress: CallContext, send: Send) -> Sequence[Outcome]:
        """Run ``batch`` by one call, and return its outcomes; raises what ``send`` raises."""
        jobs: Sequence[AttemptSpec] = batch.jobs
        for send_program in (False, True):
            call = self._pack(batch.program, jobs, progress, send_program=send_program)
            if call is None or not call.jobs:
                return ()
            answer = await send(call)
            if answer != NEEDS_PROGRAM:
                self._packer.delivered(batch.program)
                return decode_outcomes(answer)
            jobs = [job for job in jobs if job.attempt in progress.owed]
        raise BackendError("a worker that was sent a program says that it needs it")

    async def stream(
        self, batch: Batch, progress: CallContext, stream: Stream
    ) -> Sequence[Outcome]:
        """Run ``batch`` by one call whose frames come while it runs; raises what ``stream`` raises."""
        jobs: Sequence[AttemptSpec] = batch.jobs
        for send_program in (False, True):
            call = self._pack(batch.program, jobs, progress, send_program=send_program)
            if call is None or not call.jobs or await _follow(call, progress, stream):
                self._packer.delivered(batch.program)
                return ()
            jobs = [job for job in jobs if job.attempt in progress.owed]
        raise BackendError("a worker that was sent a program says that it needs it")

    def _pack(
        self,
        program: StageProgram,
        jobs: Sequence[AttemptSpec],
        progress: CallContext,
        *,
        send_program: bool,
    ) -> RemoteBatch | None:
        """Return the call, and settle what cannot travel; None if nothing can."""
        try:
            call, failed = self._packer.pack(program, jobs, send_program=send_program)
        except SerializationError as error:
            told = describe(error, keep=True)
            progress.ended(*[Outcome(j.attempt, Status.FAILED, error=told) for j in jobs])
            return None
        progress.ended(*failed)
        return call


async def _follow(call: RemoteBatch, progress: CallContext, stream: Stream) -> bool:
    """Pass on what the frames say; False if the worker wants the program."""
    async for frame in stream(call):
        if frame == NEEDS_PROGRAM:
            return False
        for report in decode_reports(frame):
            if isinstance(report, Started):
                progress.started(report.attempt, report.worker)
            else:
                progress.ended(report)
    return True
