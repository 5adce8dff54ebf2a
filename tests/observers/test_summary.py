"""What a run amounted to, as records and as a table."""

import io

from hypothesis import given, strategies as st
from rich.console import Console

from asyncexec.observers import Summary
from tests.observers import scripted


def watched(*runs) -> Summary:
    summary = Summary()
    for run in runs:
        for batch in run:
            summary.observe(batch)
    return summary


def test_the_table_has_a_line_for_each_stage_and_a_total():
    title, heading, load, mean, total = str(watched(scripted.whole_run())).splitlines()
    assert title == "climate-1 on threads (2 slots): succeeded in 2 s"
    assert heading.split() == [
        "stage", "operation", "tasks", "attempts", "retries", "backups", "failed",
        "read", "written", "projected", "peak", "busy", "wall",
    ]  # fmt: skip
    assert load.split()[:7] == ["load", "op", "4", "5", "1", "1", "1"]
    assert mean.split()[:7] == ["mean", "op", "1", "1", "0", "0", "0"]
    assert total.split()[:6] == ["total", "5", "6", "1", "1", "1"]
    assert "12.0 kB" in load
    assert "16.0 kB" in load
    assert "1.0 GB" in load
    assert "200.0 MB" in load


def test_columns_that_say_nothing_are_left_out():
    heading = str(watched([[scripted.started(), scripted.end()]])).splitlines()[1]
    assert "read" not in heading
    assert "peak" not in heading
    assert "retries" in heading


def test_a_failed_run_says_so_and_shows_how_far_it_came():
    text = str(watched(scripted.whole_run(status="failed")))
    assert "failed in 2 s: it broke\n" in text
    assert "0 of 1" in text


def test_rich_prints_the_same_figures():
    console = Console(file=io.StringIO(), width=200)
    console.print(watched(scripted.whole_run()))
    shown = console.file.getvalue()
    for figure in ("climate-1 on threads", "load", "mean", "total", "200.0 MB"):
        assert figure in shown


def test_names_with_markup_are_shown_as_they_are():
    summary = watched([[scripted.started(stages=(("[bold]x[/]", 1),))]])
    console = Console(file=io.StringIO(), width=200)
    console.print(summary)
    assert "[bold]x[/]" in console.file.getvalue()


def test_before_any_run_there_is_nothing_to_show():
    summary = Summary()
    assert str(summary) == "no run yet"
    assert summary.run is None
    assert summary.stages == summary.runs == ()
    console = Console(file=io.StringIO())
    console.print(summary)
    assert console.file.getvalue() == "no run yet\n"


def test_records_stay_as_they_were_when_asked_for():
    summary = watched([[scripted.started()]])
    before = summary.stages[0]
    summary.observe(scripted.succeeded(scripted.attempt(0)))
    assert before.completed == 0
    assert summary.stages[0].completed == 1


def test_it_watches_several_runs_and_shows_the_latest():
    summary = watched(scripted.whole_run("a-1"), scripted.whole_run("b-2", "cancelled"))
    assert [run.status for run in summary.runs] == ["succeeded", "cancelled"]
    assert str(summary).startswith("b-2 on threads (2 slots): cancelled")


def test_a_run_that_ended_before_it_began_is_a_run_that_failed():
    """Storage that cannot be opened ends a run whose stages nobody has heard of."""
    summary = watched([[scripted.end("failed")]])
    assert summary.run.status == "failed"
    assert "it broke" in str(summary)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_figures_are_what_happened(ends):
    """Attempts and their measurements add up, whatever order successes and failures come in."""
    summary = watched([[scripted.started()]])
    for number, (task, success) in enumerate(ends):
        which = scripted.attempt(task, number=number)
        summary.observe(scripted.succeeded(which) if success else scripted.failed(which))
    load = summary.stages[0]
    wins = sum(success for _, success in ends)
    assert (load.attempts, load.completed, load.retries) == (len(ends), wins, len(ends) - wins)
    assert load.read_bytes == 3_000 * wins
    assert load.busy_seconds == 0.5 * wins + 0.25 * (len(ends) - wins)
