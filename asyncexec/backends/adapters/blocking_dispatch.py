"""The loop side of the adapter for blocking systems: what waits, what runs, what has been given up.

What waits, waits here, where it can be cancelled; what has been submitted is in ``_running`` until its handle is done,
also when nobody waits for it any more, because it holds a worker.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial

from asyncexec.backends.adapters.blocking_calls import Call
from asyncexec.backends.adapters.blocking_system import (
    BlockingSystem,
    CallLostError,
    Handle,
    JobSystem,
)
from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Report
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.local_batch import LocalBatch
from asyncexec.worker.remote_batch import RemoteBatch

TICK_SECONDS = 0.02


class Dispatcher:
    """Hands calls to a blocking system; its methods belong to the event loop's thread, but for those that say so.

    Parameters
    ----------
    system : BlockingSystem
        Open already.
    thread : SystemThread
        The one thread in which the system is used.
    size : int
        How many calls it runs at once.
    patience : float
        Seconds that work waits while calls that were given up hold every worker.
    report : callable
        Takes reports, and how many of them are outcomes.
    fail : callable
        Takes the error when the system is broken for good.
    """

    def __init__(
        self,
        system: BlockingSystem,
        *,
        thread: SystemThread,
        size: int,
        patience: float,
        report: Callable[[Sequence[Report], int], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self.abandoned = 0
        self._system = system
        self._capabilities = system.capabilities
        self._thread = thread
        self._size = size
        self._patience = patience
        self._report = report
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._packer = Packer()
        self._queue: deque[Call] = deque()
        self._outgoing: deque[Call] = deque()
        self._running: set[Call] = set()
        self._generation = 0
        self._opening = False
        self._closed = False
        self._stuck_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """How many calls can run at once, now; at least 1, so that work comes and finds out."""
        return max(1, self._size - sum(not call.owed for call in self._running))

    @property
    def _worker(self) -> str:
        """Stands for a worker that did not tell its name; no two generations of workers share it."""
        return f"{self._capabilities.name}-{self._generation}"

    def submit(self, batch: Batch) -> None:
        """Queue ``batch`` for the next free worker."""
        shares_memory = self._capabilities.shares_memory
        self._queue.append(Call(batch.program, batch.jobs, shares_memory=shares_memory))
        self._dispatch()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop what waits; stop what runs where the system can, and give it up where it cannot."""
        wanted = frozenset(attempts)
        for call in [c for c in (*self._queue, *self._running) if not c.owed.isdisjoint(wanted)]:
            hit = call.owed & wanted
            if call not in self._running:
                self._drop(call, hit)
            elif call.handle is None:
                call.doomed |= (
                    hit  # The system's thread is submitting it: the next tick knows more.
                )
            else:
                self._stop(call, call.handle, hit)

    def _drop(self, call: Call, attempts: Collection[int]) -> None:
        call.drop(attempts)
        self._settle(call, [Outcome(attempt, Status.CANCELLED) for attempt in attempts])
        if not call.owed:
            self._queue.remove(call)

    def _stop(self, call: Call, handle: Handle, attempts: Collection[int]) -> None:
        self._report_start(call)
        hit = call.owed.intersection(attempts)
        kills = self._capabilities.kills
        if (kills or call.owed <= set(attempts)) and handle.cancel():
            # What could be cancelled without a kill never ran; a kill may have come anywhere in the batch.
            never_ran = [Outcome(attempt, Status.CANCELLED) for attempt in hit]
            self._settle(
                call, call.ran(hit, Status.CANCELLED, self._worker) if kills else never_ran
            )
            self._pass_on(call)
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
            self._pass_on(call)
        if hit and not call.owed and handle.running():
            self.abandoned += 1

    def _pass_on(self, call: Call) -> None:
        """Have the rest of a call that was stopped or given up run elsewhere.

        Of a remote call any attempt may be the one that did not end: they go one by one.
        """
        jobs = [job for job in call.jobs if job.attempt in call.owed]
        call.settle(list(call.owed))
        local = call.local is not None
        parts = [jobs] if local and jobs else [[job] for job in jobs]
        self._queue.extendleft(Call(call.program, p, shares_memory=local) for p in reversed(parts))
        self._dispatch()

    async def close(self) -> None:
        """Cancel everything, and close the system."""
        self.cancel({attempt for call in (*self._queue, *self._running) for attempt in call.owed})
        # Whoever is saving is not to be cut short.
        await asyncio.gather(*[call.settled.wait() for call in self._running])
        # Handles of what was just stopped get a turn to say that they are done.
        await asyncio.sleep(0)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._thread.run(partial(self._system.close, idle=not self._running))

    # Going out.

    def _dispatch(self) -> None:
        while self._queue and len(self._running) < self._size and not self._opening:
            call = self._queue.popleft()
            call.sent_at = time.time()
            self._running.add(call)
            if not self._outgoing:
                # What else comes in this turn of the loop goes with it.
                self._loop.call_soon(self._post)
            self._outgoing.append(call)
        self._keep_time()

    def _post(self) -> None:
        calls = list(self._outgoing)
        self._outgoing.clear()
        together = [calls] if isinstance(self._system, JobSystem) else [[call] for call in calls]
        for some in together:
            self._thread.post(partial(self._send, some, self._generation))

    def _send(self, calls: Sequence[Call], generation: int) -> None:
        """In the system's thread: pack and submit."""
        work: list[tuple[Call, LocalBatch | RemoteBatch]] = []
        for call in calls:
            try:
                work.append((call, self._packed(call, generation)))
            except Exception as error:  # noqa: BLE001 - it is what its tasks fail with
                self._to_loop(self._undone, call, generation, error)
        try:
            handles = self._submitted([packed for _, packed in work])
            for (call, _), handle in zip(work, handles, strict=True):
                call.handle = handle
                handle.add_done_callback(partial(self._to_loop, self._done, call, generation))
        except Exception as error:  # noqa: BLE001 - what it means is decided on the loop
            for call, _ in work:
                self._to_loop(self._undone, call, generation, error)

    def _packed(self, call: Call, generation: int) -> LocalBatch | RemoteBatch:
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
        """In any thread."""
        # A closed loop: nobody is left to hear of the end of a call that was given up.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # Coming back.

    def _done(self, call: Call, generation: int, handle: Handle) -> None:
        if generation != self._generation:
            return
        try:
            outcomes = call.outcomes(handle.result())
        except CancelledError:
            outcomes = []
        except Exception as error:  # noqa: BLE001 - what it means is decided there
            self._undone(call, generation, error)
            return
        self._running.discard(call)
        if outcomes is None:
            self._send_again(call)
        else:
            self._packer.delivered(call.program, generation)
            self._settle(call, outcomes)
            self._settle(call, [Outcome(a, Status.LOST) for a in call.owed])
        self._dispatch()

    def _send_again(self, call: Call) -> None:
        """With the program, which its worker turned out not to have."""
        if call.owed:
            call.send_program, call.handle = True, None
            call.drop(())
            self._queue.appendleft(call)
            self.cancel(call.doomed)

    def _undone(self, call: Call, generation: int, error: Exception) -> None:
        if generation != self._generation:
            return
        if self._system.broken_by(error):
            # Results that came before the break are in the loop's queue: let them come first.
            self._loop.call_soon(self._break, generation, error)
            return
        if isinstance(error, BackendError):
            self._fail(error)
        self._running.discard(call)
        if isinstance(error, CallLostError):
            # Which of several jobs ended the worker cannot be told, so each of them counts as started.
            self._settle(call, call.ran(call.owed, Status.LOST, error.worker, error))
        else:
            self._settle(call, call.ran(call.owed, Status.FAILED, self._worker, error))
        self._dispatch()

    def _settle(self, call: Call, outcomes: Sequence[Outcome]) -> None:
        """Report the outcomes that are owed, and no others."""
        owed = {o.attempt: o for o in outcomes if o.attempt in call.owed}
        call.settle(owed)
        self._report(list(owed.values()), len(owed))

    # Time.

    def _keep_time(self) -> None:
        if self._timer is None and not self._closed and (self._queue or self._running):
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for call in [c for c in self._running if c.doomed and c.handle is not None]:
            self.cancel(call.doomed)
            call.doomed.clear()
        self._look()
        self._check_for_life()
        self._keep_time()

    def _look(self) -> None:
        """Report what happens in calls that run."""
        for call in tuple(self._running):
            if call.local is not None:
                self._settle(call, call.local.reports.outcomes())
            if call.owed:
                self._report_start(call)

    def _report_start(self, call: Call) -> None:
        started = call.look(self._worker)
        if started is not None:
            self._report([started], 0)

    def _check_for_life(self) -> None:
        """Say so when nothing can run, rather than wait for ever."""
        now = self._loop.time()
        held = len(self._running) >= self._size and not any(c.owed for c in self._running)
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
        """Take everything in flight for lost, and open the system again.

        Each of them may have been running. Only where there was a single one is it known which broke it: otherwise no
        worker is named, so that nobody is blamed.
        """
        if generation != self._generation:
            return
        suspects = sum(len(call.jobs) for call in self._running if call.owed)
        worker = self._worker if suspects == 1 else ""
        for call in self._running:
            self._settle(call, call.ran(call.owed, Status.LOST, worker))
        self._running.clear()
        self._outgoing.clear()
        self._generation += 1
        self._opening = True
        self._stuck_since = None
        self._thread.post(partial(self._reopen, error))

    def _reopen(self, cause: Exception) -> None:
        """In the system's thread."""
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
