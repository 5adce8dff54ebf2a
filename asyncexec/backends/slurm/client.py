"""Everything here that blocks: submitting, looking at answers, asking the queue, killing. Used in one thread."""

from __future__ import annotations

import pickle
import shlex
import shutil
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from asyncexec.backends.contract import Report
from asyncexec.backends.slurm import commands, request
from asyncexec.backends.slurm.channel import END, JobChannel
from asyncexec.backends.slurm.commands import NEVER, JobState
from asyncexec.backends.slurm.options import SlurmOptions
from asyncexec.backends.slurm.worker_side import InJob, JobPayload
from asyncexec.errors import BackendError
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.remote_batch import RemoteBatch

SUSPICIOUS_SECONDS = 1.0
SIGHTINGS = 2
LOG_CHARACTERS = 400
# A job ends by itself when its driver has been silent for so much longer than it should be.
FORSAKEN_SECONDS = 60.0
REMOVALS = 10
REMOVAL_PAUSE_SECONDS = 0.1
# Each array is a file with its arguments in it; submitit would refuse large ones.
LARGEST_GB = 1_000.0


class JobLostError(Exception):
    """A job ended without having told the end of its tasks."""


@dataclass(eq=False, slots=True, kw_only=True)
class Job:
    """One job of SLURM's; ``id`` is empty until it is submitted. It has one batch at a time."""

    channel: JobChannel
    id: str = ""
    sightings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What was heard of a job: reports, that its batch has ended, or why it will not."""

    job: Job
    reports: Sequence[Report] = ()
    ended: bool = False
    error: Exception | None = None
    dropped: Collection[int] = field(default=frozenset())


class Desk:
    """Where jobs are submitted and watched.

    Parameters
    ----------
    options : SlurmOptions
    """

    def __init__(self, options: SlurmOptions) -> None:
        self._options = options
        self._parent = options.shared_folder
        self._patience = options.linger_seconds + FORSAKEN_SECONDS
        self._name = ""
        self._folder = self._parent
        self._executor: Any = None
        self._asked_at = 0.0
        self._made = 0
        self._leaving: deque[tuple[float, Job]] = deque()

    def open(self) -> None:
        """See that jobs can be submitted, and make a folder for them.

        Raises
        ------
        BackendError
            If there is no SLURM here, or the folder cannot be made.
        OptionError
            If SLURM would refuse such jobs.
        """
        commands.check_programs()
        commands.check_request(request.flags(self._options))
        self._name = f"asyncexec-{uuid4().hex[:12]}"
        self._folder = self._parent / self._name
        try:
            # For this user alone: what lies in there is run.
            (self._folder / "programs").mkdir(parents=True)
            self._folder.chmod(0o700)
            setup = self._write_environment()
        except OSError as error:
            raise BackendError(
                f"executor 'slurm': folder={str(self._parent)!r} cannot be used: {error}. It must be "
                f"writable here, and visible under the same path where jobs run"
            ) from error
        self._executor = self._make_executor(setup)

    def _write_environment(self) -> list[str]:
        """Return the commands that set it; values stay out of the script, which the cluster keeps."""
        variables = self._options.env_vars
        if not variables:
            return []
        file = self._folder / "environment"
        file.touch(mode=0o600)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        file.write_text("".join(lines))
        return [f". {shlex.quote(str(file))}"]

    def _make_executor(self, setup: list[str]) -> Any:
        from submitit import SlurmExecutor

        executor = SlurmExecutor(
            self._folder / "submitit",
            max_num_timeout=0,  # Once is what a job runs: trying again is the engine's.
            max_pickle_size_gb=LARGEST_GB,
            python=self._options.python,
        )
        executor.update_parameters(
            **request.parameters(self._options),
            job_name=self._name,
            array_parallelism=self._options.max_workers,
            stderr_to_stdout=True,
            setup=setup or None,
            additional_parameters=request.additional(self._options),
        )
        return executor

    def make_job(self) -> Job:
        """Return a job, not submitted yet; may be called in any thread."""
        self._made += 1
        return Job(channel=JobChannel(self._folder / "jobs" / str(self._made)))

    def give(self, orders: Mapping[Job, RemoteBatch]) -> None:
        """Give each job its next call; those that are new are submitted: one, or an array of them.

        Raises
        ------
        BackendError
            If SLURM does not take them.
        """
        fresh = [job for job in orders if not job.id]
        for job in fresh:
            job.channel.make()
        for job, call in orders.items():
            batch = JobPayload(RemoteBatch(call.key, None, call.jobs), self._program(call))
            job.channel.work.append(pickle.dumps(batch))
        if not fresh:
            return
        try:
            submitted = self._executor.submit_array(
                [InJob(str(job.channel.folder), self._patience) for job in fresh]
            )
        except Exception as error:
            told = " ".join(str(error).split())
            raise BackendError(f"executor 'slurm': jobs cannot be submitted: {told}") from error
        for job, handle in zip(fresh, submitted, strict=True):
            job.id = handle.job_id

    def _program(self, call: RemoteBatch) -> str:
        """Return the file of the program: one for all jobs, rather than a copy in each."""
        program = self._folder / "programs" / call.key.hex()
        if call.blob is not None and not program.exists():
            unfinished = program.with_suffix(".part")
            unfinished.write_bytes(call.blob)
            unfinished.rename(program)
        return str(program)

    def look(
        self, jobs: Collection[Job], drops: Mapping[Job, Collection[int]] | None = None
    ) -> list[News]:
        """Return what is new of ``jobs``, having dropped what is to be dropped."""
        drops = drops or {}
        for job, attempts in drops.items():
            job.channel.drop(attempts)
        states = self._ask(jobs)
        news = [self._look(job, states, drops.get(job, ())) for job in jobs]
        return [n for n in news if n.reports or n.ended or n.error or n.dropped]

    def _ask(self, jobs: Collection[Job]) -> dict[str, JobState] | None:
        suspicious = any(job.sightings for job in jobs)
        poll = self._options.poll_seconds
        patience = min(SUSPICIOUS_SECONDS, poll) if suspicious else poll
        now = time.monotonic()
        if now - self._asked_at < patience:
            return None
        self._asked_at = now
        return commands.states(self._name)

    def _look(
        self, job: Job, states: Mapping[str, JobState] | None, dropped: Collection[int]
    ) -> News:
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
            pass  # A file server that is away; if it stays away, the job is found missing.
        if states is not None and not ended and error is None:
            error = self._doubt(job, states, heard=bool(reports))
        return News(job=job, reports=reports, ended=ended, error=error, dropped=dropped)

    def _doubt(self, job: Job, states: Mapping[str, JobState], *, heard: bool) -> Exception | None:
        """Return why a job will not end, if it will not."""
        state = states.get(job.id, JobState("gone"))
        if state.state == "PENDING" and state.reason in NEVER:
            return BackendError(
                f"executor 'slurm': job {job.id} would wait for ever ({state.reason}). Ask for less, "
                f"or for another partition"
            )
        if not commands.missing(states, [job.id]):
            job.sightings = 0
            return None
        # What it wrote last may be on its way.
        job.sightings = 0 if heard else job.sightings + 1
        return self._lost(job, state) if job.sightings >= SIGHTINGS else None

    def _lost(self, job: Job, state: JobState) -> JobLostError:
        log = self._folder / "submitit" / f"{job.id}_0_log.out"
        try:
            end = " ".join(log.read_text(errors="replace").split())[-LOG_CHARACTERS:]
        except OSError:
            end = ""
        why = f"SLURM's job {job.id} ended ({state.state}) before its tasks did"
        if end:
            return JobLostError(f"{why}; its log ends with: {end}")
        return JobLostError(
            f"{why}, and left no log: is the folder {str(self._parent)!r} the same where jobs run?"
        )

    def kill(self, jobs: Collection[Job]) -> None:
        """End these jobs."""
        commands.kill([job.id for job in jobs if job.id], self._name)

    def dismiss(self, jobs: Collection[Job]) -> None:
        """Have jobs end that have nothing to do."""
        now = time.monotonic()
        for job in jobs:
            job.channel.work.append(END)
            self._leaving.append((now, job))
        while self._leaving and now - self._leaving[0][0] > FORSAKEN_SECONDS:
            self.forget([self._leaving.popleft()[1]])

    def forget(self, jobs: Collection[Job]) -> None:
        """Remove the files of jobs that are gone."""
        for job in jobs:
            shutil.rmtree(job.channel.folder, ignore_errors=True)

    def close(self) -> None:
        """End every job, and remove the folder."""
        if self._executor is not None:
            self._executor = None
            try:
                commands.kill_all(self._name)
            finally:
                self._leaving.clear()
                self._remove_folder()

    def _remove_folder(self) -> None:
        for _ in range(REMOVALS):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(REMOVAL_PAUSE_SECONDS)  # A job that dies may still write its log.
