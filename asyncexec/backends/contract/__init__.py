"""The contract of a backend: an async map from attempts to outcomes.

A backend is an async context manager with three members: :meth:`Backend.map`, :meth:`Backend.cancel` and
:attr:`Backend.capabilities` (and :attr:`Backend.slots`, which may change while it runs). The scheduler does all else:
retries, timeouts, backups, order and admission are the same everywhere, so a backend must not do any of them.

The rules that ``asyncexec.testing.BackendConformance`` proves:

- Attempts stream in, in batches; reports stream out, in batches, in any order.
- Every attempt yields **exactly one** :class:`~asyncexec.events.outcome.Outcome`, whatever happens to it: also when
  it is cancelled (``CANCELLED``), when its worker dies (``LOST``), and when it never started.
- A failed attempt is an outcome. Only a broken backend raises (``BackendError``), which ends every execution.
- A :class:`Started` is reported for an attempt as soon as it starts on a worker, unless its outcome follows at once
  (within about 20 ms); without ``tells_progress``, for the first attempt of a batch only. Attempts of one batch run
  on one worker, one after another; of a program with a ``concurrency``, so many at once on an event loop, and one that
  is cancelled there ends by ``asyncio.CancelledError`` while the others go on.
- A backend that ``follows`` is given batches with attempts of further stages (``Batch.following``): the worker that has
  the value which one of them reads goes on with it, in order, without waiting for the scheduler.
- A batch counts as handed over when ``map`` takes it from ``batches``: from then on ``cancel`` must find it.
- ``cancel`` returns at once. A backend that can kill stops the attempt within a second; one that cannot gives it up,
  reports ``CANCELLED`` and frees the slot, and prevents a late write (see :class:`asyncexec.worker.control.MaySave`).
- A :class:`Note` (progress, a log record, a line of output) is reported before the outcome of its attempt; without
  ``tells_progress``, as late as that. A backend that reports none loses what tasks say, and nothing else.
- Attempts of a batch that had not started when their worker died or was killed are ``LOST`` (or ``CANCELLED``)
  with ``started_at`` 0.0: nobody is charged for them. Where that is not known, they count as started.
- Leaving the context ends everything the backend started. A backend whose context is open is not entered again: that
  is a ``UsageError``.
"""

from asyncexec.backends.contract.capabilities import Capabilities
from asyncexec.backends.contract.protocols import (
    AvoidingBackend,
    Backend,
    GivesBatches,
    GivesReports,
    SaveLeavingBackend,
    ValueKeepingBackend,
    value_store_of,
)
from asyncexec.backends.contract.stage_program import (
    Batch,
    FollowingAttempts,
    StageProgram,
    pickle_kernel,
)
from asyncexec.plan.locality import Locality
from asyncexec.worker.records import AttemptSpec, Note, Report, Started
from asyncexec.worker.run_scope import RunScope

__all__ = [
    "AttemptSpec",
    "AvoidingBackend",
    "Backend",
    "Batch",
    "Capabilities",
    "FollowingAttempts",
    "GivesBatches",
    "GivesReports",
    "Job",
    "Locality",
    "Note",
    "Program",
    "Report",
    "RunScope",
    "SaveLeavingBackend",
    "StageProgram",
    "Started",
    "ValueKeepingBackend",
    "pickle_kernel",
    "value_store_of",
]

Job = AttemptSpec
"""The name by which backends of other packages may still import it."""

Program = StageProgram
"""The name by which backends of other packages may still import it."""
