"""Records as rows of the tables, and rows as records."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from asyncexec.runs.record import RunRecord, RunStatus, StageRecord

if TYPE_CHECKING:
    from asyncexec.events.tally import Tally

MOST_RESULT_BYTES = 64 * 1024
"""A result is kept whole as JSON up to this size."""
_MOST_TEXT = 1_000
# A run elsewhere that has given no sign of life for so long is taken for lost.
SILENT_SECONDS = 60.0

_STAGE_FIELDS = tuple(each.name for each in fields(StageRecord))


def run_row(tally: Tally, *, now: float) -> dict[str, Any]:
    """Return the columns of a run that its figures give."""
    return {
        "id": tally.run_id,
        "name": tally.run_name,
        "plan": tally.plan,
        "status": tally.status,
        "executor": tally.executor,
        "workflow": tally.workflow,
        "namespace": tally.namespace,
        "fingerprint": tally.fingerprint,
        "started_at": tally.started_at,
        "ended_at": tally.ended_at,
        "updated_at": now,
        "error": _shortened(tally.error),
    }


def first_row(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a run that do not change, or are known at its end only."""
    return {
        "result": None,
        "result_text": "",
        "error_type": "",
        "history": "",
        "source": dict(source),
        "host": _host(),
        "pid": os.getpid(),
    }


def stage_rows(tally: Tally) -> list[dict[str, Any]]:
    """Return a row for each stage."""
    return [
        {"run": tally.run_id, "position": position}
        | {name: getattr(figures, name) for name in _STAGE_FIELDS}
        for position, figures in enumerate(tally.stages.values())
    ]


def result_columns(value: Any) -> dict[str, Any]:
    """Return the columns of a result: whole where it is JSON and not large, and as text."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {"result": None, "result_text": _shortened(described(value))}
    whole = len(text) <= MOST_RESULT_BYTES
    return {"result": value if whole else None, "result_text": _shortened(text)}


def as_plain(value: Any) -> Any:
    """Return ``value`` in types that JSON has: arrays and sets as lists, what has no such form as text."""
    try:
        return _plain(value)
    except RecursionError:  # It holds itself, or goes deeper than JSON can.
        return described(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    to_list = getattr(value, "tolist", None)  # Of NumPy's arrays and numbers.
    return _plain(to_list()) if callable(to_list) else described(value)


def record_of(row: Mapping[str, Any], stages: Iterable[Mapping[str, Any]], now: float) -> RunRecord:
    """Return the record of a run; one that was running when its process ended is lost."""
    columns = {name: row[name] for name in row if name != "status"}
    status = cast("RunStatus", row["status"])
    return RunRecord(
        **columns,
        status="lost" if status == "running" and _is_lost(row, now) else status,
        stages=tuple(StageRecord(**{name: s[name] for name in _STAGE_FIELDS}) for s in stages),
    )


def _is_lost(row: Mapping[str, Any], now: float) -> bool:
    if row["host"] == _host():
        try:
            os.kill(row["pid"], 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # It is there, and another user's.
            pass
    return bool(now - row["updated_at"] > SILENT_SECONDS)


@cache
def _host() -> str:
    return socket.gethostname()


def described(value: Any) -> str:
    """Return the repr of ``value``, also where that cannot be had."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not fail a run that succeeded
        return f"a {type(value).__qualname__} whose repr raises {type(error).__name__}"


def _shortened(text: str) -> str:
    # What databases do not take in texts: lone surrogates, and in PostgreSQL NUL.
    text = text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 2]} …"
