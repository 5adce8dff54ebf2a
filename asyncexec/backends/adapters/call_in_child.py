"""A batch run in a child process of the worker, for systems that say nothing of a worker that died but that it did.

The child tells of each outcome as it comes, so that a task that ends its process costs its own attempt and no other:
what ended before it keeps its outcome, and what would have come after it has not started.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from asyncexec.backends.adapters.calls_in_worker import NEEDS_PROGRAM, RemoteCall
from asyncexec.backends.wire import decode_outcomes, encode_outcomes
from asyncexec.backends.worker import describe
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status

if sys.platform != "win32":  # where there is no fork, there is nothing to measure with either
    from asyncexec.backends.process_workers.memory import MemoryMeter

_HEADER = struct.Struct("<Q")


def run_in_child(call: RemoteCall) -> bytes:
    """Run a batch in a child process, and return its outcomes as bytes; where there is no fork, in this one."""
    if sys.platform == "win32":
        return call()
    reader, writer = os.pipe()
    began = time.time()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_the_child(lambda: _tell(call, writer))
    os.close(writer)
    outcomes: list[Outcome] = []
    with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor, not a path
        for frame in _frames(pipe):
            if frame == NEEDS_PROGRAM:
                os.waitpid(child, 0)
                return NEEDS_PROGRAM
            outcomes += decode_outcomes(frame)
    _, status = os.waitpid(child, 0)
    ended = {outcome.attempt for outcome in outcomes}
    left = [job.attempt for job in call.jobs if job.attempt not in ended]
    if left:
        since = max([began, *(o.started_at + o.seconds for o in outcomes)])
        outcomes += _lost(left, child, since=since, code=os.waitstatus_to_exitcode(status))
    return encode_outcomes(outcomes)


def _be_the_child(work: Callable[[], None]) -> None:
    """Do it, and leave without what the parent would do at its end."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - there is nobody to tell but the parent, by the exit code
        os._exit(70)
    os._exit(0)


def _tell(call: RemoteCall, writer: int) -> None:
    meter = MemoryMeter()
    meter.always = True
    with open(writer, "wb", buffering=0) as pipe:
        for frame in call.each(meter):
            rest = memoryview(_HEADER.pack(len(frame)) + frame)
            while rest:
                rest = rest[pipe.write(rest) :]


def _frames(pipe: BinaryIO) -> Iterator[bytes]:
    """Yield whole frames; what a child that died has left half is nothing."""
    while len(header := pipe.read(_HEADER.size)) == _HEADER.size:
        (size,) = _HEADER.unpack(header)
        frame = pipe.read(size)
        if len(frame) < size:
            return
        yield frame


def _lost(attempts: list[int], child: int, *, since: float, code: int) -> list[Outcome]:
    """Return the outcomes of what had none when the child ended: its first was running."""
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    told = describe(BackendError(f"the worker process that ran the task {how}"))
    worker = f"{os.uname().nodename}:{child}"
    seconds = max(time.time() - since, 0.0)
    first = Outcome(attempts[0], Status.LOST, worker, since, seconds, error=told)
    return [first, *(Outcome(attempt, Status.LOST, error=told) for attempt in attempts[1:])]
