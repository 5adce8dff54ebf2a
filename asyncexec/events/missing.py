"""Values that tasks do not have, because they failed or had nothing to do: what stands in their place."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.errors import TaskError
    from asyncexec.events.outcome import Outcome

_SKIPPED = "asyncexec.errors.SkippedError"


class MissingValue:
    """Holds the place of a value that a task does not have, in results and for the tasks that read it.

    A task that reads one is not run, unless its stage says so (``takes_missing``), and has the same missing value.
    Lists of values hold it at its place. It counts as false.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    @property
    def reason(self) -> str:
        """The reason, in words."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, repr=False)
class Failed(MissingValue):
    """Holds the place of the value of a task that failed for good, in a stage with ``on_failure="keep"``.

    It counts as false, and can be pickled. ``raise failed.error`` raises what the run would have raised.

    >>> plan = ax.Plan.map(int, ["1", "two", "3"], on_failure="keep", retry=False)
    >>> result = ax.sync.execute(plan)
    >>> result.value
    [1, Failed(TaskFailedError: plan 'int', stage 'int' (map), task (1,), attempt 1, worker ...: ValueError: ...), 3]
    >>> result.failed_tasks, [value for value in result.value if not isinstance(value, ax.Failed)]
    (1, [1, 3])

    Attributes
    ----------
    error : TaskError
        The error with plan, stage, index, attempt and worker; the exception of the function is its ``__cause__``.
    """

    error: TaskError

    @property
    def reason(self) -> str:
        """The error's message."""
        return str(self.error)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.error).__name__}: {self.error})"

    def __reduce__(self) -> tuple[Any, ...]:
        # By its own method: other libraries (tblib, with Dask) register one that pickles the cause itself.
        return _unpickled, self.error.__reduce__()


@dataclass(frozen=True, slots=True, repr=False)
class Skipped(MissingValue):
    """Holds the place of the value of a task that had nothing to do.

    It counts as false, and can be pickled.

    >>> from asyncexec.workflow import Workflow, stage
    >>> def number(n):
    ...     return n
    >>> @stage(when=lambda number: number > 10)
    ... def large(number):
    ...     return "large"
    >>> ax.sync.execute(Workflow("sizes", [number, large])(n=3)).value
    Skipped("the condition of 'large' does not hold")

    Attributes
    ----------
    message : str
        That of the :class:`~asyncexec.errors.SkippedError`.
    """

    message: str

    @property
    def reason(self) -> str:
        """The message."""
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


def failed(error: TaskError) -> Failed:
    """Return what holds the place of a task that failed with ``error``, without the variables of the failed call."""
    cause = error.__cause__
    if cause is not None:
        traceback.clear_frames(cause.__traceback__)
    return Failed(error)


def is_skip(outcome: Outcome) -> bool:
    """Return whether a function raised a ``SkippedError``."""
    error = outcome.error
    return error is not None and (error.type == _SKIPPED or _SKIPPED in error.bases)


def skipped(outcome: Outcome) -> Skipped:
    """Return what holds the place of a task whose function raised a ``SkippedError``."""
    return Skipped(outcome.error.message if outcome.error is not None else "")


def _unpickled(make: Callable[..., TaskError], arguments: tuple[Any, ...]) -> Failed:
    error = make(*arguments)
    if error.remote_traceback and not getattr(error, "__notes__", ()):
        error.add_note(f"On the worker:\n{error.remote_traceback.rstrip()}")
    return Failed(error)
