"""A store of records of runs: it records them as they go, lists, finds and deletes them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import anyio
from sqlalchemy import ColumnElement, Select, delete, insert, or_, select, update

from asyncexec.config.durations import parse_duration
from asyncexec.errors import OptionError, RunNotFoundError, RunStoreError
from asyncexec.events.records import PlanStarted
from asyncexec.events.tally import Tallies
from asyncexec.runs.database import Database
from asyncexec.runs.rows import first_row, record_of, result_columns, run_row, stage_rows
from asyncexec.runs.tables import runs, stages

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from asyncexec.events.records import AnyEvent
    from asyncexec.runs.record import RunRecord

logger = logging.getLogger("asyncexec")

WRITE_SECONDS = 1.0
"""A run that goes on is written at most so often, and at least every ten times as long as a sign of life."""
FOR_EVER = -1.0
"""The retention of records that are never deleted."""
_STATUSES = ("running", "succeeded", "failed", "cancelled", "lost")


class RunFolders(Protocol):
    """Knows the folder of each run: :class:`~asyncexec.History` does."""

    def folder_of(self, execution: str) -> Path | None:
        """Return the folder of a run that has ended; None where it has none."""
        ...


class RunStore:
    """Records of runs in a database; an async context manager, and an observer of engines.

    The runs of every engine that has it among its ``observers`` are recorded: at their start, while they go on, and at
    their end with their result or error. A database that fails during a run is logged; the run goes on. Engines that
    run at the same time have a store each, on the same database.

    >>> async with ax.RunStore("runs.db") as runs, ax.Engine(observers=[runs]) as engine:
    ...     result = await engine.execute(ax.Plan.map(abs, [-1, 2]))
    ...     (record,) = await runs.list()
    >>> record.plan, record.status, record.result, record.completed
    ('abs', 'succeeded', [1, 2], 2)

    Parameters
    ----------
    url : str or Path
        ``sqlite:///runs.db`` or the path of a SQLite file; ``postgresql://user:password@host/name``.
    retention : float or str
        How long records of runs that have ended are kept: seconds, or ``"2h"``, ``"30d"``; -1 for ever, 0 not at all.
    history : History, optional
        The observer whose folders the records refer to.
    source : mapping, optional
        What is run, as plain data, for every run recorded by this object (file, inputs): a later process reads from it
        how to run the same again.

    Raises
    ------
    OptionError
        If the URL or the retention cannot be read.
    """

    # Records name the plan's fingerprint, by which a run is resumed.
    wants_plan_details = True

    def __init__(
        self,
        url: str | Path,
        *,
        retention: float | str = -1,
        history: RunFolders | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        self._database = Database(url)
        self._keeps_seconds = FOR_EVER if retention in (FOR_EVER, "-1") else _seconds(retention)
        self._history = history
        self._source = dict(source or {})
        self._tallies = Tallies()
        self._running: set[str] = set()
        self._changed: set[str] = set()
        self._wake = anyio.Event()
        self._writing = anyio.Lock()
        self._exit: AsyncExitStack | None = None

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None for others."""
        return self._database.file

    async def __aenter__(self) -> Self:
        if self._exit is not None:
            raise RunStoreError(f"{self._database} is open already")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._database)
            await self.expire()
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self._write_as_they_go)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        stack, self._exit = self._exit, None
        if stack is not None:
            # Without the error of the block, which the task group would wrap in a group.
            await stack.aclose()

    # -- what an engine calls

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Take events of runs; they are written soon."""
        self._tallies.add(events)
        for event in events:
            execution = event.execution
            if isinstance(event, PlanStarted):
                self._running.add(execution)
            if execution in self._running:
                self._changed.add(execution)
        self._wake.set()

    async def record(self, execution: str, value: Any, error: BaseException | None) -> None:
        """Write the end of a run."""
        if execution not in self._running:
            return  # It ended before it began: what it wanted to run could not be prepared.
        at_end: dict[str, Any] = {}
        if self._tallies.runs[execution].status == "succeeded":
            at_end = result_columns(value)
        elif error is not None:
            at_end["error_type"] = f"{type(error).__module__}.{type(error).__qualname__}"
        if self._history is not None and (folder := self._history.folder_of(execution)):
            at_end["history"] = str(folder.resolve())
        async with self._writing:
            self._running.discard(execution)
            self._changed.discard(execution)
            await self._write(execution, at_end)
        await self.expire()

    # -- what users call

    async def list(
        self,
        *,
        status: str | None = None,
        plan: str | None = None,
        limit: int | None = 20,
    ) -> tuple[RunRecord, ...]:
        """Return the latest runs, the latest first.

        Parameters
        ----------
        status : str, optional
            One of ``"running"``, ``"succeeded"``, ``"failed"``, ``"cancelled"``, ``"lost"``.
        plan : str, optional
            Their plan, or workflow.
        limit : int, optional
            The most that are returned; None for all.

        Raises
        ------
        OptionError
            If there is no such status.
        """
        if status is not None and status not in _STATUSES:
            raise OptionError(f"there is no status {status!r}; it is one of {', '.join(_STATUSES)}")
        query = select(runs).order_by(runs.c.started_at.desc(), runs.c.id)
        if plan is not None:
            query = query.where(or_(runs.c.plan == plan, runs.c.workflow == plan))
        if status is not None:
            # Whether one that was running is lost is found out here, not in the database.
            query = query.where(runs.c.status == ("running" if status == "lost" else status))
        found = await self._records(query if status in ("running", "lost") else query.limit(limit))
        return tuple(record for record in found if status in (None, record.status))[:limit]

    async def get(self, run: str) -> RunRecord:
        """Return the run with this id, beginning of an id, or name (of several of a name, the latest).

        Raises
        ------
        RunNotFoundError
            If there is none, or several ids begin so.
        """
        named = or_(runs.c.name == run, runs.c.id.startswith(run, autoescape=True))
        query = select(runs).where(named).order_by(runs.c.started_at.desc()).limit(20)
        found = list(await self._records(query)) if run else []
        exact = [record for record in found if run in (record.id, record.name)]
        if exact or len(found) == 1:
            return (exact or found)[0]
        if found:
            raise RunNotFoundError(
                f"several runs have ids that begin with {run!r}: "
                f"{', '.join(record.id for record in found)}; say more of it"
            )
        latest = ", ".join(record.name for record in await self.list(limit=5))
        raise RunNotFoundError(
            f"{self._database} has no run {run!r}. The latest are: {latest or 'none'}"
        )

    async def delete(self, run: str) -> RunRecord:
        """Delete the record of a run that has ended, found as by :meth:`get`, and return it.

        Raises
        ------
        RunNotFoundError
            If there is none.
        RunStoreError
            If it is still running.
        """
        record = await self.get(run)
        if record.status == "running":
            raise RunStoreError(
                f"run {record.name} ({record.id}) is still running, in process {record.pid} of {record.host}: "
                f"stop it first"
            )
        async with self._database.begin() as connection:
            await _delete(connection, runs.c.id == record.id)
        return record

    async def expire(self) -> int:
        """Delete the records that are older than the retention, and return their number."""
        if self._keeps_seconds == FOR_EVER:
            return 0
        before = time.time() - self._keeps_seconds
        old = (runs.c.status != "running") & (runs.c.ended_at <= before)
        async with self._database.begin() as connection:
            return await _delete(connection, old)

    def __repr__(self) -> str:
        return f"<{self._database}: {'open' if self._exit else 'closed'}>"

    # -- inside

    async def _write_as_they_go(self) -> None:
        """Write what has changed, and every now and then that a run is alive."""
        while True:
            with anyio.move_on_after(10 * WRITE_SECONDS):
                await self._wake.wait()
            self._wake = anyio.Event()
            changed, self._changed = self._changed, set()
            for execution in changed or tuple(self._running):
                async with self._writing:
                    if execution not in self._running:
                        continue  # Its end is written already.
                    try:
                        await self._write(execution, {})
                    except RunStoreError as error:
                        logger.warning("run %s is not recorded: %s", execution, error)
            await anyio.sleep(WRITE_SECONDS)

    async def _write(self, execution: str, more: Mapping[str, Any]) -> None:
        """Write what is known of a run now, in one transaction."""
        tally = self._tallies.runs[execution]
        run_id = tally.run_id
        row = run_row(tally, now=time.time()) | dict(more)
        figures = stage_rows(tally)
        async with self._database.begin() as connection:
            known = await connection.execute(update(runs).where(runs.c.id == run_id).values(row))
            if not known.rowcount:
                await connection.execute(insert(runs).values(first_row(self._source) | row))
            await connection.execute(delete(stages).where(stages.c.run == run_id))
            if figures:
                await connection.execute(insert(stages), figures)

    async def _records(self, query: Select[Any]) -> tuple[RunRecord, ...]:
        now = time.time()
        async with self._database.begin() as connection:
            rows = (await connection.execute(query)).mappings().all()
            figures = await connection.execute(
                select(stages)
                .where(stages.c.run.in_([row["id"] for row in rows]))
                .order_by(stages.c.run, stages.c.position)
            )
        by_run: dict[str, list[Mapping[str, Any]]] = {}
        for stage in figures.mappings():
            by_run.setdefault(stage["run"], []).append(dict(stage))
        return tuple(record_of(dict(row), by_run.get(row["id"], ()), now) for row in rows)


def _seconds(retention: float | str) -> float:
    return parse_duration(retention, what="the retention of runs")


async def _delete(connection: AsyncConnection, chosen: ColumnElement[bool]) -> int:
    """Delete the chosen runs, and return their number."""
    # The first statement writes, so that SQLite waits for other writers instead of failing in the middle.
    await connection.execute(
        delete(stages).where(stages.c.run.in_(select(runs.c.id).where(chosen)))
    )
    return (await connection.execute(delete(runs).where(chosen))).rowcount
