"""Histories read back: the files that :class:`asyncexec.observers.History` wrote, as a :class:`RecordedRun`."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import AsyncexecError, OptionError
from asyncexec.events.records import RunFigures
from asyncexec.histories.recorded import Attempts, RecordedRun, RecordedStage
from asyncexec.histories.table_reading import read_table
from asyncexec.observers.recorder import ATTEMPTS
from asyncexec.plan.outline import relation_of
from asyncexec.plan.stage import Read

# Durations must be above 0, and a clock may show none for a short attempt.
_LEAST_SECONDS = 1e-6

# Columns of attempts that nothing here asks for.
_LEFT_OUT = ("peak_bytes", "error_type", "error_message")
_ELSEWHERE = ("resumed", "cached", "failed_tasks", "skipped_tasks")


def read_run(folder: str | os.PathLike[str]) -> RecordedRun:
    """Return the run whose history is in ``folder``, or in the only folder of a run within it.

    Raises
    ------
    OptionError
        If there is no history of a run that has ended, or there are several.
    MissingExtraError
        If it is Parquet, and pyarrow is not installed.
    """
    found = _run_folder(Path(folder))
    try:
        described = json.loads((found / "plan.json").read_text(encoding="utf-8"))
        if described["status"] == "running":
            raise OptionError(
                f"{found}: the run has not ended (or its process died); its history cannot be read"
            )
        return _run(found, described)
    except (LookupError, TypeError, ValueError, OSError, csv.Error) as error:
        if isinstance(error, AsyncexecError):
            raise
        raise OptionError(
            f"{found} does not hold the history of a run that this version can read: "
            f"{type(error).__name__}: {str(error).rstrip('.')}. Run the plan again with observers=[ax.History(...)]"
        ) from error


def _run_folder(folder: Path) -> Path:
    if (folder / "plan.json").is_file():
        return folder
    found = sorted(path.parent for path in folder.glob("*/plan.json"))
    if not found:
        raise OptionError(
            f"there is no history of a run in {folder}: ax.History(...) writes a folder for each run, with a plan.json"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:8]) + (", …" if len(found) > 8 else "")
        raise OptionError(f"{folder} holds {len(found)} runs; name one of them: {names}")
    return found[0]


def _run(folder: Path, described: Mapping[str, Any]) -> RecordedRun:
    table = read_table(folder, "attempts", [c for c in ATTEMPTS if c.name not in _LEFT_OUT])
    started = table["started_at"] > 0
    attempts = _attempts_of(table, float(described["started_at"])).where(started)
    names = table["stage"][started]
    figures = described.get("run") or {}
    known = {each.name for each in fields(RunFigures)}
    return RecordedRun(
        folder=folder,
        plan=described["plan"],
        executor=described["executor"],
        # One of an older version lacks what it did not know yet.
        figures=RunFigures(**{name: figures[name] for name in known & figures.keys()}),
        fingerprint=described["fingerprint"],
        slots=max(1, int(described["slots"])),
        status=described["status"],
        wall_seconds=float(described["wall_seconds"]),
        stages=tuple(_stage(s, attempts.where(names == s["name"])) for s in described["stages"]),
    )


def _stage(described: Mapping[str, Any], attempts: Attempts) -> RecordedStage:
    ran = int(described["completed"]) - sum(int(described.get(name, 0)) for name in _ELSEWHERE)
    found = len(np.unique(attempts.task[attempts.succeeded]))
    if found < ran:
        raise ValueError(
            f"{ran:,} tasks of stage {described['name']!r} were done, and the table of attempts has {found:,} of them: "
            f"it is cut off"
        )
    return RecordedStage(
        name=described["name"],
        shape=tuple(int(n) for n in described["shape"]),
        projected_bytes=int(described["projected_bytes"]),
        idempotent=bool(described["idempotent"]),
        reads=tuple(Read(r["stage"], relation_of(r["relation"])) for r in described["reads"]),
        completed=int(described["completed"]),
        resumed=int(described["resumed"]),
        attempts=attempts,
        operation=str(described.get("operation", "")),
        waits_for=tuple(map(str, described.get("waits_for", ()))),
        late=bool(described.get("late", False)),
    )


def _attempts_of(table: Mapping[str, NDArray[Any]], run_started: float) -> Attempts:
    seconds = table["seconds"]
    # A skipped attempt has run its function to the end as well.
    status = np.where(table["status"] == "skipped", "succeeded", table["status"])
    # An attempt that was stopped from outside may have no duration by its worker's clock.
    unmeasured = (seconds <= 0) & (status != "succeeded")
    seconds = np.where(unmeasured, table["ended_at"] - table["started_at"], seconds)
    return Attempts(
        task=table["task"],
        number=table["attempt"],
        backup=table["backup"],
        status=status,
        seconds=np.maximum(seconds, _LEAST_SECONDS),
        worker=table["worker"],
        started=table["started_at"] - run_started,
        nbytes=table["read_bytes"] + table["written_bytes"],
    )
