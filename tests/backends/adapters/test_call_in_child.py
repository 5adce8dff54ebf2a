import os
import signal
import subprocess
import time

import pytest

from asyncexec.backends.adapters.call_in_child import run_in_child
from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.worker.attempt import decode
from asyncexec.worker.codec import decode_outcomes
from asyncexec.worker.programs import digest
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch


def packed(kernel, tasks) -> RemoteBatch:
    program = StageProgram(key="k", plan="p", stage="s", kernel=kernel, shape=(100,))
    call, failed = Packer().pack(program, [AttemptSpec(100 + task, task) for task in range(tasks)])
    assert not failed
    return call


def test_a_batch_runs_in_one_child_and_its_memory_is_measured():
    outcomes = decode_outcomes(run_in_child(packed(kernels.process, 3)))
    assert [o.attempt for o in outcomes] == [100, 101, 102]
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    (child,) = {decode(o.value) for o in outcomes}
    assert child != os.getpid()
    assert {o.worker.rpartition(":")[2] for o in outcomes} == {str(child)}
    assert all(o.peak_bytes > 0 for o in outcomes)


def test_a_task_that_ends_its_process_costs_its_own_attempt_alone():
    def kernel(index):
        if index == (1,):
            os.kill(os.getpid(), signal.SIGKILL)
        return index

    before, lost, after = decode_outcomes(run_in_child(packed(kernel, 3)))
    assert before.status is Status.SUCCEEDED
    assert lost.status is Status.LOST
    assert lost.started
    assert lost.worker == before.worker
    assert "killed by signal 9" in lost.error.message
    assert after.status is Status.LOST
    assert not after.started


def forks(_folder):
    copy = os.fork()
    if copy == 0:
        time.sleep(600)
    return copy


def starts_a_daemon(_folder):
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


def forks_a_daemon(folder):
    if os.fork() == 0:
        os.setsid()
        (folder / "daemon").write_text(str(starts_a_daemon(folder)))
        os._exit(0)
    while not (folder / "daemon").exists() or not (folder / "daemon").read_text():
        time.sleep(0.001)
    return int((folder / "daemon").read_text())


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("leave", [forks, starts_a_daemon, forks_a_daemon])
def test_what_a_task_leaves_running_holds_up_nothing_and_ends_with_the_batch(
    leave, killed, tmp_path
):
    def kernel(index):
        (tmp_path / "left").write_text(str(leave(tmp_path)))
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        return 7

    own = subprocess.Popen(["sleep", "600"])
    try:
        (outcome,) = decode_outcomes(run_in_child(packed(kernel, 1)))
        assert own.poll() is None
    finally:
        own.kill()
        own.wait()
    assert outcome.status is (Status.LOST if killed else Status.SUCCEEDED)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "left").read_text()), 0)


def test_an_exit_code_is_told():
    (lost,) = decode_outcomes(run_in_child(packed(kernels.die, 1)))
    assert lost.status is Status.LOST
    assert "exited with code 13" in lost.error.message


def test_a_value_larger_than_a_pipe_arrives():
    (outcome,) = decode_outcomes(run_in_child(packed(lambda index: bytes(3_000_000), 1)))
    assert decode(outcome.value) == bytes(3_000_000)


def test_a_program_that_is_missing_is_asked_for():
    assert (
        run_in_child(RemoteBatch(digest(b"never seen"), None, [AttemptSpec(1, 0)])) == NEEDS_PROGRAM
    )


def test_a_program_that_cannot_be_loaded_fails_every_job():
    call = RemoteBatch(
        digest(b"not a pickle"), b"not a pickle", [AttemptSpec(1, 0), AttemptSpec(2, 1)]
    )
    outcomes = decode_outcomes(run_in_child(call))
    assert [o.status for o in outcomes] == [Status.FAILED, Status.FAILED]
