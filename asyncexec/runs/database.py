"""The database of a run store: its URL, its connections, and errors that name it without its password."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import anyio
from sqlalchemy import event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from asyncexec.errors import MissingExtraError, OptionError, RunStoreError
from asyncexec.runs.tables import SCHEMA_VERSION, metadata, schema

_DRIVERS = {"sqlite": ("aiosqlite", "runs"), "postgresql": ("asyncpg", "postgres")}
# Of SQLite: how long a writer waits for another one.
_BUSY_SECONDS = 30.0
# Of several processes that create the tables, one succeeds and the others find them.
_TRIES = 5


class Database:
    """Connections to the tables of a run store, which are made where they are missing.

    Parameters
    ----------
    url : str or Path
        ``sqlite:///relative/runs.db``, ``sqlite:////absolute/runs.db``, ``postgresql://user:password@host/name``, or
        the path of a SQLite file.

    Raises
    ------
    OptionError
        If it is no such URL.
    MissingExtraError
        If the package that speaks to the database is not installed.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = _checked(url)
        self._engine: AsyncEngine | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncConnection]:
        """Open a transaction, which is committed at the end of the block.

        Raises
        ------
        RunStoreError
            If the database cannot be reached or does not do what it is asked to do.
        """
        if self._engine is None:
            raise RunStoreError(f"{self}: it is used outside its `async with` block")
        with self._errors_named():
            async with self._engine.begin() as connection:
                yield connection

    async def __aenter__(self) -> Self:
        with self._errors_named():
            if self.url.get_backend_name() == "sqlite" and self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_async_engine(self.url, pool_pre_ping=True, hide_parameters=True)
            if self.url.get_backend_name() == "sqlite":
                event.listen(self._engine.sync_engine, "connect", _set_up_sqlite)
        try:
            await self._create_tables()
        except BaseException:
            await self._engine.dispose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def _create_tables(self) -> None:
        """Create what is missing; other processes may do so at the same time."""
        version = await self._version_within(_TRIES)
        if version != SCHEMA_VERSION:
            raise RunStoreError(
                f"{self}: its tables are of version {version}, and this version of asyncexec reads {SCHEMA_VERSION}: "
                f"use another database, or the version of asyncexec that made it"
            )

    async def _version_within(self, tries: int) -> int:
        try:
            return await self._version()
        except RunStoreError:
            if tries == 1:
                raise
        await anyio.sleep(0.05 * (_TRIES - tries + 1))
        return await self._version_within(tries - 1)

    async def _version(self) -> int:
        """Return the version of the tables, which are created if they are not there."""
        async with self.begin() as connection:
            if not await connection.run_sync(lambda c: inspect(c).has_table(schema.name)):
                await connection.run_sync(metadata.create_all)
            version: int | None = await connection.scalar(select(schema.c.version))
            if version is None:  # Of several processes that find none, one can insert it.
                await connection.execute(insert(schema).values(version=SCHEMA_VERSION))
        return SCHEMA_VERSION if version is None else version

    @contextmanager
    def _errors_named(self) -> Generator[None]:
        try:
            yield
        except IntegrityError as error:
            raise RunStoreError(f"{self}: {_reason(error)}") from error
        except (SQLAlchemyError, OSError) as error:
            raise RunStoreError(
                f"{self} cannot be used: {_reason(error)}. Check that it is there and may be written to"
            ) from error

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None for others."""
        path = self.url.database if self.url.get_backend_name() == "sqlite" else None
        return Path(path) if path and path != ":memory:" else None

    def __repr__(self) -> str:
        return f"run store {self.file or self.url.render_as_string(hide_password=True)}"


def _checked(url: str | Path) -> URL:
    text = str(url)
    if isinstance(url, Path) or "://" not in text:
        return URL.create("sqlite+aiosqlite", database=str(Path(text).expanduser()))
    if text.partition("://")[2].partition("?")[0].count("@") > 1:
        raise OptionError(
            "the password in the URL of a run store has an @: write it as %40 (and / as %2F, : as %3A)"
        )
    try:
        parsed = make_url(text)
    except ArgumentError:
        # Neither its message nor its cause: both may hold a password.
        raise OptionError(
            "the URL of a run store cannot be read: write sqlite:///runs.db or postgresql://user:password@host/name"
        ) from None
    system = parsed.get_backend_name()
    system = "postgresql" if system == "postgres" else system
    if system not in _DRIVERS:
        raise OptionError(
            f"runs are kept in SQLite or PostgreSQL, not in {system!r}: write sqlite:///runs.db or "
            f"postgresql://user:password@host/name"
        )
    driver, extra = _DRIVERS[system]
    if find_spec(driver) is None:
        raise MissingExtraError.of(f"a run store in {system}", driver, extra=extra)
    return parsed.set(drivername=f"{system}+{driver}")


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Let readers and one writer work at the same time, and writers wait for each other."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _reason(error: Exception) -> str:
    """Return what the driver says, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return f"{type(original).__name__}: {lines[0]}" if lines else type(original).__name__
