"""Records of runs, kept in a database: SQLite by default, PostgreSQL by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.runs.record import RunRecord as RunRecord, StageRecord as StageRecord
    from asyncexec.runs.store import RunStore as RunStore
else:
    __getattr__, __dir__ = names_of(
        __name__, {"RunRecord": "record", "RunStore": "store", "StageRecord": "record"}
    )
