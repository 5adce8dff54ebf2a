"""Call SLURM's programs, and parse their output."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from asyncexec.errors import BackendError, OptionError

PROGRAMS = ("sbatch", "squeue", "scancel", "srun")
COMMAND_SECONDS = 60.0
IDS_AT_ONCE = 500
KILL_SECONDS = 1.0
KILL_POLL_SECONDS = 0.05

# A job in any other state, or one that the queue no longer lists, has ended.
ALIVE = frozenset(
    {
        "CONFIGURING",
        "COMPLETING",
        "PENDING",
        "REQUEUED",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "RESIZING",
        "RESV_DEL_HOLD",
        "RUNNING",
        "SIGNALING",
        "SPECIAL_EXIT",
        "STAGE_OUT",
        "STOPPED",
        "SUSPENDED",
    }
)
# The states of jobs that SLURM, or the node's kernel, has ended for their memory.
OVER_MEMORY = frozenset({"OUT_OF_MEMORY"})
# The reasons of pending jobs that will never start.
NEVER = frozenset(
    {
        "AccountNotAllowed",
        "BadConstraints",
        "InvalidAccount",
        "InvalidQOS",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSNotAllowed",
    }
)


class JobState(NamedTuple):
    """The state of a job in the queue; ``reason`` is why it waits."""

    state: str
    reason: str = ""


def check_programs() -> None:
    """Check that this machine can submit jobs; raises BackendError if it cannot."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise BackendError(
            f"executor 'slurm': {', '.join(missing)} not found on PATH. Run this on a machine from which "
            f"jobs are submitted (a login node), with SLURM's commands installed"
        )


def check_request(flags: Sequence[str]) -> None:
    """Check that SLURM would accept such a job; raises OptionError if it would not, with its message."""
    done = _run(["sbatch", "--test-only", *flags, "--wrap=true"])
    if done.returncode:
        raise OptionError(f"executor 'slurm': SLURM refuses such jobs: {_message(done.stderr)}")


def states(job_name: str) -> dict[str, JobState] | None:
    """Return the state of each job of that name by its id, or None if the queue cannot be asked now."""
    command = ["squeue", "--noheader", "--array", "--states=all", f"--name={job_name}"]
    try:
        done = _run([*command, "--format=%i|%T|%r"])
    except BackendError:
        return None
    return parse_states(done.stdout) if done.returncode == 0 else None


def parse_states(text: str) -> dict[str, JobState]:
    """Parse the output of ``squeue`` (``id|state|reason``), by id."""
    rows = [line.strip().split("|") for line in text.splitlines()]
    return {row[0]: JobState(row[1], row[2]) for row in rows if len(row) == 3}


def kill(jobs: Sequence[str], job_name: str) -> None:
    """Kill these jobs, and wait a moment for their end; those that have ended are ignored."""
    for start in range(0, len(jobs), IDS_AT_ONCE):
        some = jobs[start : start + IDS_AT_ONCE]
        # Kill running processes first, as ``scancel`` alone gives them half a minute; then remove the jobs from the
        # queue.
        _run(["scancel", "--quiet", "--signal=KILL", *some])
        _run(["scancel", "--quiet", *some])
    _wait(lambda now: missing(now, jobs) == set(jobs), job_name)


def kill_all(job_name: str) -> None:
    """Kill every job of that name, and wait a moment for their end."""
    _run(["scancel", "--quiet", "--signal=KILL", f"--name={job_name}"])
    _run(["scancel", "--quiet", f"--name={job_name}"])
    _wait(lambda now: missing(now, now) == set(now), job_name)


def _wait(holds: Callable[[Mapping[str, JobState]], bool], job_name: str) -> None:
    """Wait until the states of the jobs meet the condition, but not for long."""
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        now = states(job_name)
        if now is not None and holds(now):
            return
        time.sleep(KILL_POLL_SECONDS)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - a program of SLURM, with arguments made here
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"executor 'slurm': {command[0]} does not answer: {error}") from error


def _message(text: str) -> str:
    return " ".join(text.split()) or "it does not say why"


def missing(states_now: Mapping[str, JobState], jobs: Iterable[str]) -> set[str]:
    """Return those of ``jobs`` that have ended."""
    return {job for job in jobs if job not in states_now or states_now[job].state not in ALIVE}
