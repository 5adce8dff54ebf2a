"""Pack batches, send them to remote workers and unpack the answers, for systems with an async API.

A system transports bytes in one of two ways. ``send`` has the batch called on a worker, and returns the bytes that it
returned. ``stream`` has :meth:`RemoteBatch.frames` iterated on a worker, and yields the frames as they arrive, so that
starts and outcomes are known while the batch runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.contract import AttemptSpec, Batch, Note, StageProgram
from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

type Send = Callable[[RemoteBatch], Awaitable[bytes]]
type Stream = Callable[[RemoteBatch], AsyncIterable[bytes]]


class RemoteCaller:
    """Packs batches, ships each program once, and unpacks answers; an open system has one.

    Parameters
    ----------
    memory_bytes : int, optional
        What a worker may hold while it runs a batch, where its own process is to see to that.
    """

    def __init__(self, *, memory_bytes: int | None = None) -> None:
        self._packer = Packer(memory_bytes=memory_bytes)

    async def call(self, batch: Batch, context: CallContext, send: Send) -> Sequence[Outcome]:
        """Run ``batch`` by one call, and return its outcomes; raises what ``send`` raises."""
        for call in self._calls(batch, context):
            answer = await send(call)
            if answer != NEEDS_PROGRAM:
                self._packer.delivered(batch.program)
                reports = decode_reports(answer)
                context.noted(*[report for report in reports if isinstance(report, Note)])
                return [report for report in reports if isinstance(report, Outcome)]
        return ()

    async def stream(self, batch: Batch, context: CallContext, stream: Stream) -> Sequence[Outcome]:
        """Run ``batch`` by one call whose frames come while it runs; raises what ``stream`` raises."""
        for call in self._calls(batch, context):
            if await _follow(call, context, stream):
                self._packer.delivered(batch.program)
                break
        return ()

    def _calls(self, batch: Batch, context: CallContext) -> Iterator[RemoteBatch]:
        """Yield the packed batch, and then with its program, for a worker that turned out to need it."""
        for send_program in (False, True):
            jobs = [job for job in batch.jobs if job.attempt in context.pending]
            call = self._pack(batch.program, jobs, context, send_program=send_program)
            if call is None or not call.jobs:
                return
            yield call
        raise BackendError("a worker that was sent a program says that it needs it")

    def _pack(
        self,
        program: StageProgram,
        jobs: Sequence[AttemptSpec],
        context: CallContext,
        *,
        send_program: bool,
    ) -> RemoteBatch | None:
        """Return the packed batch, and report the attempts that cannot be pickled as failed; None if none can."""
        try:
            call, failed = self._packer.pack(program, jobs, send_program=send_program)
        except SerializationError as error:
            info = describe(error, keep=True)
            context.ended(*[Outcome(j.attempt, Status.FAILED, error=info) for j in jobs])
            return None
        context.ended(*failed)
        return call


async def _follow(call: RemoteBatch, context: CallContext, stream: Stream) -> bool:
    """Report what is in the frames; return False if the worker needs the program."""
    async for frame in stream(call):
        if frame == NEEDS_PROGRAM:
            return False
        context.take(decode_reports(frame))
    return True
