"""The records and lines of tasks in other processes, in the driver's logging."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncexec.worker.driver_settings import logging_levels
from asyncexec.worker.forwarding import NoteAllowance
from asyncexec.worker.run_scope import LogSettings, this_process
from asyncexec.worker.task_context import task_prefix

if TYPE_CHECKING:
    from asyncexec.backends.contract import Note

RATE, BURST = 2_000.0, 10_000
"""The records of one run in a second, for long, and at once; each worker has a limit of its own before that."""


class WorkerLogs:
    """Logs what the workers of one run say.

    Parameters
    ----------
    plan, run_name : str
    """

    def __init__(self, plan: str, run_name: str) -> None:
        self._plan = plan
        self._run_name = run_name
        self._allowance = NoteAllowance(RATE, BURST)

    def take(self, notes: Sequence[Note]) -> None:
        """Log these notes, except those about progress."""
        for note in notes:
            if note.kind != "progress" and self._allowance.take():
                self._log(note)

    def close(self) -> None:
        """Log how many records were dropped."""
        if self._allowance.dropped:
            logging.getLogger("asyncexec").warning("%s: %s", self._plan, self._allowance.message())

    def _log(self, note: Note) -> None:
        name = note.logger or f"asyncexec.{note.kind}"
        logger = _nearest(name)
        if not logger.isEnabledFor(note.level):
            return
        of_task = bool(note.stage)
        prefix = (
            task_prefix(self._plan, note.stage, note.task, note.worker)
            if of_task
            else f"worker {note.worker}: "
        )
        attributes = {
            "name": name,
            "msg": prefix + note.text,
            "args": (),
            "levelno": note.level,
            "levelname": logging.getLevelName(note.level),
            "created": note.at,
            "msecs": note.at % 1 * 1000,
            "pathname": note.path,
            "filename": note.path.rpartition("/")[2],
            "lineno": note.line,
            "funcName": note.function,
            "exc_text": note.trace or None,
            "process": 0,
            "processName": note.worker,
            "plan": self._plan,
            "run_name": self._run_name,
            "stage": note.stage,
            "task": note.task if of_task else None,
            "attempt": note.number if of_task else None,
            "worker": note.worker,
        }
        logger.handle(logging.makeLogRecord(attributes))


def log_settings() -> LogSettings:
    """Return what this process's logging wants to know of tasks, as it is now."""
    return LogSettings(
        levels=logging_levels(),
        stdout=_shows("asyncexec.stdout", logging.INFO),
        stderr=_shows("asyncexec.stderr", logging.WARNING),
        driver=this_process(),
    )


def _shows(name: str, level: int) -> bool:
    logger = _nearest(name)
    return logger.hasHandlers() and logger.isEnabledFor(level)


def _nearest(name: str) -> logging.Logger:
    """Return the logger of this name, or the next one above it: workers' names must not fill this process's table."""
    known = logging.root.manager.loggerDict
    while name:
        found = known.get(name)
        if isinstance(found, logging.Logger):
            return found
        name = name.rpartition(".")[0]
    return logging.root
