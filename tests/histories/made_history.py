"""Histories of runs that never were, from given attempts, as :class:`asyncexec.History` writes them."""

import csv
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from asyncexec.events.plain import as_plain
from asyncexec.events.records import RunFigures
from asyncexec.histories import RecordedRun, read_run
from asyncexec.observers.recorder import ATTEMPTS, TASKS
from asyncexec.simulation import simulate

STARTED_AT = 1_000_000.0
FIGURES = asdict(RunFigures(straggler="off"))


def row(stage, task, seconds, *, at, number=1, worker="w0", status="succeeded", nbytes=0):
    """One attempt, as a line of the table."""
    began = STARTED_AT + at
    return {
        "stage": stage, "task": task, "attempt": number, "backup": number > 1, "status": status, "worker": worker,
        "started_at": began, "seconds": seconds, "ended_at": began + seconds, "peak_bytes": 0, "read_bytes": nbytes,
        "written_bytes": 0, "error_type": "", "error_message": "",
    }  # fmt: skip


def write_history(
    folder: Path, rows, *, shapes, slots, wall_seconds, figures=None, reads=None, **described
) -> Path:
    """Write a history of stages, by name and shape; they read nothing, unless `reads` says so."""
    folder.mkdir(parents=True)
    for name, columns, lines in (("attempts", ATTEMPTS, rows), ("tasks", TASKS, [])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [column.name for column in columns])
            writer.writeheader()
            writer.writerows(lines)
    stages = [
        {"name": name, "shape": shape, "projected_bytes": 0, "idempotent": True, "waits_for": [],
         "reads": (reads or {}).get(name, []),
         "completed": len({r["task"] for r in rows if r["stage"] == name and r["status"] == "succeeded"}),
         "resumed": 0}
        for name, shape in shapes.items()
    ]  # fmt: skip
    plan = {
        "plan": "made", "execution": "made-1", "fingerprint": "", "executor": "processes", "slots": slots,
        "started_at": STARTED_AT, "status": "succeeded", "error": "", "wall_seconds": wall_seconds,
        "run": FIGURES | (figures or {}), "stages": stages,
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(as_plain(plan | described)))
    return folder


def simulated_history(
    folder: Path, plan, cluster, *, rule="off", figures=None, **options
) -> RecordedRun:
    """Simulate a plan of stages that read nothing, and return the run as it is read from its history."""
    told = simulate(plan, cluster, straggler=rule, bars=True, **options)
    names = [stage.name for stage in plan.stages]
    numbers: Counter[tuple[int, int]] = Counter()
    rows = []
    for bar in sorted(told.bars, key=lambda bar: bar.begin):
        numbers[bar.stage, bar.task] += 1
        rows.append(
            row(names[bar.stage], bar.task, bar.end - bar.begin, at=bar.begin, worker=f"w{bar.worker}",
                number=numbers[bar.stage, bar.task], status=str(bar.status))
        )  # fmt: skip
    shapes = {stage.name: stage.shape for stage in plan.stages}
    abilities = {
        "kills": cluster.kills,
        "avoids": cluster.avoids,
        "holds": cluster.holds,
        "straggler": rule,
    }
    write_history(
        folder, rows, shapes=shapes, slots=cluster.workers, wall_seconds=told.makespan_seconds,
        figures=abilities | (figures or {}),
    )  # fmt: skip
    return read_run(folder)
