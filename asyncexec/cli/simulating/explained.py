"""Output of ``asyncexec simulate --explain``: when and why a task of a recorded run got a backup or none."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from asyncexec.cli.figures import table_of
from asyncexec.histories.decisions import TaskExplanation
from asyncexec.observers.formatting import seconds


def explanation_parts(explained: TaskExplanation) -> Iterator[RenderableType]:
    """Yield the attempts of the task as they were, and the answers of the rule while they ran."""
    yield (
        f"[bold]{escape(explained.stage)}:{explained.task}[/bold] under the rule {explained.rule}; times since the run "
        f"started\n\nin the run"
    )
    yield _attempts(explained) if explained.recorded else "  no attempt of it started"
    yield "\nreplayed: when a backup of it was considered"
    if explained.considered:
        # The answers are sentences, and the same few of them: below the table, by letters.
        given = dict.fromkeys(f"{each.verdict}; {each.ground}" for each in explained.considered)
        answers = {answer: chr(ord("a") + place % 26) for place, answer in enumerate(given)}
        yield _considered(explained, answers)
        yield from (f"  {letter}: {answer}" for answer, letter in answers.items())
    else:
        yield "  never: the rule was not asked while it ran"
    if explained.slow_workers:
        yield "\nworkers that were found slow"
    for each in explained.slow_workers:
        rested = ", ".join(seconds(at) for at in each.rested)
        dealt = f"left idle from {rested} on" if rested else "worked on, as it gained nothing else"
        yield (
            f"  {escape(each.worker)}: {each.ratio:.1f} times as long as others, found at {seconds(each.found)}; "
            f"{dealt}"
        )
    if explained.considered:
        yield f"\n{_difference(explained)}"


def _attempts(explained: TaskExplanation) -> Table:
    table = table_of("attempt", "worker", "started", "took", "ended")
    for each in explained.recorded:
        number = f"{each.number}{', a backup' if each.backup else ''}"
        times = (seconds(each.started), seconds(each.seconds))
        table.add_row(number, escape(each.worker), *times, each.status)
    return table


def _considered(explained: TaskExplanation, answers: dict[str, str]) -> Table:
    headings = "at, checks, age, slow from, left, a copy, attempts, backups, answer"
    table = table_of(*headings.split(", "))
    for each in explained.considered:
        expected = (each.slow_age_seconds, each.remaining_seconds, each.copy_seconds)
        table.add_row(
            seconds(each.at),
            f"{each.checks:,}",
            seconds(each.age_seconds),
            *("-" if each is None else seconds(each) for each in expected),
            f"{each.attempts} of {each.copies}",
            f"{each.running_backups} of {each.backups}",
            answers[f"{each.verdict}; {each.ground}"],
        )
    return table


def _difference(explained: TaskExplanation) -> str:
    """Return whether the replay came to what the run did."""
    was = sum(each.backup for each in explained.recorded)
    now = sum(each.started for each in explained.considered)
    said = f"The run started {was or 'no'} backup{'s' * (was > 1)} of it"
    if was == now:
        return f"{said}, and so does the replay."
    return (
        f"{said}, the replay {now or 'none'}: its starts and its checks are not those of the run to the millisecond, "
        f"so that a close call may go either way, and the rule may have changed since."
    )
