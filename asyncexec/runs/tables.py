"""The tables of a run store."""

from __future__ import annotations

from asyncexec.errors import MissingExtraError

try:
    from sqlalchemy import (
        JSON,
        Column,
        Float,
        ForeignKey,
        Index,
        Integer,
        MetaData,
        String,
        Table,
        Text,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError.of("a run store", "SQLAlchemy", extra="runs") from error

SCHEMA_VERSION = 1
"""Raised when the tables change; a store of another version is refused."""

metadata = MetaData()

runs = Table(
    "asyncexec_runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("executor", Text, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("result_text", Text, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("history", Text, nullable=False),
    Column("source", JSON, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Index("asyncexec_runs_started", "started_at"),
    Index("asyncexec_runs_plan", "plan"),
)

stages = Table(
    "asyncexec_stages",
    metadata,
    Column("run", ForeignKey(runs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("tasks", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("resumed", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("backups", Integer, nullable=False),
    Column("busy_seconds", Float, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
)

schema = Table("asyncexec_schema", metadata, Column("version", Integer, primary_key=True))
