"""Observers of runs in which the number of tasks of a stage is known only when another has ended."""

import io
import json
import logging
import re

import pytest
from rich.console import Console

import asyncexec as ax
from asyncexec.events.records import PlanStarted, StageFigures, StageSized
from asyncexec.events.tally import Tally
from asyncexec.observers import History, Logs, Progress, Summary, formatting
from tests.observers import scripted

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def started():
    stages = (
        StageFigures(name="cities", operation="call", shape=(), tasks=1),
        StageFigures(name="fetch", operation="map", shape=(0,), tasks=0, waits_for=("cities",)),
    )
    return PlanStarted(
        execution="p-1",
        at=scripted.START,
        plan="p",
        fingerprint="",
        executor="threads",
        slots=2,
        stages=stages,
    )


def sized(n=3):
    return StageSized(execution="p-1", at=scripted.START + 1, stage="fetch", shape=(n,), tasks=n)


def begun():
    first = scripted.attempt(stage="cities", execution="p-1")
    return [
        started(),
        scripted.stage_started("cities", execution="p-1"),
        *scripted.succeeded(first),
    ]


def rest(n=3):
    yield sized(n)
    yield scripted.stage_started("fetch", execution="p-1")
    for task in range(n):
        yield from scripted.succeeded(scripted.attempt(task, stage="fetch", execution="p-1"))
    yield scripted.end(execution="p-1")


def test_a_tally_has_the_number_when_it_is_known():
    tally = Tally.of(started())
    assert tally.late
    assert (tally.stages["fetch"].tasks, formatting.total(tally)) == (0, "at least 1")
    tally.add(sized())
    assert not tally.late
    assert (tally.stages["fetch"].tasks, formatting.total(tally)) == (3, "4")


def test_bars_have_a_question_mark_until_the_number_is_known():
    console = Console(
        file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"}
    )
    progress = Progress(console=console)
    progress.observe(begun())
    shown = ANSI.sub("", console.file.getvalue())
    assert re.search(r"p-1 .*1/\?", shown)
    progress.observe(list(rest()))
    shown = ANSI.sub("", console.file.getvalue())
    assert re.search(r"p-1 .*4/4", shown)
    assert re.search(r"  fetch .*3/3", shown)


def test_lines_say_at_least_until_the_number_is_known():
    console = Console(file=io.StringIO(), force_terminal=False, width=120, _environ={})
    progress = Progress(console=console)
    progress.observe(begun())
    progress.observe([scripted.end("cancelled", execution="p-1")])
    assert "1 of at least 1 tasks" in console.file.getvalue()


def test_a_summary_shows_what_is_not_known_as_a_question_mark():
    summary = Summary()
    summary.observe(begun())
    assert re.search(r"fetch +map +\?", str(summary))
    summary.observe(list(rest()))
    assert re.search(r"fetch +map +3", str(summary))


def test_logs_say_how_many_tasks_a_stage_has(caplog):
    logs = Logs()
    with caplog.at_level(logging.INFO, logger="asyncexec.runs"):
        logs.observe([*begun(), *rest()])
    assert "p-1: started on threads: 2 stages, at least 1 tasks" in caplog.messages
    assert "p-1: stage fetch has 3 tasks" in caplog.messages


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
async def test_a_history_has_the_sizes_that_were(tmp_path, file_format):
    plan = ax.Plan.call(range, 3, name="n").then_each(str, name="each").reduce(len)
    history, summary = History(tmp_path, format=file_format), Summary()
    async with ax.Engine(observers=[history, summary]) as engine:
        result = await engine.execute(plan)
    assert summary.stages == result.stages
    (folder,) = history.folders
    stages = json.loads((folder / "plan.json").read_text())["stages"]
    assert [(s["name"], s["shape"], s["tasks"], s["completed"]) for s in stages] == [
        ("n", [], 1, 1),
        ("each", [3], 3, 3),
        ("len", [], 1, 1),
    ]
    assert [s["waits_for"] for s in stages] == [[], ["n"], ["n"]]
    assert [s["late"] for s in stages] == [False] * 3
    assert stages[1]["reads"] == [
        {"stage": "n", "relation": {"kind": "all", "producer": [], "consumer": [3]}}
    ]
