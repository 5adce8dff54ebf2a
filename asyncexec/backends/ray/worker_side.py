"""Run a batch on a Ray worker, and report it while it runs.

An attempt whose start has been reported is the last of its call: when it has ended, its batch is handed back.
So the driver knows that nothing after such an attempt has started, and may kill the worker at once; and a call without
a reported start holds short attempts only.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version as version_of
from typing import Any

from asyncexec.backends.ray.attempt_file import AttemptFile
from asyncexec.backends.ray.value_exchange import with_values
from asyncexec.worker.memory import MemoryGuard, MemoryMeter
from asyncexec.worker.remote_batch import RemoteBatch

GATHER_SECONDS = 0.02


def frames(
    call: RemoteBatch, record_path: str | None, allowed_bytes: int, read: dict[str, Any]
) -> Iterator[Any]:
    """Run the attempts of ``call``, and yield reports as bytes: ``NEEDS_PROGRAM``, or see ``codec.decode_reports``.

    ``record_path`` is the file for the attempt that runs, if the driver can read it. An attempt is kept within
    ``allowed_bytes``, if there are any; those that run at once are together. ``read`` has the references to the
    large values that are read, by key; those that are made are yielded as well (see ``value_exchange``).
    """
    at_once = call.concurrency > 1
    if at_once and allowed_bytes:
        call.memory_bytes = allowed_bytes  # for all of them together, as they share the process
    reports = call.frames(
        gather_seconds=GATHER_SECONDS,
        meter=_guard().within(allowed_bytes) if allowed_bytes and not at_once else _meter(),
        marks=AttemptFile.create(record_path),
        held=True,
    )
    yield from with_values(reports, read)


def version() -> str:
    """Return the version of asyncexec that this worker has."""
    return version_of("asyncexec")


@cache
def _guard() -> MemoryGuard:
    return MemoryGuard(always=True)  # One for each worker, as it keeps files open.


@cache
def _meter() -> MemoryMeter:
    return MemoryMeter(
        always=True
    )  # the suite's rule is that a peak is always there; it costs 20 µs a task
