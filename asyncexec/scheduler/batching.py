"""The number of tasks in one batch, which is one message.

About 100 ms of work by measured duration, or more where a message is expensive, so that its cost is small compared with
the work in it; fewer as a stage runs out, so that no worker is left with a batch while others are idle. But never so
few that a message costs more than the work in it: where it costs half a second, 500 tasks of a millisecond go together.

A slot that runs many tasks at once is given at least as many, however long they are, as far as they go round.

Where a batch reports nothing before its end, its first task seems to run as long as all of it. Such a batch is to have
ended before that task is taken for one that has run into its timeout.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncexec.plan.locality import Locality

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.plan.stage import Stage
    from asyncexec.straggler.statistics import DurationStatistics

TARGET_SECONDS = 0.1
CALL_SHARE = 0.1
"""The cost of a message is to be no more than this share of the work in it."""

MANY_ROUNDS = 8
"""The number of times that a slot with many tasks at once is filled by one batch, where nothing else fills it up."""

FIRST_AT_ONCE = 8
"""The tasks that a slot is sent to run at once, until one has ended and said how many keep its kernel busy."""

TIMEOUT_SHARE = 0.5
"""A batch that reports nothing before its end is to take no more than this share of the timeout of a task."""

DEAR_SECONDS = 0.1
"""The cost of a message from which on none is sent ahead while nothing is known of what is worth one."""

_SMOOTHING = 0.05
_STEP = 1.2
_SHORTEST = 2e-6


class BatchSize:
    """The batch size of one stage, which follows its tasks' durations.

    Parameters
    ----------
    most : int
        The most tasks of a batch.
    call_seconds : float
        The cost of a message.
    at_once : int
        The number of tasks that a slot runs at once.
    rounds : int
        The number of times that a batch fills the slot, however long its tasks are, if it runs several at once.
    first : int, optional
        The number of tasks that a slot runs at once before one has said how many it should be; by default ``at_once``.
    longest_seconds : float
        The most that a batch may take, as far as its tasks do not take longer by themselves.
    history : DurationStatistics, optional
        Durations of such tasks in other stages, from which it is known before the first has ended what a message is
        worth. No more is taken from them: these tasks may be longer.

    Attributes
    ----------
    at_once : int
        The number of tasks that a slot runs at once now.
    limit, most : int
        The most tasks of a batch by their durations so far, and in any case.
    """

    __slots__ = (
        "_call_seconds",
        "_history",
        "_least",
        "_longest",
        "_mean",
        "_most_at_once",
        "_rounds",
        "_target",
        "_typical",
        "at_once",
        "limit",
        "most",
    )

    def __init__(
        self,
        most: int,
        call_seconds: float = 0.0,
        *,
        at_once: int = 1,
        rounds: int = 1,
        first: int | None = None,
        longest_seconds: float = math.inf,
        history: DurationStatistics | None = None,
    ) -> None:
        self.most = most
        self._history = history
        self._call_seconds = call_seconds
        self._most_at_once = at_once
        self._rounds = rounds
        at_once = self.at_once = at_once if first is None else min(at_once, first)
        # What one message is worth, in seconds of one task after another.
        self._target = (
            min(max(TARGET_SECONDS, call_seconds / CALL_SHARE), longest_seconds) * at_once
        )
        self._longest = longest_seconds
        # So many are sent however long they are.
        self._least = 1 if at_once == 1 else min(most, at_once * rounds)
        self.limit = self._least
        self._mean = 0.0
        # About the median: one task that had to wait for its core does not say what a message is worth.
        self._typical = 0.0

    @property
    def is_unmeasured(self) -> bool:
        """True where a message is dear, and nothing is known of how many tasks are worth one."""
        if self._call_seconds < DEAR_SECONDS or self._typical or self.most == 1:
            return False
        return self._history is None or not self._history.count

    def widen(self, width: int) -> None:
        """Let a slot run ``width`` tasks at once, as one that has ended says; no more than there may be."""
        width = max(1, min(width, self._most_at_once))
        if width != self.at_once:
            # The work of a message is counted as if one task ran after another, of which so many run side by side.
            self._target *= width / self.at_once
            self._least = min(self.most, width * self._rounds)
            self.at_once = width

    def measured(self, seconds: float, width: int = 0) -> None:
        """Record a task's duration on its worker, and, unless 0, at how many at once that keeps its slot busy."""
        if width:
            self.widen(width)
        mean = self._mean
        # Slower tasks count faster than quicker ones: too long a batch costs more than too short a one.
        if seconds > mean:
            mean += (seconds - mean) * (1.0 if mean == 0.0 else 0.25)
        else:
            mean += (seconds - mean) * _SMOOTHING
        self._mean = mean
        limit = int(self._target / (mean + _SHORTEST))
        least, most = self._least if mean <= self._longest else 1, self.most
        self.limit = most if limit > most else max(limit, least)
        if self._call_seconds:
            typical = self._typical
            self._typical = typical * (_STEP if seconds > typical else 1 / _STEP) or seconds

    def size(self, ready: int, slots: int) -> int:
        """Return the number of tasks to send in one batch, of ``ready`` ones."""
        if ready == 1:
            return 1
        if not self._mean and self._history is not None and self._history.count:
            self._learn(self._history)
        worth = 0  # The number of tasks whose work takes as long as one message.
        if self._typical:
            worth = int(self._call_seconds * self.at_once / (self._typical + _SHORTEST))
        # Two batches for each slot: one runs while the next is on its way.
        share = -(-ready // (2 * slots))
        if self.at_once > 1:
            # Tasks that a slot could run at once do not wait in a second batch.
            share = max(share, min(-(-ready // slots), self.at_once))
        # What is left of a split would be worth less than its message.
        return min(self.limit, ready if ready < 2 * worth else max(share, worth))

    def _learn(self, history: DurationStatistics) -> None:
        """Take the worth of a message from tasks of other stages, and send so many, as far as all may be as long."""
        # Once: from then on its own tasks say more than those of others.
        self._history = None
        if self._call_seconds:
            self._typical = history.quantile(0.5)
            worth = self._call_seconds * self.at_once / (self._typical + _SHORTEST)
            most = min(worth, self._target / (history.mean_seconds + _SHORTEST))
            self.limit = max(self.limit, min(self.most, int(most)))


def batch_size(
    stage: Stage,
    capabilities: Capabilities,
    *,
    at_once: int,
    overlaps: bool = False,
    task_timeout: float | None = None,
    history: DurationStatistics | None = None,
) -> BatchSize:
    """Return the batch size of a stage on a backend, a slot of which runs ``at_once`` of its tasks at once.

    Where it ``overlaps`` their input and output with kernels, it begins with a few; with one, where a batch reports
    nothing before its end. In one process, the slots share what they are sent, and keep none of it from each other.
    """
    told = capabilities.tells_progress
    return BatchSize(
        _batch_limit(stage, capabilities),
        capabilities.call_seconds,
        at_once=at_once,
        rounds=_rounds(capabilities),
        first=_first(capabilities) if overlaps else None,
        longest_seconds=math.inf if told or task_timeout is None else TIMEOUT_SHARE * task_timeout,
        history=history,
    )


def _first(capabilities: Capabilities) -> int | None:
    """Return how many tasks a slot runs at once before one has said how many keep its kernel busy; None for all."""
    if not capabilities.tells_progress:
        return 1
    return None if capabilities.locality is Locality.SAME_PROCESS else FIRST_AT_ONCE


def _rounds(capabilities: Capabilities) -> int:
    """Return how often a batch of a stage with ``concurrency`` fills its slot at least.

    Towards its end fewer and fewer of its tasks run at once, unless other batches fill the slot up.
    """
    return MANY_ROUNDS if capabilities.tells_progress and not capabilities.shares_slots else 1


def _batch_limit(stage: Stage, capabilities: Capabilities) -> int:
    """Return the number of tasks that may share a batch.

    Where starts within a batch are not reported, all of it has to be repeated when it is lost: tasks that must not run
    twice go one by one.
    """
    one_by_one = not stage.idempotent and not capabilities.tells_progress
    return 1 if one_by_one else capabilities.batch_limit
