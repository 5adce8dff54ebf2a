"""The event-loop side of the adapter for blocking systems: the queue, the running calls and the abandoned ones.

Calls wait in the queue here, where they can be cancelled. A submitted call stays in ``_running`` until its handle is
done, even after all its attempts are settled, because it still holds a worker.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial

from asyncexec.backends.adapters.blocking_calls import BlockingCall
from asyncexec.backends.adapters.blocking_system import (
    BlockingSystem,
    CallLostError,
    Handle,
    JobSystem,
)
from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.local_batch import LocalBatch
from asyncexec.worker.remote_batch import RemoteBatch

TICK_SECONDS = 0.02


class Dispatcher:
    """Submits calls to a blocking system. Methods run in the event loop's thread unless their docstring says otherwise.

    Parameters
    ----------
    system : BlockingSystem
        It has been opened.
    thread : SystemThread
        The only thread in which the system is used; it ends with the dispatcher.
    size : int
        The number of calls it runs at once.
    patience : float
        Seconds that work waits while abandoned calls hold every worker.
    stream : ReportStream
    """

    def __init__(
        self,
        system: BlockingSystem,
        *,
        thread: SystemThread,
        size: int,
        patience: float,
        stream: ReportStream,
    ) -> None:
        self.abandoned = 0
        self._system = system
        self._capabilities = system.capabilities
        self._thread = thread
        self._size = size
        self._patience = patience
        self._report = stream.report
        self._fail = stream.fail
        self._loop = asyncio.get_running_loop()
        self._packer = Packer(memory_bytes=system.capabilities.worker_bytes)
        self._queue: deque[BlockingCall] = deque()
        self._outgoing: deque[BlockingCall] = deque()
        self._running: set[BlockingCall] = set()
        self._generation = 0
        self._opening = False
        self._closed = False
        self._stuck_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """The number of calls that can run at once, now.

        At least 1: with 0 no work would arrive, and a system whose workers are all held would never be found stuck.
        """
        return max(1, self._size - sum(not call.pending for call in self._running))

    @property
    def _worker(self) -> str:
        """The name for workers that report none; each generation of workers has its own."""
        return f"{self._capabilities.name}-{self._generation}"

    def submit(self, batch: Batch) -> None:
        """Queue ``batch`` for the next free worker."""
        local = self._capabilities.locality is Locality.SAME_PROCESS
        self._queue.append(BlockingCall(batch.program, batch.jobs, local=local))
        self._dispatch()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop attempts that wait; stop those that run where the system can, and abandon them where it cannot."""
        wanted = frozenset(attempts)
        for call in [c for c in (*self._queue, *self._running) if not c.pending.isdisjoint(wanted)]:
            hit = call.pending & wanted
            if call not in self._running:
                self._drop(call, hit)
            elif call.handle is None:
                # The system's thread is submitting it: the next tick finds the handle.
                call.to_cancel |= hit
            else:
                self._stop(call, call.handle, hit)

    def _drop(self, call: BlockingCall, attempts: Collection[int]) -> None:
        call.drop(attempts)
        self._settle(call, [Outcome(attempt, Status.CANCELLED) for attempt in attempts])
        if not call.pending:
            self._queue.remove(call)

    def _stop(self, call: BlockingCall, handle: Handle, attempts: Collection[int]) -> None:
        self._report_start(call)
        hit = call.pending.intersection(attempts)
        kills = self._capabilities.kills
        at_once = call.program.concurrency > 1 and not call.program.overlaps
        if at_once and call.local is None and not call.pending <= set(attempts):
            # The worker cannot be reached, and the others go on: these are given up.
            self._settle(call, call.ran(hit, Status.CANCELLED, self._worker))
            return
        if (kills or call.pending <= set(attempts)) and handle.cancel():
            # What could be cancelled without a kill never ran; a kill may have come anywhere in the batch.
            never_ran = [Outcome(attempt, Status.CANCELLED) for attempt in hit]
            self._settle(
                call, call.ran(hit, Status.CANCELLED, self._worker) if kills else never_ran
            )
            self._requeue_rest(call)
            return
        if call.local is not None:
            outcomes, rest = call.local.cancel(hit)
            self._settle(call, outcomes)
            left_behind = rest is not None
        else:
            self._settle(call, call.ran(hit, Status.CANCELLED, self._worker))
            # The attempt that is known to have started may not be the one that does not end.
            left_behind = call.jobs[0].attempt in hit
        if left_behind:
            self._requeue_rest(call)
        if hit and not call.pending and handle.running():
            self.abandoned += 1

    def _requeue_rest(self, call: BlockingCall) -> None:
        """Queue again the pending attempts of a call that was stopped or abandoned.

        Any attempt of a remote call may be the one that did not end, so these are queued one by one.
        """
        jobs = [job for job in call.jobs if job.attempt in call.pending]
        call.settle(list(call.pending))
        local = call.local is not None
        parts = [jobs] if jobs and local else [[job] for job in jobs]
        self._queue.extendleft(BlockingCall(call.program, p, local=local) for p in reversed(parts))
        self._dispatch()

    def leave_saves(self, attempts: Collection[int]) -> list[threading.Event]:
        """Give up those of ``attempts`` that save, in threads of this process; return events set as their saves end."""
        saves: list[threading.Event] = []
        for call in tuple(self._running):
            hit = call.pending.intersection(attempts)
            if call.local is None:
                continue
            among_others = call.local.leave_saves(hit)
            saves += among_others.values()
            call.settle(among_others)
            self.abandoned += len(among_others)
            left = call.local.leave_save(hit)
            if left is not None:
                saves.append(left[0])
                call.settle(hit)
                self._requeue_rest(call)
                self.abandoned += 1
        return saves

    async def close(self) -> None:
        """Cancel everything, and close the system, and its thread."""
        try:
            await self._close()
        finally:
            self._thread.end()

    async def _close(self) -> None:
        self.cancel(
            {attempt for call in (*self._queue, *self._running) for attempt in call.pending}
        )
        # An attempt that is saving must not be interrupted.
        await asyncio.gather(*[call.settled.wait() for call in self._running])
        # Handles of calls that were just stopped need one turn of the loop to report that they are done.
        await asyncio.sleep(0)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._thread.run(partial(self._system.close, idle=not self._running))

    # Submitting.

    def _dispatch(self) -> None:
        while self._queue and len(self._running) < self._size and not self._opening:
            call = self._queue.popleft()
            call.sent_at = time.time()
            self._running.add(call)
            if not self._outgoing:
                # Calls that are dispatched in the same turn of the loop are submitted together.
                self._loop.call_soon(self._post)
            self._outgoing.append(call)
        self._schedule_tick()

    def _post(self) -> None:
        calls = list(self._outgoing)
        self._outgoing.clear()
        together = [calls] if isinstance(self._system, JobSystem) else [[call] for call in calls]
        for some in together:
            self._thread.post(partial(self._send, some, self._generation))

    def _send(self, calls: Sequence[BlockingCall], generation: int) -> None:
        """Pack and submit calls, in the system's thread."""
        work: list[tuple[BlockingCall, LocalBatch | RemoteBatch]] = []
        for call in calls:
            try:
                work.append((call, self._packed(call, generation)))
            except Exception as error:  # noqa: BLE001 - its tasks fail with it
                self._to_loop(self._failed, call, generation, error)
        try:
            handles = self._submitted([packed for _, packed in work])
            for (call, _), handle in zip(work, handles, strict=True):
                call.handle = handle
                handle.add_done_callback(partial(self._to_loop, self._done, call, generation))
        except Exception as error:  # noqa: BLE001 - what it means is decided on the loop
            for call, _ in work:
                self._to_loop(self._failed, call, generation, error)

    def _packed(self, call: BlockingCall, generation: int) -> LocalBatch | RemoteBatch:
        if call.local is not None:
            return call.local
        packed, failed = self._packer.pack(
            call.program, call.jobs, generation=generation, send_program=call.send_program
        )
        self._to_loop(self._settle, call, failed)
        return packed

    def _submitted(self, calls: Sequence[LocalBatch | RemoteBatch]) -> Sequence[Handle]:
        if isinstance(self._system, JobSystem):
            return self._system.submit_many(calls) if calls else ()
        return [self._system.submit(call) for call in calls]

    def _to_loop(self, function: Callable[..., object], *arguments: object) -> None:
        """Call ``function`` in the event loop, from any thread."""
        # RuntimeError means that the loop is closed: an abandoned call has ended after its run.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # Ending.

    def _done(self, call: BlockingCall, generation: int, handle: Handle) -> None:
        if generation != self._generation:
            return
        try:
            reports = call.reports(handle.result())
        except CancelledError:
            reports = [], []
        except Exception as error:  # noqa: BLE001 - what it means is decided there
            self._failed(call, generation, error)
            return
        self._running.discard(call)
        if reports is None:
            self._send_again(call)
        else:
            self._packer.delivered(call.program, generation)
            notes, outcomes = reports
            self._report(notes, 0)
            self._settle(call, outcomes)
            self._settle(call, [Outcome(a, Status.LOST) for a in call.pending])
        self._dispatch()

    def _send_again(self, call: BlockingCall) -> None:
        """Submit the call again with the program, because its worker does not have it."""
        if call.pending:
            call.send_program, call.handle = True, None
            call.drop(())
            self._queue.appendleft(call)
            self.cancel(call.to_cancel)

    def _failed(self, call: BlockingCall, generation: int, error: Exception) -> None:
        if generation != self._generation:
            return
        if self._system.broken_by(error):
            # Results that came before the break are already in the loop's queue: handle them first.
            self._loop.call_soon(self._break, generation, error)
            return
        if isinstance(error, BackendError):
            self._fail(error)
        self._running.discard(call)
        if isinstance(error, CallLostError):
            # Any attempt of the call may have ended the worker, so each of them counts as started.
            worker = "" if call.is_overlapping and len(call.pending) > 1 else error.worker
            self._settle(call, call.ran(call.pending, Status.LOST, worker, error))
        else:
            self._settle(call, call.ran(call.pending, Status.FAILED, self._worker, error))
        self._dispatch()

    def _settle(self, call: BlockingCall, outcomes: Sequence[Outcome]) -> None:
        """Report the outcomes of pending attempts, and no others."""
        pending = {o.attempt: o for o in outcomes if o.attempt in call.pending}
        call.settle(pending)
        self._report(list(pending.values()), len(pending))

    # Time.

    def _schedule_tick(self) -> None:
        if self._timer is None and not self._closed and (self._queue or self._running):
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for call in [c for c in self._running if c.to_cancel and c.handle is not None]:
            self.cancel(call.to_cancel)
            call.to_cancel.clear()
        self._report_progress()
        self._check_stuck()
        self._schedule_tick()

    def _report_progress(self) -> None:
        """Report the starts and outcomes of running calls."""
        for call in tuple(self._running):
            if call.local is not None:
                outcomes = call.local.reports.outcomes()
                self._report(call.local.reports.notes(), 0)
                self._settle(call, outcomes)
            if call.pending:
                self._report_start(call)

    def _report_start(self, call: BlockingCall) -> None:
        self._report(call.new_starts(self._worker), 0)

    def _check_stuck(self) -> None:
        """Break the system when abandoned calls have held every worker for too long, rather than wait for ever."""
        now = self._loop.time()
        held = len(self._running) >= self._size and not any(c.pending for c in self._running)
        if not (held and self._queue):
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since > self._patience:
            stuck = BackendError(
                f"executor {self._capabilities.name!r}: every worker ({self._size}) is held by a "
                f"task that was given up (cancelled or timed out) and does not end. Let the tasks "
                f"end, or use executor='processes', which kills"
            )
            self._break(self._generation, stuck)

    # Breaking.

    def _break(self, generation: int, error: Exception) -> None:
        """Report everything in flight as lost, and open the system again.

        Each attempt may have been running. A worker is named only if there was a single attempt: among several it is
        not known which one broke the system, and a named worker would count against each of them.
        """
        if generation != self._generation:
            return
        suspects = sum(len(call.jobs) for call in self._running if call.pending)
        worker = self._worker if suspects == 1 else ""
        for call in self._running:
            self._settle(call, call.ran(call.pending, Status.LOST, worker))
        self._running.clear()
        self._outgoing.clear()
        self._generation += 1
        self._opening = True
        self._stuck_since = None
        self._thread.post(partial(self._reopen, error))

    def _reopen(self, cause: Exception) -> None:
        """Open the system again, in its thread."""
        try:
            size = self._system.open()
        except Exception as error:  # noqa: BLE001 - it belongs to the consumer of the map
            error.__cause__ = error.__cause__ or cause
            self._to_loop(self._fail, error)
        else:
            self._to_loop(self._opened, size)

    def _opened(self, size: int) -> None:
        self._size, self._opening = size, False
        self._dispatch()
