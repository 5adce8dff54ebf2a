"""The capabilities of a backend, to which the scheduler adapts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from asyncexec.plan.locality import Locality


def _takes_old_names[C: type](cls: C) -> C:
    """Accept ``local`` and ``shares_memory`` instead of ``locality``, for backends of other packages."""
    init: Callable[..., None] = vars(cls)["__init__"]

    @wraps(init)
    def takes_either(self: object, /, **fields: Any) -> None:
        if not fields.keys().isdisjoint(("local", "shares_memory")):
            given = fields.get("locality", Locality.ELSEWHERE)
            local = fields.pop("local", given.on_this_host)
            shares_memory = fields.pop("shares_memory", local and given is Locality.SAME_PROCESS)
            near = Locality.SAME_HOST if local else Locality.ELSEWHERE
            fields["locality"] = Locality.SAME_PROCESS if shares_memory else near
        init(self, **fields)

    cls.__init__ = takes_either  # type: ignore[misc] # of this very class, not of one derived from it
    return cls


@_takes_old_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The capabilities of a backend, to which the scheduler adapts.

    Attributes
    ----------
    name : str
        As users write it.
    kills : bool
        Whether ``cancel`` stops an attempt that is running (otherwise it is given up).
    locality : Locality
        The place of its workers: in the driver's process, in others of its machine (whose memory they then take), or
        elsewhere.
    isolated : bool
        Whether a task that dies leaves the driver alive.
    measures_memory : bool
        Whether ``Outcome.peak_bytes`` is filled in.
    guarantees_memory : bool
        Whether a task over its memory is stopped by the system.
    metered : bool
        Whether worker time is billed.
    batch_limit : int
        How many attempts a batch may hold.
    tells_progress : bool
        Whether starts and outcomes within a batch are reported as they happen. Without it, only the start of its
        first attempt is known while it runs, and all its outcomes come at its end.
    loss_seconds : float or None
        Within how long a worker that died is noticed; None if it may never be, so that only a timeout ends its task.
    native_retry : str
        What the system would do again by itself, and how that is switched off; for people to read.
    call_seconds : float
        About what one batch costs in addition to the work in it. Batches are made long enough for that to be small.
    worker_bytes : int or None
        Memory that one task may use on a worker, where it is known. Plans that are allowed more are refused.
    budget_bytes : int or None
        Memory that all tasks in flight may have together, where that is limited.
    resources : mapping of str to float
        Named resources that the system has in all; those of a stage must be among them.
    concurrency : int
        How many tasks one slot runs at once of stages that do not say so themselves.
    shares_slots : bool
        Whether a slot that runs a batch of a stage with ``concurrency`` takes further ones of it, until it has as many
        attempts as it may run at once. Otherwise it takes the next batch when the one before has ended.
    follows : bool
        Whether the worker of a batch goes on with attempts of the stages that read it, ``Batch.following``.
    overlaps : bool
        Whether a slot loads and saves some tasks of an array stage, whose program says so, while it computes another.
    opening_seconds : float
        How long entering may take. Past it, entering is given up with a ``BackendError``.
    opening_advice : str
        What that error advises: the address or the file to look at, and what to do.
    """

    name: str
    kills: bool = False
    locality: Locality = Locality.ELSEWHERE
    isolated: bool = False
    measures_memory: bool = False
    guarantees_memory: bool = False
    metered: bool = False
    batch_limit: int = 1
    tells_progress: bool = True
    loss_seconds: float | None = None
    native_retry: str = ""
    call_seconds: float = 0.0
    worker_bytes: int | None = None
    budget_bytes: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 1
    shares_slots: bool = False
    follows: bool = False
    overlaps: bool = False
    opening_seconds: float = 300.0
    opening_advice: str = ""

    @property
    def local(self) -> bool:
        """True for workers on this machine; the former form of ``locality``."""
        return self.locality.on_this_host

    @property
    def shares_memory(self) -> bool:
        """True for workers in the driver's process; the former form of ``locality``."""
        return self.locality is Locality.SAME_PROCESS
