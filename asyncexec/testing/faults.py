"""Attempts that misbehave on purpose, on any real backend: chosen ones, or a seeded share of all.

A :class:`Faults` decides which attempt does what, and counts attempts in a folder that all workers see: the count of
a task goes on when its worker dies. :meth:`Faults.inject` (in :mod:`asyncexec.testing.injection`: ``inject``) puts it
around every task of a plan; :meth:`Faults.wrap` around one function.

Failures between worker and scheduler (an outcome that comes twice, late, or never) are
:class:`~asyncexec.testing.faulty_backend.FaultyBackend`'s part.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from asyncexec.errors import OptionError, UsageError
from asyncexec.plan.box import Index
from asyncexec.plan.given_numbers import as_whole_number

_POLL_SECONDS = 0.01
_RELEASED = "released"


class Moment(StrEnum):
    """Moments of an attempt at which a fault strikes; a plain function only knows before and after."""

    LOAD = "before its inputs are read"
    CALL = "before its function is called"
    SAVE = "before its output is written"
    TOLD = "after its output is written, before anybody is told"


BEFORE = (Moment.LOAD, Moment.CALL)


class Fault(Protocol):
    """Something that goes wrong in an attempt."""

    @property
    def moment(self) -> Moment:
        """The moment at which it strikes."""
        ...

    def strike(self, faults: Faults, elapsed_seconds: float) -> None:
        """Go wrong; ``elapsed_seconds`` is how long the attempt has run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Raises ``error``; by default a ``ConnectionError``, which is worth a retry.

    >>> from asyncexec.testing.faults import Fail, Faults
    >>> faults = Faults(folder=".", chosen={("halve", 0): [Fail(error=ValueError), None]})
    >>> halve = faults.wrap(lambda i: i / 2, stage="halve")
    >>> halve(0)
    Traceback (most recent call last):
        ...
    ValueError: injected
    >>> halve(0)
    0.0
    """

    error: BaseException | type[BaseException] = ConnectionError
    moment: Moment = Moment.CALL

    def strike(self, faults: Faults, elapsed_seconds: float) -> None:
        raise self.error("injected") if isinstance(self.error, type) else self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Does not go on until :meth:`Faults.release`, or until it is killed.

    >>> import threading
    >>> from asyncexec.testing.faults import Faults, Hang
    >>> faults = Faults(folder=".", chosen={("", 1): [Hang()]})
    >>> timer = threading.Timer(0.01, faults.release)
    >>> timer.start()
    >>> faults.wrap(abs)(1)
    1
    """

    moment: Moment = Moment.CALL

    def strike(self, faults: Faults, elapsed_seconds: float) -> None:
        while not faults.released:
            time.sleep(_POLL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Die:
    """Ends the worker's process: by a signal (SIGKILL is what the kernel sends for want of memory), or an exit code.

    Never in the process that made the :class:`Faults`, which is the test's own.

    >>> from asyncexec.testing.faults import Die, Faults
    >>> faults = Faults(folder=".", chosen={("", 1): [Die()]})  # the first worker that runs task 1 dies
    >>> faults.wrap(abs)(1)
    Traceback (most recent call last):
        ...
    UsageError: Die() would end the driver itself: ...
    """

    signal: int | None = signal.SIGKILL
    exit_code: int = 1
    moment: Moment = Moment.CALL

    def strike(self, faults: Faults, elapsed_seconds: float) -> None:
        if os.getpid() == faults.driver:
            raise UsageError(
                "Die() would end the driver itself: this backend runs tasks in the driver's process. "
                "Use Fail() here, or a backend with workers of its own"
            )
        if self.signal is not None:
            os.kill(os.getpid(), self.signal)
            time.sleep(60)  # until it arrives
        os._exit(self.exit_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Takes ``seconds`` more, and ``factor`` times as long as it took so far (at its end: in all).

    >>> from asyncexec.testing.faults import Faults, Slow
    >>> faults = Faults(folder=".", rates=[(0.1, Slow(seconds=0.2))], seed=1)
    >>> slow_abs = faults.wrap(abs)  # one call in ten takes 0.2 s longer
    """

    seconds: float = 0.0
    factor: float = 1.0
    moment: Moment = Moment.TOLD

    def strike(self, faults: Faults, elapsed_seconds: float) -> None:
        until = time.monotonic() + self.seconds + (self.factor - 1.0) * elapsed_seconds
        while (left := until - time.monotonic()) > 0 and not faults.released:
            time.sleep(min(left, _POLL_SECONDS))


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Attempts that misbehave, and a count of how often each task was attempted.

    >>> from asyncexec.testing.faults import Fail, Faults
    >>> from asyncexec.testing.injection import inject
    >>> faults = Faults(folder=".", chosen={("abs", 2): [Fail(), Fail()]})
    >>> result = ax.sync.execute(inject(ax.Plan.map(abs, range(4)), faults), retry=ax.Retry(base_seconds=0))
    >>> result.value, result.retries, faults.attempts("abs", 2)
    ([0, 1, 2, 3], 2, 3)

    Parameters
    ----------
    folder : Path or str
        An empty folder that all workers see; a file in it for every attempt.
    chosen : mapping of (stage, index) to a sequence of Fault or None
        What the first, second, … attempt of a task does; later ones are sound. An index of one axis may be an int.
    rates : sequence of (float, Fault)
        Shares of all other attempts and what they do. Which ones depends on seed, stage, index and attempt alone.
    spared_after : int
        From this attempt of a task on ``rates`` do not apply, so that every task succeeds in the end.
    seed : int

    Raises
    ------
    OptionError
        If the folder does not exist, or the rates are no shares.
    """

    folder: Path | str
    chosen: Mapping[tuple[str, Index | int], Sequence[Fault | None]] = field(
        default_factory=dict[tuple[str, Index | int], Sequence[Fault | None]]
    )
    rates: Sequence[tuple[float, Fault]] = ()
    spared_after: int = 3
    seed: int = 0
    driver: int = field(default_factory=os.getpid)
    _place: Path = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_place", Path(self.folder))
        if not self._place.is_dir():
            raise OptionError(f"faults are counted in an existing folder, not {str(self.folder)!r}")
        shares = [share for share, _ in self.rates]
        if any(share < 0 for share in shares) or sum(shares) > 1:
            raise OptionError(f"rates are shares of attempts: from 0, and 1 in all, not {shares}")

    def begin(self, stage: str, index: Index) -> Fault | None:
        """Count an attempt, and return what is to go wrong with it."""
        number = self.attempts(stage, index) + 1
        while not self._claim(stage, index, number):
            number += 1
        return self._decide(stage, index, number)

    def attempts(self, stage: str, index: Index | int) -> int:
        """Return how many attempts of a task have begun."""
        number = 0
        while self._mark(stage, _as_index(index), number + 1).exists():
            number += 1
        return number

    def release(self) -> None:
        """Let everything that hangs (or is slow) go on."""
        (self._place / _RELEASED).touch()

    @property
    def released(self) -> bool:
        """True if attempts that hang shall go on."""
        return (self._place / _RELEASED).exists()

    def wrap(self, function: Callable[..., Any], *, stage: str = "") -> FaultyFunction:
        """Return ``function`` with faults; a task is known by its first argument (an int or a tuple of int)."""
        return FaultyFunction(function=function, faults=self, stage=stage)

    def _decide(self, stage: str, index: Index, number: int) -> Fault | None:
        key = index[0] if len(index) == 1 else index
        chosen = self.chosen.get((stage, index), self.chosen.get((stage, key)))
        if chosen is not None:
            return chosen[number - 1] if number <= len(chosen) else None
        if number >= self.spared_after:
            return None
        draw = random.Random(f"{self.seed}/{stage}/{index}/{number}").random()
        for share, fault in self.rates:
            if draw < share:
                return fault
            draw -= share
        return None

    def _claim(self, stage: str, index: Index, number: int) -> bool:
        try:
            self._mark(stage, index, number).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _mark(self, stage: str, index: Index, number: int) -> Path:
        return self._place / f"{stage}.{'_'.join(map(str, index))}.{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyFunction:
    """A function some calls of which misbehave; travels to workers with what it wraps."""

    function: Callable[..., Any]
    faults: Faults
    stage: str = ""

    def __call__(self, *arguments: Any) -> Any:
        fault = self.faults.begin(self.stage, _as_index(arguments[0]))
        start = time.perf_counter()
        if fault is not None and fault.moment in BEFORE:
            fault.strike(self.faults, 0.0)
        result = self.function(*arguments)
        if fault is not None and fault.moment not in BEFORE:
            fault.strike(self.faults, time.perf_counter() - start)
        return result


def _as_index(value: Any) -> Index:
    if isinstance(value, tuple):
        return value
    number = as_whole_number(value)
    if number is not None:
        return (number,)
    raise UsageError(
        f"faults tell tasks by their first argument, an int or a tuple of int, not {value!r}: "
        f"use asyncexec.testing.injection.inject(plan, faults), which goes by the task's index"
    )
