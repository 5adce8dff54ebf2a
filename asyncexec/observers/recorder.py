"""The writer of one run's history, with a thread that ends with the run."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from asyncexec.errors import StorageError
from asyncexec.events.plain import as_plain
from asyncexec.observers.table_files import FORMATS, PARTIAL, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from asyncexec.events.records import AttemptEnded, PlanStarted, StageSized, TaskSucceeded
    from asyncexec.events.tally import Tally
    from asyncexec.observers.table_files import Rows, TableFile

ATTEMPTS = (
    Column("stage", "string"),
    Column("task", "int64"),
    Column("attempt", "int64"),
    Column("backup", "bool"),
    Column("status", "string"),
    Column("worker", "string"),
    Column("started_at", "double"),
    Column("seconds", "double"),
    Column("ended_at", "double"),
    Column("peak_bytes", "int64"),
    Column("read_bytes", "int64"),
    Column("written_bytes", "int64"),
    Column("error_type", "string"),
    Column("error_message", "string"),
)
TASKS = (
    Column("stage", "string"),
    Column("task", "int64"),
    Column("attempt", "int64"),
    Column("at", "double"),
)

_CHUNK_ROWS = 10_000
# The most that may wait for a disk that cannot keep up: some 100 MB.
_MOST_CHUNKS = 40
_MESSAGE_CHARACTERS = 2_000


class Recorder:
    """Collects the events of one run on the event loop, and passes them to its thread in chunks.

    Attributes
    ----------
    folder : Path or None
        The folder that it writes to; None until the thread has made it.
    error : Exception or None
        The error that writing failed with; nothing is written after that.
    """

    def __init__(self, directory: Path, file_format: str, started: PlanStarted) -> None:
        self.folder: Path | None = None
        self.error: Exception | None = None
        self._directory = directory
        self._format = file_format
        self._started = started
        self._attempts: list[tuple[Any, ...]] = []
        self._tasks: list[tuple[Any, ...]] = []
        self._sized: dict[str, StageSized] = {}
        # Chunks of both tables; the tally at the end, or None to discard everything.
        self._chunks: SimpleQueue[tuple[Rows, Rows] | Tally | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name=f"asyncexec-history-{started.execution}"
        )
        self._thread.start()

    def attempt(self, event: AttemptEnded) -> None:
        """Add an attempt."""
        attempt, outcome = event.attempt, event.outcome
        error = outcome.error
        self._attempts.append(
            (
                attempt.stage,
                attempt.task,
                attempt.number,
                attempt.backup,
                str(outcome.status),
                outcome.worker,
                outcome.started_at,
                outcome.seconds,
                event.at,
                outcome.peak_bytes,
                outcome.read_bytes,
                outcome.written_bytes,
                "" if error is None else error.type,
                "" if error is None else error.message[:_MESSAGE_CHARACTERS],
            )
        )

    def task(self, event: TaskSucceeded) -> None:
        """Add a completion."""
        attempt = event.attempt
        self._tasks.append((attempt.stage, attempt.task, attempt.number, event.at))

    def size(self, event: StageSized) -> None:
        """Note the size of a stage, which was not known when the run began."""
        self._sized[event.stage] = event

    def flush(self, *, everything: bool = False) -> None:
        """Pass what was collected to the thread, once it is a chunk (or ``everything``).

        Raises
        ------
        StorageError
            If writing has failed, or the disk does not keep up.
        """
        self.check()
        if not everything and len(self._attempts) < _CHUNK_ROWS and len(self._tasks) < _CHUNK_ROWS:
            return
        if self._chunks.qsize() >= _MOST_CHUNKS:
            raise StorageError(
                f"the history of {self._started.execution} is given up: the disk under {self._directory} does not "
                f"keep up with the run"
            )
        self._chunks.put((self._attempts, self._tasks))
        self._attempts, self._tasks = [], []

    def end(self, tally: Tally) -> None:
        """Write what is left, and the end of the run; the thread ends after that."""
        self.flush(everything=True)
        self._chunks.put(tally)

    def discard(self) -> None:
        """End the thread and remove its tables."""
        self._chunks.put(None)

    def check(self) -> None:
        """Raise StorageError if writing has failed."""
        if self.error is not None:
            name = self._started.execution
            raise StorageError(
                f"the history of {name} cannot be written: {self.error}"
            ) from self.error

    def join(self) -> None:
        """Wait for the thread to end."""
        self._thread.join()

    # -- in the thread

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 - raised where the next events come in
            self.error = error

    def _write(self) -> None:
        folder = self.folder = _new_folder(self._directory, self._started)
        _write_plan(folder, self._started, self._sized, None)
        # Both tables get their final names, or neither: whatever fails discards both.
        with ExitStack() as undo:
            attempts = self._open(folder, "attempts", ATTEMPTS, undo.callback)
            tasks = self._open(folder, "tasks", TASKS, undo.callback)
            while isinstance(chunk := self._chunks.get(), tuple):
                attempts.write(chunk[0])
                tasks.write(chunk[1])
            if chunk is None:
                return
            attempts.close()
            tasks.close()
            undo.pop_all()
        _write_plan(folder, self._started, self._sized, chunk)

    def _open(
        self,
        folder: Path,
        name: str,
        columns: tuple[Column, ...],
        undo: Callable[[Callable[[], None]], object],
    ) -> TableFile:
        table = FORMATS[self._format](folder, name, columns)
        undo(table.discard)
        return table


def _new_folder(directory: Path, started: PlanStarted) -> Path:
    """Make a folder that no other run has, not even one that started in the same second."""
    name = re.sub(r"[^\w.-]+", "_", started.execution).lstrip(".")
    second = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started.at))
    number = 1
    while True:
        folder = directory / (f"{name}-{second}" if number == 1 else f"{name}-{second}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def _write_plan(
    folder: Path, started: PlanStarted, sized: Mapping[str, StageSized], tally: Tally | None
) -> None:
    stages = [asdict(stage) for stage in started.stages]
    description: dict[str, Any] = {
        "plan": started.plan,
        "execution": started.execution,
        "fingerprint": started.fingerprint,
        "executor": started.executor,
        "slots": started.slots,
        "started_at": started.at,
        "run": None if started.run is None else asdict(started.run),
        "status": "running",
    }
    if tally is not None:
        description |= {
            "status": tally.status,
            "error": tally.error,
            "ended_at": tally.ended_at,
            "wall_seconds": tally.wall_seconds,
            "circuit_openings": tally.circuit_openings,
        }
        for stage in stages:
            figures = tally.stages[stage["name"]]
            if (size := sized.get(figures.name)) is not None:
                stage.update(shape=size.shape, reads=[asdict(read) for read in size.reads])
            stage.update(asdict(figures), wall_seconds=figures.wall_seconds)
    # Replaced in one step, so that a reader never finds half a file.
    partial = folder / f"plan.json{PARTIAL}"
    partial.write_text(
        json.dumps(as_plain(description | {"stages": stages}), indent=2) + "\n", encoding="utf-8"
    )
    partial.replace(folder / "plan.json")
