"""The batch loop: run the attempts of a batch one after another, and report each; the same on every backend."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.worker.attempt import attempt_runner, describe
from asyncexec.worker.process_changes import CHANGES
from asyncexec.worker.run_scope import this_process
from asyncexec.worker.task_context import BATCH, CURRENT, BatchContext

if TYPE_CHECKING:
    from contextvars import Context

    from asyncexec.worker.control import AttemptControl
    from asyncexec.worker.memory import MemoryMeter
    from asyncexec.worker.programs import LoadedProgram, ProgramSource
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.reports import ReportSink
    from asyncexec.worker.task_context import Forwards


type Further = tuple[ProgramSource, Iterable[AttemptSpec]]
"""Attempts of another stage of the same run, with the source of their program."""


class BatchRunner:
    """Runs one batch, in the thread that calls :meth:`run`.

    Parameters
    ----------
    specs : iterable of AttemptSpec
        The attempts, in their order.
    program : callable
        Returns the program; called when the first attempt has started, so that one that ends the process on being
        loaded is charged to that attempt.
    control : AttemptControl
        Says before each attempt whether it may start, and before it saves whether it may save.
    sink : ReportSink
        Takes the reports. Of an attempt that was dropped or left behind there is none.
    worker : str
        The worker's name in outcomes.
    meter : MemoryMeter, optional
        Measures each attempt; for processes that run one attempt at a time.
    keep_exception : bool
        Whether outcomes hold the exception itself, for workers in the driver's process.
    owns_process : bool
        Whether nothing but batches like this one runs in the process.
    """

    def __init__(
        self,
        specs: Iterable[AttemptSpec],
        program: ProgramSource,
        *,
        control: AttemptControl,
        sink: ReportSink,
        worker: str,
        meter: MemoryMeter | None = None,
        keep_exception: bool = False,
        owns_process: bool = False,
    ) -> None:
        self._specs = specs
        self._source = program
        self._control = control
        self._sink = sink
        self._worker = worker
        self._meter = meter
        self._keep_exception = keep_exception
        self._owns_process = owns_process
        self._forwarding: Forwards | None = None
        self._saves = self._held = False
        self._begun = self._has_decimals = False
        self._context: Context | None = None

    def run(self, following: Iterable[Further] = ()) -> bool:
        """Run the attempts; return False if this thread was left behind, so that it must end.

        Where the program has a context, each attempt runs in a copy of it: what an attempt sets in context variables
        (NumPy's error state, decimal's precision) does not reach the next one.

        Parameters
        ----------
        following : iterable of (program, specs)
            Further attempts, of other stages of the same run, after these.
        """
        finished = self._run()
        for self._source, self._specs in following if finished else ():
            if not (finished := self._run()):
                break
        if self._held and not self._owns_process:
            let_go()
        CURRENT.set(None)
        BATCH.set(None)
        if self._forwarding is not None and self._forwarding.pending:
            self._forwarding.flush()
        return finished

    def _run(self) -> bool:
        # Local names: of a task that does nothing, this loop is most of the cost.
        begin, end = self._control.begin, self._control.end
        started, ended = self._sink.started, self._sink.ended
        meter, changes = self._meter, CHANGES.made
        run_one: Callable[[AttemptSpec], Outcome] | None = None
        context, forwarding = self._context, self._forwarding
        for spec in self._specs:
            attempt = spec[0]
            if not begin(attempt):
                continue
            started(attempt)
            if run_one is None:
                run_one = self._prepare()
                context, forwarding = self._context, self._forwarding
            # After the program is loaded: its memory, and that of the libraries it brings, is no attempt's.
            if meter is not None:
                meter.start(saves=self._saves)
            outcome = run_one(spec) if context is None else context.copy().run(run_one, spec)
            if changes:
                CHANGES.undo()
            if forwarding is not None and forwarding.pending:
                forwarding.flush(attempt)
            # Whoever left it behind has reported it as cancelled: a second outcome would be taken for another
            # attempt's.
            if not end():
                return False
            ended(outcome)
            del outcome  # as the traceback of a failure keeps this frame
        return True

    def _prepare(self) -> Callable[[AttemptSpec], Outcome]:
        """Load the program, and return how to run an attempt of it; what loading raises is why each one fails."""
        try:
            program = ready_program(self._source, self._worker)
            if not self._begun:
                self._begin(program)
        except BaseException as error:  # noqa: BLE001 - whatever importing users' modules raises
            return partial(_failed, describe(error, keep=self._keep_exception), self._worker)
        batch = batch_context(
            program,
            worker=self._worker,
            control=self._control,
            sink=self._sink,
            owns_process=self._owns_process,
        )
        self._forwarding = None if batch is None else batch.forwarding
        self._saves = program.io is not None
        if (begin := getattr(program.io, "begin", None)) is not None:
            begin()
        if self._context is None:
            BATCH.set(batch)
        else:
            self._context.run(BATCH.set, batch)
        run_one = attempt_runner(
            program.kernel,
            program.io,
            program.shape,
            worker=self._worker,
            fence=self._control,
            peak_bytes=None if self._meter is None else self._meter.peak_bytes,
            keep_exception=self._keep_exception,
            values=program.values,
        )
        return with_own_decimals(run_one) if self._has_decimals else run_one

    def _begin(self, program: LoadedProgram) -> None:
        """Find what is the same for all programs of a run, by the first that was loaded."""
        self._held = hold_settings(program)
        if program.context is not None:
            self._context = program.context.copy()
            self._has_decimals = has_decimals(program.context)
        self._begun = True


def ready_program(source: ProgramSource, worker: str) -> LoadedProgram:
    """Return the program, when the worker has called the initializer that the run asks for.

    What both have changed of the process stays.
    """
    before = frozenset(CHANGES.made)
    try:
        program = source()
        if program.scope is not None and program.scope.initializer is not None:
            program.scope.initializer.ensure(worker)
    finally:
        if CHANGES.made:
            CHANGES.keep_since(before)
    return program


def hold_settings(program: LoadedProgram) -> bool:
    """Have the driver's warning filters and logging levels hold; True if :func:`let_go` is to be called in the end."""
    scope = program.scope
    if scope is None or scope.settings is None:
        return False
    from asyncexec.worker.driver_settings import SETTINGS

    return SETTINGS.hold(scope.settings)


def let_go() -> None:
    """Put back, after the last batch, the filters and levels that were there before."""
    from asyncexec.worker.driver_settings import SETTINGS

    SETTINGS.release()


def batch_context(
    program: LoadedProgram,
    *,
    worker: str,
    control: AttemptControl,
    sink: ReportSink,
    owns_process: bool = False,
) -> BatchContext | None:
    """Return the context of a batch, or of one attempt that has a control of its own; None without a scope."""
    scope = program.scope
    if scope is None:
        return None
    if scope.logs is not None and scope.logs.driver == this_process():
        scope = scope._replace(logs=None)
    batch = BatchContext(
        scope, program.shape, worker, control=control, sink=sink, owns_process=owns_process
    )
    if scope.logs is not None:
        from asyncexec.worker.forwarding import forwarding

        batch.forwarding = forwarding()
        batch.forwarding.begin(batch)
    return batch


def has_decimals(context: Context | None) -> bool:
    """Return whether ``context`` holds one of the module decimal."""
    decimal = sys.modules.get("decimal")
    if context is None or decimal is None:
        return False
    return any(isinstance(value, decimal.Context) for value in context.values())


def own_decimals() -> None:
    """Set a copy of decimal's context, an object that copies of a context would share."""
    decimal = sys.modules["decimal"]
    decimal.setcontext(decimal.getcontext().copy())


def with_own_decimals(
    run_one: Callable[[AttemptSpec], Outcome],
) -> Callable[[AttemptSpec], Outcome]:
    """Return ``run_one`` with a copy of decimal's context for each attempt."""
    decimal = sys.modules["decimal"]
    of_caller, set_context = decimal.getcontext, decimal.setcontext

    def run(spec: AttemptSpec) -> Outcome:
        set_context(of_caller().copy())
        return run_one(spec)

    return run


def _failed(why: ErrorInfo, worker: str, spec: AttemptSpec) -> Outcome:
    return Outcome(spec.attempt, Status.FAILED, worker, time.time(), error=why)
