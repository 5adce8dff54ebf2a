"""One loop runs the attempts of a batch, whatever its control and its reports are."""

import contextvars
import decimal

from asyncexec.events.outcome import Status
from asyncexec.testing.kernels import Files
from asyncexec.worker.control import BatchControl
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.runner import BatchRunner

SPECS = [AttemptSpec(attempt, attempt) for attempt in (1, 2, 3)]


class Log:
    def __init__(self):
        self.reports = []

    def started(self, attempt):
        self.reports.append(("started", attempt))

    def ended(self, outcome):
        self.reports.append((outcome.status.value, outcome.attempt))
        self.last = outcome


def run(kernel, *, io=None, control=None, source=None, context=None, **options):
    log = Log()
    control = control or BatchControl([1, 2, 3])
    source = source or (lambda: LoadedProgram(kernel, io, (10,), context=context))
    finished = BatchRunner(SPECS, source, control=control, sink=log, worker="w", **options).run()
    return finished, log


def test_attempts_run_one_after_another_and_each_is_reported():
    finished, log = run(lambda index: index[0] and 1 // (index[0] - 2))
    assert finished
    assert log.reports == [
        ("started", 1),
        ("succeeded", 1),
        ("started", 2),
        ("failed", 2),
        ("started", 3),
        ("succeeded", 3),
    ]
    assert (log.last.value, log.last.worker) == (1, "w")


def test_an_attempt_that_was_dropped_is_not_mentioned():
    control = BatchControl([1, 2, 3])
    control.stop([2])
    finished, log = run(lambda index: index[0], control=control)
    assert finished
    assert [attempt for _, attempt in log.reports] == [1, 1, 3, 3]


def test_a_thread_that_was_left_behind_reports_nothing_more_and_does_not_save(tmp_path):
    control = BatchControl([1, 2, 3])
    io = Files(directory=tmp_path)
    stop = {(2,): [2]}
    finished, log = run(lambda index: control.stop(stop.get(index, ())), io=io, control=control)
    assert not finished
    assert log.reports == [("started", 1), ("succeeded", 1), ("started", 2)]
    assert [io.saved(task).exists() for task in (1, 2, 3)] == [True, False, False]


def test_a_program_that_cannot_be_loaded_fails_each_attempt_after_its_start():
    def broken():
        raise ImportError("no such module")

    finished, log = run(None, source=broken)
    assert finished
    assert log.reports[:2] == [("started", 1), ("failed", 1)]
    assert log.last.status is Status.FAILED
    assert log.last.started
    assert log.last.error.message == "no such module"
    assert log.last.error.exception is None


def test_a_program_is_loaded_once_and_only_if_an_attempt_starts():
    loads = []

    def source():
        loads.append(1)
        return LoadedProgram(lambda index: index[0], None, (10,))

    run(None, source=source)
    assert loads == [1]
    control = BatchControl([1, 2, 3])
    control.stop([1, 2, 3])
    run(None, source=source, control=control)
    assert loads == [1]


def test_context_variables_of_one_attempt_do_not_reach_the_next_where_that_is_asked_for():
    seen = []

    def kernel(index):
        seen.append(decimal.getcontext().prec)
        decimal.getcontext().prec = index[0]

    run(kernel, context=contextvars.copy_context())
    assert len(set(seen)) == 1


class Meter:
    def __init__(self):
        self.starts = []

    def start(self, *, saves):
        self.starts.append(saves)

    def peak_bytes(self):
        return 7


def test_each_attempt_is_measured_by_itself(tmp_path):
    meter = Meter()
    _, log = run(lambda index: index[0], meter=meter)
    run(lambda index: index[0], io=Files(directory=tmp_path), meter=meter)
    assert meter.starts == [False] * 3 + [True] * 3
    assert log.last.peak_bytes == 7


def test_a_worker_in_the_drivers_process_keeps_exceptions():
    error = LookupError("here")

    def kernel(index):
        raise error

    _, log = run(kernel, keep_exception=True)
    assert log.last.error.exception is error
