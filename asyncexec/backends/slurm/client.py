"""The blocking side of the driver: submit jobs, read answers, query the queue, kill. Used in one thread."""

from __future__ import annotations

import logging
import pickle
import shlex
import shutil
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from asyncexec.backends.contract import Report
from asyncexec.backends.slurm import commands
from asyncexec.backends.slurm.channel import END, JobChannel
from asyncexec.backends.slurm.commands import NEVER, OVER_MEMORY, JobState
from asyncexec.backends.slurm.options import SlurmOptions
from asyncexec.backends.slurm.worker_side import JobMain, JobPayload
from asyncexec.errors import BackendError
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.remote_batch import RemoteBatch

RECHECK_SECONDS = 1.0
ENDED_SECONDS = 0.2
MAX_MISSES = 2
LOG_CHARACTERS = 400
# A job ends by itself when its driver has been silent for this much longer than a job may be idle.
ORPHAN_SECONDS = 60.0
REMOVALS = 10
REMOVAL_PAUSE_SECONDS = 0.1
# Each array is one file with its arguments; submitit would refuse large ones.
LARGEST_GB = 1_000.0

logger = logging.getLogger(__name__)


class JobLostError(Exception):
    """A job ended without having reported the end of its tasks."""


class JobMemoryError(JobLostError, MemoryError):
    """A job was ended by SLURM because it held more memory than it may."""


@dataclass(eq=False, slots=True, kw_only=True)
class SlurmJob:
    """A SLURM job; ``id`` is empty until it is submitted. It has one batch at a time."""

    channel: JobChannel
    id: str = ""
    misses: int = 0
    ended: bool = False
    """Whether it has marked its end, so that all it has written can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate:
    """The changes of a job since the last poll: reports, the end of its batch, or the error that prevents it."""

    job: SlurmJob
    reports: Sequence[Report] = ()
    ended: bool = False
    error: Exception | None = None
    dropped: Collection[int] = field(default=frozenset())


class SlurmClient:
    """Submits, feeds, watches and kills jobs.

    Parameters
    ----------
    options : SlurmOptions
    """

    def __init__(self, options: SlurmOptions) -> None:
        self._options = options
        self._parent = options.shared_folder
        self._patience = options.linger_seconds + ORPHAN_SECONDS
        self._name = ""
        self._folder = self._parent
        self._executor: Any = None
        self._queried_at = 0.0
        self._made = 0
        self._ending: deque[tuple[float, SlurmJob]] = deque()

    def open(self) -> None:
        """Check that jobs can be submitted, and make a folder for them.

        Raises BackendError if there is no SLURM here, or the folder cannot be created, and OptionError if SLURM would
        refuse such jobs.
        """
        commands.check_programs()
        commands.check_request(self._options.sbatch_flags())
        self._name = f"asyncexec-{uuid4().hex[:12]}"
        self._folder = self._parent / self._name
        try:
            # Only this user may write there, because jobs unpickle and run the contents.
            (self._folder / "programs").mkdir(parents=True)
            self._ended.mkdir()
            self._folder.chmod(0o700)
            setup = self._write_environment()
        except OSError as error:
            raise BackendError(
                f"executor 'slurm': folder={str(self._parent)!r} cannot be used: {error}. It must be "
                f"writable here, and visible under the same path where jobs run"
            ) from error
        self._executor = self._make_executor(setup)

    def _write_environment(self) -> list[str]:
        """Return the commands before a job's own: it marks its end, and sets the environment.

        The values stay out of the script, which the cluster keeps.
        """
        job = '"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"'
        mark = f"touch {shlex.quote(str(self._ended))}/{job}"
        commands_before = [f"trap {shlex.quote(mark)} EXIT"]
        variables = self._options.env_vars
        if not variables:
            return commands_before
        file = self._folder / "environment"
        file.touch(mode=0o600)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        file.write_text("".join(lines))
        return [*commands_before, f". {shlex.quote(str(file))}"]

    def _make_executor(self, setup: list[str]) -> Any:
        from submitit import SlurmExecutor

        executor = SlurmExecutor(
            self._folder / "submitit",
            max_num_timeout=0,  # A job runs once: retries are the engine's.
            max_pickle_size_gb=LARGEST_GB,
            python=self._options.python,
        )
        executor.update_parameters(
            **self._options.job_arguments(),
            job_name=self._name,
            array_parallelism=self._options.max_workers,
            stderr_to_stdout=True,
            setup=setup,
            additional_parameters=self._options.additional_arguments(),
        )
        return executor

    def new_job(self) -> SlurmJob:
        """Return a job that is not submitted yet; may be called in any thread."""
        self._made += 1
        return SlurmJob(channel=JobChannel(self._folder / "jobs" / str(self._made)))

    def assign(self, assignments: Mapping[SlurmJob, RemoteBatch]) -> None:
        """Assign a call to each job; new jobs are submitted: one, or an array of them.

        Raises BackendError if SLURM refuses them.
        """
        new_jobs = [job for job in assignments if not job.id]
        for job in new_jobs:
            job.channel.create()
        for job, call in assignments.items():
            batch = JobPayload(call.with_jobs(call.jobs, None), self._program(call))
            job.channel.work.append(pickle.dumps(batch))
        if not new_jobs:
            return
        try:
            submitted = self._executor.submit_array(
                [JobMain(str(job.channel.folder), self._patience) for job in new_jobs]
            )
        except Exception as error:
            message = " ".join(str(error).split())
            raise BackendError(f"executor 'slurm': jobs cannot be submitted: {message}") from error
        for job, handle in zip(new_jobs, submitted, strict=True):
            job.id = handle.job_id

    def _program(self, call: RemoteBatch) -> str:
        """Return the file of the program: one for all jobs, rather than a copy in each."""
        program = self._folder / "programs" / call.key.hex()
        if call.blob is not None and not program.exists():
            unfinished = program.with_suffix(".part")
            unfinished.write_bytes(call.blob)
            unfinished.rename(program)
        return str(program)

    def poll(
        self, jobs: Collection[SlurmJob], drops: Mapping[SlurmJob, Collection[int]] | None = None
    ) -> list[JobUpdate]:
        """Drop attempts, and return the updates of ``jobs``."""
        drops = drops or {}
        for job, attempts in drops.items():
            job.channel.drop(attempts)
        # Before their answers are read: those of a job that has marked its end are then complete.
        ended = self._marked_ends()
        for job in jobs:
            job.ended = job.id in ended
        states = self._query_states(jobs)
        updates = [self._poll_job(job, states, drops.get(job, ())) for job in jobs]
        return [n for n in updates if n.reports or n.ended or n.error or n.dropped]

    def _marked_ends(self) -> set[str]:
        """Return the ids of the jobs that have marked their end, as all do that are not killed."""
        try:
            return {path.name for path in self._ended.iterdir()}
        except OSError:
            return set()  # The file server is away: the queue tells later.

    @property
    def _ended(self) -> Path:
        return self._folder / "ended"

    def _query_states(self, jobs: Collection[SlurmJob]) -> dict[str, JobState] | None:
        poll = self._options.poll_seconds
        interval = poll
        if any(job.ended for job in jobs):
            interval = min(ENDED_SECONDS, poll)
        elif any(job.misses for job in jobs):
            interval = min(RECHECK_SECONDS, poll)
        now = time.monotonic()
        if now - self._queried_at < interval:
            return None
        self._queried_at = now
        return commands.states(self._name)

    def _poll_job(
        self, job: SlurmJob, states: Mapping[str, JobState] | None, dropped: Collection[int]
    ) -> JobUpdate:
        reports: list[Report] = []
        ended = False
        error: Exception | None = None
        try:
            for frame in job.channel.answer.frames():
                ended = ended or frame == END
                reports += decode_reports(frame) if frame != END else []
        except BackendError as failure:
            error = failure
        except OSError:
            pass  # The file server may be away for a moment; if it stays away, the job is found missing.
        if states is not None and not ended and error is None:
            error = self._check_alive(job, states, reported=bool(reports))
        return JobUpdate(job=job, reports=reports, ended=ended, error=error, dropped=dropped)

    def _check_alive(
        self, job: SlurmJob, states: Mapping[str, JobState], *, reported: bool
    ) -> Exception | None:
        """Return the error if a job will never end its batch; None as long as it may."""
        state = states.get(job.id, JobState("gone"))
        if state.state == "PENDING" and state.reason in NEVER:
            return BackendError(
                f"executor 'slurm': job {job.id} would wait for ever ({state.reason}). Ask for less, "
                f"or for another partition"
            )
        if not commands.missing(states, [job.id]):
            job.misses = 0
            return None
        # Its last reports may still be on their way through the file system.
        job.misses = 0 if reported else job.misses + 1
        is_certain = job.ended or job.misses >= MAX_MISSES
        return self._lost_error(job, state) if is_certain else None

    def _lost_error(self, job: SlurmJob, state: JobState) -> JobLostError:
        log = self._folder / "submitit" / f"{job.id}_0_log.out"
        try:
            end = " ".join(log.read_text(errors="replace").split())[-LOG_CHARACTERS:]
        except OSError:
            end = ""
        why = f"SLURM's job {job.id} ended ({state.state}) before its tasks did"
        lost = JobMemoryError if state.state in OVER_MEMORY else JobLostError
        if end:
            return lost(f"{why}; its log ends with: {end}")
        return lost(
            f"{why}, and left no log: is the folder {str(self._parent)!r} the same where jobs run?"
        )

    def kill(self, jobs: Collection[SlurmJob]) -> None:
        """Kill these jobs."""
        commands.kill([job.id for job in jobs if job.id], self._name)

    def end_jobs(self, jobs: Collection[SlurmJob]) -> None:
        """End idle jobs, and remove the files of those that have had the time for it."""
        now = time.monotonic()
        for job in jobs:
            job.channel.work.append(END)
            self._ending.append((now, job))
        while self._ending and now - self._ending[0][0] > ORPHAN_SECONDS:
            self.forget([self._ending.popleft()[1]])

    def forget(self, jobs: Collection[SlurmJob]) -> None:
        """Remove the files of jobs that have ended."""
        for job in jobs:
            shutil.rmtree(job.channel.folder, ignore_errors=True)

    def close(self) -> None:
        """Kill every job, and remove the folder."""
        if self._executor is not None:
            self._executor = None
            try:
                commands.kill_all(self._name)
            finally:
                self._ending.clear()
                self._keep_logs()
                self._remove_folder()

    def _keep_logs(self) -> None:
        """Move the output of jobs to the folder where it is kept, if there is one."""
        if self._options.log_folder is None:
            return
        kept = Path(self._options.log_folder).expanduser()
        for log in (self._folder / "submitit").glob("*_log.out"):
            try:
                kept.mkdir(parents=True, exist_ok=True)
                shutil.move(log, kept / f"{self._name}-{log.name}")
            except OSError as error:
                logger.warning("executor 'slurm': a job's output cannot be kept: %s", error)
                return

    def _remove_folder(self) -> None:
        for _ in range(REMOVALS):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(REMOVAL_PAUSE_SECONDS)  # A dying job may still write its log.
