import threading

from asyncexec.backends.adapters.calls_in_worker import RemoteCall
from asyncexec.backends.adapters.reins import Reins
from asyncexec.backends.contract import Job, Program
from asyncexec.backends.wire import decode_reports
from asyncexec.events.outcome import Outcome

JOBS = [Job(attempt, attempt) for attempt in (1, 2, 3)]


def test_what_has_not_started_is_dropped():
    reins = Reins(JOBS)
    assert reins.begin(1) is not None
    assert reins.stop([2, 99]).dropped == [2]
    assert reins.begin(2) is None
    assert reins.end()
    assert reins.begin(3) is not None


def test_what_runs_is_left_behind_unless_it_is_saving():
    reins, left = Reins(JOBS), []
    reins.on_left = lambda: left.append(True)
    fence = reins.begin(1)
    fence.take()  # It saves.
    assert reins.stop([1]) == ([], [])
    assert reins.end()
    reins.begin(2)
    assert reins.stop([2], leave=False) == ([], [])
    assert reins.stop([1, 2]) == ([], [2])
    assert left == [True]
    assert not reins.end()
    assert reins.begin(3) is None


def test_what_has_ended_is_not_left_behind():
    reins = Reins(JOBS)
    reins.begin(1)  # Fails, so that nobody takes the fence.
    assert reins.end()
    assert reins.stop([1]) == ([], [])
    assert reins.begin(2) is not None


def test_frames_end_when_the_job_that_runs_is_left_behind():
    begun, release = threading.Event(), threading.Event()

    def kernel(index):
        if index == (2,):
            begun.set()
            release.wait(30)
        return index[0]

    program = Program(key="k", plan="p", stage="s", kernel=kernel, shape=(10,))
    call, reins = RemoteCall(b"reins-test", b"", JOBS), Reins(JOBS)
    call._program = lambda _worker: (program.kernel, program.io, program.shape)
    threading.Thread(target=lambda: (begun.wait(30), reins.stop([2]))).start()
    reports = [r for frame in call.frames(reins=reins) for r in decode_reports(frame)]
    release.set()
    assert [r.attempt for r in reports if isinstance(r, Outcome)] == [1]
