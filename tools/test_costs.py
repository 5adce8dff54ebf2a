"""Plugin of pytest that says what the tests cost in seconds of CPU, file by file, with the processes they start.

    make test ARGS="-p tools.test_costs"            the dearest 40 files and tests
    make test ARGS="-p tools.test_costs --costs 0"  all of them

Seconds of CPU are nearly the same on a busy machine, those of a clock are not: what a file costs before and after a
change is compared by the former. Where the clock runs far ahead of the CPU, a test waits.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping
from typing import Any

import pytest

_OUTPUT = "test_costs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take how many lines are wanted."""
    parser.addoption("--costs", type=int, default=40, help="how many lines a table has; 0: all")


def pytest_configure(config: pytest.Config) -> None:
    """Count from here on."""
    config.pluginmanager.register(Costs(config), _OUTPUT)


class Costs:
    """Costs by phase, by file and by test; those of xdist's workers come with what a worker returns at its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._cpu = defaultdict[str, float](float, {"start": _cpu_seconds()})
        self._wall = defaultdict[str, float](float)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, Any, Any]:
        """Count what finding and importing the tests takes."""
        began = _cpu_seconds()
        try:
            return (yield)
        finally:
            self._cpu["collection"] += _cpu_seconds() - began

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Count what a test takes, with its fixtures."""
        cpu, wall = _cpu_seconds(), time.perf_counter()
        try:
            return (yield)
        finally:
            self._cpu[item.nodeid] += _cpu_seconds() - cpu
            self._wall[item.nodeid] += time.perf_counter() - wall

    def pytest_sessionfinish(self) -> None:
        """Hand over what a worker of xdist has counted."""
        if (output := getattr(self._config, "workeroutput", None)) is not None:
            output[_OUTPUT] = dict(self._cpu), dict(self._wall)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a worker of xdist has counted."""
        cpu, wall = getattr(node, "workeroutput", {}).get(_OUTPUT, ({}, {}))
        for into, came in ((self._cpu, cpu), (self._wall, wall)):
            for name, cost in came.items():
                into[name] += cost

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the tables."""
        phases = {name: self._cpu[name] for name in ("start", "collection")}
        tests = {name: cost for name, cost in self._cpu.items() if name not in phases}
        files = defaultdict[str, float](float)
        walls = defaultdict[str, float](float)
        counts: Counter[str] = Counter()
        for name, cost in tests.items():
            file = name.partition("::")[0]
            files[file] += cost
            walls[file] += self._wall[name]
            counts[file] += 1
        terminalreporter.section("seconds of CPU")
        total = sum(tests.values())
        terminalreporter.write_line(
            f"{total + sum(phases.values()):.1f} in all: {phases['start']:.1f} to start, "
            f"{phases['collection']:.1f} to collect, {total:.1f} in {len(tests)} tests"
        )
        for line in [
            *_table("file", files, walls, counts, self._lines),
            *_table("test", tests, self._wall, {}, self._lines),
        ]:
            terminalreporter.write_line(line)

    @property
    def _lines(self) -> int | None:
        return self._config.getoption("--costs") or None


def _table(
    name: str,
    cpu: Mapping[str, float],
    wall: Mapping[str, float],
    counts: Mapping[str, int],
    lines: int | None,
) -> list[str]:
    dearest = sorted(cpu, key=lambda each: -cpu[each])[:lines]
    return [
        "",
        f"{'CPU':>8} {'clock':>8} {'tests' if counts else '':>5}  {name}",
        *(f"{cpu[n]:8.2f} {wall[n]:8.2f} {counts[n] if counts else '':>5}  {n}" for n in dearest),
    ]


def _cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
