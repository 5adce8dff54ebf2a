"""The ``slurm`` executor without SLURM: its options, its files, and what it makes of what the queue says."""

import asyncio
import pickle
import resource
import stat
import struct
import threading
import time
from pathlib import Path

import pytest

import asyncexec as ax
from asyncexec.backends.contract import AttemptSpec as Task, StageProgram, Started
from asyncexec.backends.slurm import commands
from asyncexec.backends.slurm.channel import END, JobChannel
from asyncexec.backends.slurm.client import JobLostError, SlurmClient, SlurmJob
from asyncexec.backends.slurm.commands import JobState
from asyncexec.backends.slurm.idle_jobs import IdleJobs
from asyncexec.backends.slurm.options import SlurmOptions
from asyncexec.backends.slurm.worker_side import JobMain, JobPayload
from asyncexec.errors import BackendError, OptionError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.policies.classification import FailureKind, classify
from asyncexec.worker.attempt import decode, describe
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.programs import digest
from asyncexec.worker.remote_batch import RemoteBatch

submitit = pytest.importorskip("submitit")

from asyncexec.backends.slurm import SlurmBackend


@pytest.fixture
def channel(tmp_path):
    made = JobChannel(tmp_path / "job")
    made.create()
    return made


@pytest.fixture
def client(tmp_path):
    return SlurmClient(
        SlurmOptions(
            env_vars={"TOKEN": "it's secret"},
            folder=tmp_path,
            max_workers=4,
            poll_seconds=0.0,
            linger_seconds=1.0,
        )
    )


@pytest.fixture
def no_cluster(monkeypatch):
    """A machine where SLURM's programs are, and do nothing."""
    monkeypatch.setattr(commands, "check_programs", lambda: None)
    monkeypatch.setattr(commands, "check_request", lambda flags: None)
    monkeypatch.setattr(commands, "kill_all", lambda name: None)
    monkeypatch.setattr("submitit.SlurmExecutor.affinity", classmethod(lambda cls: 2))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"max_workers": 0}, "max_workers"),
        ({"cpus": 1.5}, "cpus"),
        ({"gpus": -1}, "gpus"),
        ({"memory": "much"}, "memory"),
        ({"time_limit": "1h"}, "time_limit"),
        ({"poll_seconds": -1}, "poll_seconds"),
        ({"env_vars": {"A": 1}}, "env_vars"),
        ({"slurm_additional_parameters": {"--constraint": "x"}}, "without dashes"),
        ({"slurm_additional_parameters": {"job-name": "x"}}, "executor's own"),
    ],
)
def test_an_option_that_is_not_what_it_should_be_is_refused_by_name(options, said):
    with pytest.raises(OptionError, match=said):
        SlurmBackend(**options)


def test_the_memory_of_a_job_is_what_plans_are_held_to():
    assert SlurmBackend(memory="2GB").capabilities.worker_bytes == 2_000_000_000
    assert SlurmBackend().capabilities.worker_bytes is None


def test_what_is_asked_for_is_told_in_the_words_of_sbatch():
    options = SlurmOptions(
        partition="long",
        cpus=2,
        gpus=1,
        memory="1.5GB",
        time_limit=61,
        slurm_additional_parameters={"constraint": "x", "exclusive": True},
    )
    assert options.sbatch_flags() == [
        "--partition=long",
        "--cpus-per-task=2",
        "--gpus-per-node=1",
        "--mem=1431M",
        "--time=2",
        "--no-requeue",
        "--constraint=x",
        "--exclusive",
    ]


async def test_without_slurm_the_error_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"sbatch, squeue, scancel, srun not found.*login node"):
        async with SlurmBackend(folder=tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_the_states_of_jobs_are_read_by_their_ids():
    found = commands.parse_states("7_1|PENDING|Priority\n7_0|RUNNING|None\n\nnonsense\n")
    assert found == {"7_1": JobState("PENDING", "Priority"), "7_0": JobState("RUNNING", "None")}
    found["8"] = JobState("OUT_OF_MEMORY")
    assert commands.missing(found, ["7_0", "7_1", "8", "9"]) == {"8", "9"}


# The files.


def test_frames_come_whole_and_once(channel):
    channel.report([Started(5, "here")])
    (frame,) = channel.answer.frames()
    assert decode_reports(frame) == [Started(5, "here")]
    assert channel.answer.frames() == []
    with (channel.folder / "answer").open("ab") as file:
        file.write(struct.pack("<Q", 4) + b"ab")
    assert channel.answer.frames() == []
    with (channel.folder / "answer").open("ab") as file:
        file.write(b"cd")
    channel.answer.append(END)
    assert channel.answer.frames() == [b"abcd", END]


def test_what_was_dropped_is_known_even_while_more_is_being_written(channel):
    channel.drop([3, 2**40])
    with (channel.folder / "dropped").open("ab") as file:
        file.write(b"\x09\x00")
    assert [channel.was_dropped(a) for a in (3, 2**40, 9, 4)] == [True, True, False, False]


def in_job(tmp_path, channel, kernel, tasks, *, io=None, blob=None, key=None, last=True):
    """A job with one batch to run, and then to end."""
    shape = (1_000_000,)
    program = StageProgram(key="p", plan="p", stage="s", kernel=kernel, shape=shape, io=io)
    file = tmp_path / "program"
    file.write_bytes(blob or program.blob)
    call = RemoteBatch(key or digest(program.blob), None, [Task(10 + t, t) for t in tasks])
    channel.work.append(pickle.dumps(JobPayload(call, str(file))))
    if last:
        channel.work.append(END)
    return JobMain(str(channel.folder), idle_seconds=20.0)


def reports_of(channel):
    *frames, last = channel.answer.frames()
    assert last == END
    return [report for frame in frames for report in decode_reports(frame)]


@pytest.fixture
def signals():
    """What a job does about signals stays in the job."""
    import signal

    kinds = (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR2)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    yield
    for kind, handler in before.items():
        signal.signal(kind, handler)


def test_a_job_tells_the_start_and_the_end_of_each_task(tmp_path, channel, signals):
    in_job(tmp_path, channel, lambda index: index[0] * 2, [1, 2])()
    reports = reports_of(channel)
    assert [(type(r), r.attempt) for r in reports] == [
        (Started, 11),
        (Outcome, 11),
        (Started, 12),
        (Outcome, 12),
    ]
    assert [decode(r.value) for r in reports if isinstance(r, Outcome)] == [2, 4]


def test_a_job_leaves_out_what_was_dropped(tmp_path, channel, signals):
    channel.drop([11])
    in_job(tmp_path, channel, lambda index: index[0], [1, 2])()
    assert [r.attempt for r in reports_of(channel) if isinstance(r, Outcome)] == [12]


def test_a_task_that_is_dropped_while_it_runs_does_not_save(tmp_path, channel, signals):
    from asyncexec.testing.kernels import Files

    io = Files(directory=tmp_path)
    folder = str(channel.folder)

    def kernel(index):
        JobChannel(Path(folder)).drop([11])

    in_job(tmp_path, channel, kernel, [1, 2], io=io)()
    outcomes = {r.attempt: r.status for r in reports_of(channel) if isinstance(r, Outcome)}
    assert outcomes == {11: Status.CANCELLED, 12: Status.SUCCEEDED}
    assert not io.saved(1).exists()
    assert io.saved(2).exists()


def test_a_program_that_cannot_be_loaded_fails_its_tasks(tmp_path, channel, signals):
    in_job(tmp_path, channel, abs, [1], blob=b"no pickle", key=b"of its own")()
    (outcome,) = [r for r in reports_of(channel) if isinstance(r, Outcome)]
    assert outcome.status is Status.FAILED
    assert "UnpicklingError" in outcome.error.type


def test_a_job_runs_one_batch_after_another_until_the_end(tmp_path, channel, signals):
    in_job(tmp_path, channel, lambda index: index[0], [1], last=False)
    in_job(tmp_path, channel, lambda index: index[0], [2])
    in_job(tmp_path, channel, lambda index: index[0], [3])()
    frames = channel.answer.frames()
    assert frames.count(END) == 2
    reports = [r for frame in frames if frame != END for r in decode_reports(frame)]
    assert [r.attempt for r in reports if isinstance(r, Outcome)] == [11, 12]


def test_a_job_that_its_driver_has_left_ends_by_itself(channel, signals):
    JobMain(str(channel.folder), idle_seconds=0.05)()
    assert channel.answer.frames() == []


# The client.


def test_what_lies_in_the_folder_is_for_this_user_alone_and_is_removed(
    client, tmp_path, no_cluster
):
    client.open()
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    environment = folder / "environment"
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    assert environment.read_text() == "export TOKEN='it'\"'\"'s secret'\n"
    script = client._executor._make_submission_file_text("true", "x")
    assert "secret" not in script
    assert f". {environment}" in script
    assert "#SBATCH --no-requeue" in script
    client.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(client, tmp_path, no_cluster):
    tmp_path.rmdir()
    tmp_path.touch()
    with pytest.raises(BackendError, match="visible under the same path"):
        client.open()


class Queue:
    """What ``squeue`` says, one answer after another."""

    def __init__(self, monkeypatch, *answers):
        self.answers = list(answers)
        monkeypatch.setattr(commands, "states", lambda name: self.answers.pop(0))


def watched(client, channel):
    return SlurmJob(channel=channel, id="7_1")


def test_a_job_that_is_gone_without_a_word_is_lost_when_that_is_certain(
    client, channel, monkeypatch
):
    job = watched(client, channel)
    gone = {"7_1": JobState("NODE_FAIL")}
    Queue(monkeypatch, {"7_1": JobState("RUNNING")}, None, gone, gone)
    assert [client.poll([job]) for _ in range(3)] == [[], [], []]
    (update,) = client.poll([job])
    assert isinstance(update.error, JobLostError)
    assert "job 7_1 ended (NODE_FAIL)" in str(update.error)
    assert "left no log" in str(update.error)


def test_a_job_that_has_marked_its_end_is_lost_as_soon_as_the_queue_has_let_it_go(
    client, channel, monkeypatch, tmp_path
):
    job = watched(client, channel)
    (tmp_path / "ended").mkdir()
    (tmp_path / "ended" / "7_1").touch()
    Queue(monkeypatch, {"7_1": JobState("COMPLETING")}, {"7_1": JobState("OUT_OF_MEMORY")})
    assert client.poll([job]) == []
    (update,) = client.poll([job])
    assert isinstance(update.error, MemoryError)


def test_a_job_that_is_gone_and_has_told_its_end_has_ended(client, channel, monkeypatch):
    job = watched(client, channel)
    Queue(monkeypatch, {}, {})
    channel.report([Started(1, "w")])
    (update,) = client.poll([job])
    assert (update.reports, update.error) == ([Started(1, "w")], None)
    channel.answer.append(END)
    (update,) = client.poll([job])
    assert (update.ended, update.error) == (True, None)


def test_a_job_that_would_wait_for_ever_is_an_error(client, channel, monkeypatch):
    Queue(monkeypatch, {"7_1": JobState("PENDING", "PartitionTimeLimit")})
    (update,) = client.poll([watched(client, channel)])
    assert isinstance(update.error, BackendError)
    assert "PartitionTimeLimit" in str(update.error)


def test_an_answer_that_is_none_breaks_the_executor(client, channel, monkeypatch):
    Queue(monkeypatch, None)
    with (channel.folder / "answer").open("ab") as file:
        file.write(struct.pack("<Q", 5) + b"hello")
    (update,) = client.poll([watched(client, channel)])
    assert isinstance(update.error, BackendError)


def test_a_refused_submission_says_what_slurm_said(client, monkeypatch, no_cluster):
    client.open()

    class Refusing:
        def submit_array(self, calls):
            raise RuntimeError("sbatch: error: QOSMaxSubmitJobPerUserLimit")

    client._executor = Refusing()
    with pytest.raises(BackendError, match="QOSMaxSubmitJobPerUserLimit"):
        client.assign({client.new_job(): RemoteBatch(b"key", b"blob", [])})
    client.close()


def test_new_jobs_are_one_array_and_old_ones_get_messages(client, monkeypatch, no_cluster):
    client.open()
    arrays = []

    class Taking:
        def submit_array(self, calls):
            arrays.append(calls)
            return [type("Handle", (), {"job_id": f"3_{n}"}) for n, _ in enumerate(calls)]

    client._executor = Taking()
    call = RemoteBatch(b"key", b"blob", [Task(1, 1)])
    jobs = [client.new_job() for _ in range(3)]
    client.assign(dict.fromkeys(jobs, call))
    client.assign({jobs[1]: RemoteBatch(b"key", None, [Task(2, 2)])})
    assert [job.id for job in jobs] == ["3_0", "3_1", "3_2"]
    assert [len(array) for array in arrays] == [3]
    batches = [pickle.loads(frame) for frame in jobs[1].channel.work.frames()]
    assert [[task.attempt for task in batch.call.jobs] for batch in batches] == [[1], [2]]
    assert [batch.call.blob for batch in batches] == [None, None]
    assert {Path(batch.program).read_bytes() for batch in batches} == {b"blob"}
    client.end_jobs(jobs)
    assert jobs[0].channel.work.frames()[-1] == END
    client.close()


# Who is idle.


def idle_jobs(linger_seconds=10.0, max_age_seconds=100.0):
    names = (f"job {n}" for n in range(1, 10))
    return IdleJobs(
        lambda: next(names), linger_seconds=linger_seconds, max_age_seconds=max_age_seconds
    )


def test_the_job_that_was_idle_last_is_taken_first_and_a_new_one_when_there_is_none():
    kept = idle_jobs()
    first, second = kept.take(), kept.take()
    kept.add(first)
    kept.add(second)
    assert [kept.take(), kept.take(), kept.take()] == ["job 2", "job 1", "job 3"]


def test_who_is_idle_for_too_long_goes():
    kept = idle_jobs(linger_seconds=0.0)
    kept.add(kept.take())
    assert kept.next_expiry == 0.0
    assert kept.take_expired() == ["job 1"]
    assert kept.take_expired() == []
    assert kept.take() == "job 2"
    assert kept.next_expiry is None


def test_a_job_that_slurm_may_end_soon_gets_no_more_to_do():
    kept = idle_jobs(max_age_seconds=0.0)
    job = kept.take()
    kept.mark_running(job, "a:1")
    time.sleep(0.001)
    kept.add(job)
    assert kept.take_expired() == [job]


def three_idle(kept):
    """Have three jobs, called a, b and c, that have nothing to do; c the last."""
    jobs = dict(zip("abc", [kept.take() for _ in range(3)], strict=True))
    for worker, job in jobs.items():
        kept.mark_running(job, worker)
        kept.add(job)
    return jobs


def test_a_job_that_is_avoided_gets_nothing_and_takes_up_room():
    kept = idle_jobs()
    jobs = three_idle(kept)
    kept.avoid({"c"})
    assert kept.resting == 1
    assert [kept.take(), kept.take(), kept.take()] == [jobs["b"], jobs["a"], "job 4"]
    kept.avoid(())
    assert kept.resting == 0
    assert kept.take() == jobs["c"]


def test_a_job_that_is_avoided_takes_up_room_when_its_batch_has_ended():
    kept = idle_jobs()
    three_idle(kept)
    job = kept.take()
    kept.avoid({"c"})
    assert kept.resting == 0
    kept.add(job)
    assert kept.resting == 1


def test_a_job_that_is_avoided_goes_like_others_and_leaves_its_room_to_a_new_one():
    kept = idle_jobs(linger_seconds=0.0)
    jobs = three_idle(kept)
    kept.avoid({"a"})
    assert set(kept.take_expired()) == set(jobs.values())
    assert kept.resting == 0
    assert kept.take() == "job 4"


def test_avoiding_all_jobs_or_none_that_is_there_changes_nothing():
    kept = idle_jobs()
    jobs = three_idle(kept)
    for workers in ({"x"}, {"a", "b", "c"}):
        kept.avoid(workers)
        assert kept.resting == 0
    assert kept.take() == jobs["c"]


def test_what_is_to_run_apart_goes_to_another_job_if_one_is_idle():
    kept = idle_jobs()
    jobs = three_idle(kept)
    assert kept.take({"b", "c"}) == jobs["a"]
    assert kept.take({"b", "c"}) == jobs["c"]


def test_a_job_that_slurm_ends_for_its_memory_is_out_of_memory_and_not_just_lost(client):
    job = SlurmJob(channel=JobChannel(client._folder / "job"), id="7")
    error = client._lost_error(job, JobState("OUT_OF_MEMORY"))
    lost = Outcome(1, Status.LOST, "w", 1.0, error=describe(error))
    assert classify(lost) is FailureKind.OUT_OF_MEMORY
    assert "job 7" in str(error)


def test_the_memory_of_a_job_limits_its_tasks_where_the_cluster_does_not(tmp_path):
    options = {"folder": tmp_path, "memory": "1GB"}
    backend = SlurmBackend(**options)
    assert backend.capabilities.guarantees_memory
    call = RemoteBatch(b"k", None, [], memory_bytes=10**9)
    assert call.with_jobs([], None).memory_bytes == 10**9
    seen = []

    class Seen:
        def run(self):
            seen.append(resource.getrlimit(resource.RLIMIT_DATA)[0])

    before = resource.getrlimit(resource.RLIMIT_DATA)
    call.confined(Seen()).run()
    assert 10**9 <= seen[0] < before[1] or before[1] == resource.RLIM_INFINITY
    assert seen[0] != resource.RLIM_INFINITY
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.usefixtures("no_cluster")
def test_the_output_of_jobs_is_kept_where_the_user_says(tmp_path):
    kept = tmp_path / "logs"
    client = SlurmClient(SlurmOptions(folder=tmp_path / "work", log_folder=kept))
    client.open()
    (client._folder / "submitit").mkdir(exist_ok=True)
    (client._folder / "submitit" / "7_0_log.out").write_text("task says 3")
    client.close()
    assert [file.read_text() for file in kept.iterdir()] == ["task says 3"]
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("ending", ["timeout", "cancel"])
async def test_entering_ends_although_slurm_does_not_answer(tmp_path, monkeypatch, ending):
    release = threading.Event()
    monkeypatch.setattr(commands, "check_programs", lambda: None)
    monkeypatch.setattr(commands, "check_request", lambda flags: release.wait(60))
    monkeypatch.setattr(commands, "kill_all", lambda name: None)
    monkeypatch.setattr("submitit.SlurmExecutor.affinity", classmethod(lambda cls: 2))
    options = {"folder": tmp_path, "start_timeout": 0.05 if ending == "timeout" else 50.0}
    engine = ax.Engine(executor="slurm", executor_options=options)
    try:
        if ending == "timeout":
            with pytest.raises(BackendError, match=r"within 0.05 s.*scontrol ping"):
                await engine.__aenter__()
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await engine.__aenter__()
        assert not release.is_set()
    finally:
        release.set()
