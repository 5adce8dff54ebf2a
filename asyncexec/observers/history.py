"""An observer that keeps every attempt of every run on disk."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.errors import MissingExtraError, OptionError, WorkDirError
from asyncexec.events.records import AttemptEnded, PlanStarted, StageSized, TaskSucceeded
from asyncexec.events.tally import Tallies
from asyncexec.observers.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.events.records import AnyEvent

_FORMATS = ("auto", "csv", "parquet")


class History:
    """Writes a folder for each run, ``<execution>-<start in UTC>``, that holds

    - ``plan.json``: the plan, its executor and end, each stage with its figures and what it reads of others;
    - ``attempts.parquet`` (or ``.csv``): a line for each attempt, with what its worker measured;
    - ``tasks.parquet`` (or ``.csv``): a line for each task that completed.

    Tasks are flat (row-major) indices; ``plan.json`` has the shapes. Times are seconds since the epoch, ``started_at``
    by the worker's clock. A table has its name only once it is whole. Each run has a thread that writes its tables and
    ends with it.

    >>> history = ax.History("runs", format="csv")
    >>> result = ax.sync.execute(ax.Plan.map(abs, range(4)), observers=[history])
    >>> sorted(file.name for file in history.folders[0].iterdir())
    ['attempts.csv', 'plan.json', 'tasks.csv']

    Parameters
    ----------
    directory : path
        The folder that the runs' folders go to; made where it does not exist.
    format : {"auto", "parquet", "csv"}
        "auto" is Parquet where pyarrow is installed, else CSV.

    Raises
    ------
    OptionError
        If there is no such format, or ``directory`` is no path.
    MissingExtraError
        If Parquet was asked for, and pyarrow is not installed.
    WorkDirError
        If the directory cannot be made or written to.
    """  # noqa: D400 - a list follows

    def __init__(self, directory: str | os.PathLike[str], *, format: str = "auto") -> None:  # noqa: A002 - users' word
        if not isinstance(directory, str | os.PathLike):
            raise OptionError(f"history: directory must be a path, not {directory!r}")
        self.directory = Path(directory)
        self.format = _choose(format)
        _check_directory(self.directory)
        self._tallies = Tallies()
        self._recorders: dict[str, Recorder] = {}
        self._folders: list[Path] = []
        self._latest: dict[str, Path] = {}

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the runs that have ended and are written, in the order of their ends."""
        return tuple(self._folders)

    def folder_of(self, execution: str) -> Path | None:
        """Return the folder of a run that has ended and is written; None of others."""
        return self._latest.get(execution)

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Record ``events``.

        Raises
        ------
        StorageError
            If writing has failed (a full disk, say); the engine then goes on without this observer.
        """
        self._tallies.add(events)
        touched: dict[str, Recorder] = {}
        try:
            for event in events:
                self._record(event, touched)
            for execution in touched:
                self._flush(execution)
        except BaseException:
            # The engine drops an observer that raises, so nobody would end these threads later.
            for execution in touched:
                self._recorders.pop(execution).discard()
            raise

    def finish(self, execution: str) -> None:
        """Wait until everything of a run that has ended is written; blocks, so not on an event loop.

        Raises
        ------
        StorageError
            If it could not be written.
        """
        recorder = self._recorders.pop(execution, None)
        if recorder is None:
            return
        recorder.join()
        recorder.check()
        if recorder.folder is not None:
            self._folders.append(recorder.folder)
            self._latest[execution] = recorder.folder

    def _record(self, event: AnyEvent, touched: dict[str, Recorder]) -> None:
        execution = event.execution
        recorder = self._recorders.get(execution)
        if recorder is None:
            if not isinstance(event, PlanStarted):
                return
            recorder = self._recorders[execution] = Recorder(self.directory, self.format, event)
        touched[execution] = recorder
        if isinstance(event, AttemptEnded):
            recorder.attempt(event)
        elif isinstance(event, TaskSucceeded):
            recorder.task(event)
        elif isinstance(event, StageSized):
            recorder.size(event)

    def _flush(self, execution: str) -> None:
        tally = self._tallies.runs[execution]
        if tally.ended_at:
            self._recorders[execution].end(tally)
        else:
            self._recorders[execution].flush()


def _choose(file_format: str) -> str:
    if file_format not in _FORMATS:
        raise OptionError(
            f"history: format must be one of {', '.join(map(repr, _FORMATS))}, not {file_format!r}"
        )
    installed = find_spec("pyarrow") is not None
    if file_format == "parquet" and not installed:
        raise MissingExtraError.of(
            "History with format='parquet' rather than 'csv'", "pyarrow", extra="report"
        )
    return ("parquet" if installed else "csv") if file_format == "auto" else file_format


def _check_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkDirError(f"history: the directory {directory} cannot be made: {error}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise WorkDirError(
            f"history: the directory {directory} cannot be written to; choose another"
        )
