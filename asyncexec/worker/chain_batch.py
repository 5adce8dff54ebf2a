"""A batch whose worker goes on with what reads it: each further attempt takes the value of one before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.control import BatchControl
from asyncexec.worker.local_batch import LocalBatch
from asyncexec.worker.records import AttemptSpec, attempts_of
from asyncexec.worker.reports import ReportBuffer
from asyncexec.worker.runner import BatchRunner

if TYPE_CHECKING:
    from asyncexec.worker.programs import LoadedProgram, ProgramSource
    from asyncexec.worker.reports import ReportSink

new = tuple.__new__  # A named tuple's own constructor takes three times as long.

type Link = tuple[ProgramSource, Sequence[AttemptSpec]]
"""Attempts of one stage; of each, ``inputs`` holds the id of the attempt whose value it takes."""


class ChainBatch(LocalBatch):
    """Attempts of one stage, and those of stages that follow it, on their way through one thread.

    An attempt whose predecessor has no value, because it failed or was stopped, does not start: it is reported as
    cancelled, without a start.

    Parameters
    ----------
    program : LoadedProgram
    specs : sequence of AttemptSpec
        Of the first stage.
    following : sequence of Link
    values : dict of int to value, optional
        Of attempts that have ended already, by id.
    """

    __slots__ = ("_following", "_stops", "_values")

    def __init__(
        self,
        program: LoadedProgram,
        specs: Sequence[AttemptSpec],
        following: Sequence[Link],
        values: dict[int, Any] | None = None,
    ) -> None:
        super().__init__(program, specs)
        self._following = following
        self.control = self._stops = BatchControl(self.attempts)
        self.reports = ReportBuffer(self._stops)
        self._values: dict[int, Any] = {} if values is None else values

    @property
    def attempts(self) -> list[int]:
        """The ids of all its attempts."""
        return [
            *attempts_of(self._specs),
            *(s.attempt for _, link in self._following for s in link),
        ]

    def run(self, worker: str, *, sink: ReportSink | None = None) -> bool:
        """Run the attempts in this thread; return False if it was left behind meanwhile, so that it must end."""
        self.reports.worker = worker
        reports = sink or self.reports
        runner = BatchRunner(
            self._specs,
            lambda: self.program,
            control=self._stops,
            sink=_ValueSink(reports, self._values),
            worker=worker,
            keep_exception=True,
        )
        finished = runner.run(
            (program, self._with_values(specs, reports)) for program, specs in self._following
        )
        if finished:
            # Those of the last stage have no reader in this batch.
            self._values.clear()
        return finished

    def _with_values(self, specs: Sequence[AttemptSpec], sink: ReportSink) -> Iterator[AttemptSpec]:
        """Yield those of ``specs`` that have an input, with it; the others are reported as cancelled."""
        # A generator: each is looked for when its turn comes, after the attempt before it has ended.
        values = self._values
        for spec in specs:
            (before,) = spec.inputs
            if before in values:
                # Taken out: nobody else reads the value, which is to be freed with the attempt.
                yield new(AttemptSpec, (spec[0], spec[1], (values.pop(before),), spec[3]))
            else:
                # By way of the control: one that was stopped meanwhile has been reported by whoever stopped it.
                for attempt in self._stops.stop((spec.attempt,), leave=False).not_started:
                    sink.ended(Outcome(attempt, Status.CANCELLED))

    def _rest(self) -> LocalBatch:
        waiting = self._stops.waiting
        following = [
            (program, [spec for spec in specs if spec.attempt in waiting])
            for program, specs in self._following
        ]
        specs = [spec for spec in self._specs if spec.attempt in waiting]
        return ChainBatch(self.program, specs, following, dict(self._values))


class _ValueSink:
    """Keeps the values of the attempts that succeed, for those that follow them, and passes all reports on."""

    def __init__(self, sink: ReportSink, values: dict[int, Any]) -> None:
        self.started = sink.started
        self.noted = sink.noted
        self._ended = sink.ended
        self._values = values

    def ended(self, outcome: Outcome) -> None:
        """Pass an outcome on."""
        if outcome[1] is Status.SUCCEEDED:
            self._values[outcome[0]] = outcome[8]
        self._ended(outcome)
