"""Calls to workers elsewhere: packed, sent, unpacked, with a worker that is a function of this process."""

import threading

import pytest

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.packing import SMALL_PROGRAM_BYTES
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.contract import AttemptSpec, Batch, StageProgram, Started
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker import remote_batch
from asyncexec.worker.attempt import decode
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.programs import LoadedProgram, ProgramCache
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch


def batch(kernel, jobs=3, inputs=()):
    program = StageProgram(key="p", plan="plan", stage="stage", kernel=kernel, shape=(100,))
    return Batch(program, [AttemptSpec(10 + task, task, inputs) for task in range(jobs)])


class Log(ReportStream):
    def __init__(self):
        super().__init__()
        self.reports = []

    def report(self, reports, outcomes):
        self.reports.extend(reports)


@pytest.fixture
def forgetful(monkeypatch):
    """A worker that has seen no program."""
    monkeypatch.setattr(remote_batch, "PROGRAMS", ProgramCache())


async def called(caller, work, send):
    log = Log()
    context = CallContext(work, log)
    context.ended(*await caller.call(work, context, send))
    return {report.attempt: report for report in log.reports}


async def streamed(caller, work, stream):
    log = Log()
    context = CallContext(work, log)
    context.ended(*await caller.stream(work, context, stream))
    return log.reports


async def send(call):
    return call()


async def stream(call):
    for frame in call.frames():
        yield frame


async def test_a_call_brings_the_outcomes_of_its_jobs(forgetful):
    outcomes = await called(RemoteCaller(), batch(lambda index: index[0] * 2), send)
    assert {a: decode(o.value) for a, o in outcomes.items()} == {10: 0, 11: 2, 12: 4}


async def test_an_input_that_cannot_travel_fails_its_own_job(forgetful):
    work = batch(lambda index, x: x, jobs=1, inputs=(5,))
    work.jobs.append(AttemptSpec(20, 1, (threading.Lock(),)))
    outcomes = await called(RemoteCaller(), work, send)
    assert outcomes[10].status is Status.SUCCEEDED
    assert outcomes[20].status is Status.FAILED
    assert "lock" in outcomes[20].error.message


async def test_a_program_that_cannot_travel_fails_every_job(forgetful):
    lock = threading.Lock()
    outcomes = await called(RemoteCaller(), batch(lambda index: lock), send)
    assert {o.status for o in outcomes.values()} == {Status.FAILED}
    assert {o.error.type for o in outcomes.values()} == {"asyncexec.errors.SerializationError"}


@pytest.mark.parametrize("way", ["call", "stream"])
async def test_a_large_program_travels_once_and_again_to_a_worker_that_lacks_it(
    forgetful, monkeypatch, way
):
    ballast, sent = bytes(SMALL_PROGRAM_BYTES + 1), []

    async def sending(call):
        sent.append(call.blob is not None)
        return call()

    async def streaming(call):
        sent.append(call.blob is not None)
        for frame in call.frames():
            yield frame

    def kernel(index):
        return len(ballast)

    work, caller = batch(kernel), RemoteCaller()

    async def run():
        if way == "call":
            return (await called(caller, work, sending)).values()
        return await streamed(caller, work, streaming)

    for _ in range(2):
        assert [decode(o.value) for o in await run()] == [len(ballast)] * 3
    monkeypatch.setattr(remote_batch, "PROGRAMS", ProgramCache())
    assert [decode(o.value) for o in await run()] == [len(ballast)] * 3
    assert sent == [True, False, False, True]


async def test_a_worker_that_keeps_asking_for_its_program_breaks_the_backend(forgetful):
    async def ask(_call):
        return NEEDS_PROGRAM

    with pytest.raises(BackendError, match="needs it"):
        await called(RemoteCaller(), batch(abs), ask)


async def test_a_stream_tells_of_ends_and_of_a_start_that_takes_long(forgetful):
    go = threading.Event()

    def kernel(index):
        return index[0] if index[0] == 0 else go.wait(20)

    remote_batch.PROGRAMS._programs[b"long"] = LoadedProgram(kernel, None, (100,))
    call = RemoteBatch(b"long", None, [AttemptSpec(1, 0), AttemptSpec(2, 1)])
    frames = call.frames()
    reports = decode_reports(next(frames))
    while not any(isinstance(r, Started) for r in reports):
        reports += decode_reports(next(frames))
    assert [r.attempt for r in reports] == [1, 2]
    assert isinstance(reports[0], Outcome)
    go.set()
    (last,) = [r for frame in frames for r in decode_reports(frame)]
    assert (last.attempt, decode(last.value)) == (2, True)


async def test_a_stream_loses_no_outcome(forgetful):
    reports = await streamed(RemoteCaller(), batch(lambda index: index[0], jobs=100), stream)
    outcomes = [r for r in reports if isinstance(r, Outcome)]
    assert sorted(decode(o.value) for o in outcomes) == list(range(100))


class Meter:
    """Says how often it was read since it was last started, and all in all."""

    def __init__(self):
        self.read = 0

    def start(self, *, saves):
        assert not saves
        self.fresh = 100

    def peak_bytes(self):
        self.read += 1
        self.fresh += 1
        return self.fresh + 1000 * self.read


async def test_a_stream_measures_the_memory_of_each_job_by_itself(forgetful):
    async def measuring(call):
        for frame in call.frames(meter=Meter()):
            yield frame

    reports = await streamed(RemoteCaller(), batch(lambda index: index[0]), measuring)
    peaks = {r.attempt: r.peak_bytes for r in reports if isinstance(r, Outcome)}
    assert peaks == {10: 1101, 11: 2101, 12: 3101}


async def test_a_stream_leaves_out_what_is_dropped(forgetful):
    call = RemoteBatch(
        b"drop", batch(lambda index: index[0]).program.blob, [AttemptSpec(1, 0), AttemptSpec(2, 1)]
    )
    control = call.control()
    assert control.stop([1]).not_started == [1]
    reports = [r for frame in call.frames(control) for r in decode_reports(frame)]
    assert [r.attempt for r in reports] == [2]
