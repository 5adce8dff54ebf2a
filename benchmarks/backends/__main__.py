"""Measures backends: `python -m benchmarks.backends [names…] [--tasks N] [--repeat N] [--json PATH]`.

Each side is measured in a process of its own: the time from nothing to the first result, then the time of N no-ops on
the warm system (median of the turns). The sides take turns, so that what else the machine does hits both.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import statistics
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import benchmarks.backends as package
from benchmarks.backends.protocol import Run, on_engine

SIDES = ("bare", "ours")
NOT_SYSTEMS = {"__main__", "protocol"}


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.side:
        print(json.dumps(measure(options.names[0], options.side, options.tasks)))
        return 0
    rows = {}
    for name in options.names or known():
        rows[name] = contest(name, options.tasks, options.repeat)
        show(name, rows[name])
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    return 0


def known() -> list[str]:
    return [m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in NOT_SYSTEMS]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.backends", description=__doc__)
    made.add_argument("names", nargs="*", help=f"which (default: all): {', '.join(known())}")
    made.add_argument("--tasks", type=int, default=1_000)
    made.add_argument("--repeat", type=int, default=3, help="turns of each side")
    made.add_argument("--json", type=Path, help="where to keep every figure")
    made.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return made


def measure(name: str, side: str, tasks: int) -> dict[str, float]:
    """Return seconds to the first result, and seconds for all tasks when warm."""
    module = importlib.import_module(f"benchmarks.backends.{name}")
    start = time.perf_counter()
    with opened(module, side) as run:
        run(1)
        first = time.perf_counter() - start
        run(tasks)  # so that workers have started and programs arrived
        start = time.perf_counter()
        run(tasks)
        return {"first": first, "all": time.perf_counter() - start}


def opened(module: Any, side: str) -> AbstractContextManager[Run]:
    if side == "bare":
        return module.bare()
    return module.OURS() if callable(module.OURS) else on_engine(*module.OURS)


def contest(name: str, tasks: int, repeat: int) -> dict[str, dict[str, float]]:
    turns: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(repeat):
        for side in SIDES:
            turns[side].append(apart(name, side, tasks))
    return {
        side: {
            figure: statistics.median(turn[figure] for turn in found) for figure in ("first", "all")
        }
        for side, found in turns.items()
    }


def apart(name: str, side: str, tasks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.backends", name, "--side", side]
    # Some systems start programs of theirs by name: those of this environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*command, "--tasks", str(tasks)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PATH": path},
    )
    if done.returncode:
        raise SystemExit(f"{name}, {side}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, row: dict[str, dict[str, float]]) -> None:
    bare, ours = row["bare"], row["ours"]
    print(
        f"{name:12} first result: bare {bare['first']:6.2f} s, ours {ours['first']:6.2f} s"
        f"   all: bare {bare['all']:7.3f} s, ours {ours['all']:7.3f} s"
        f"   ratio {ours['all'] / bare['all']:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
