"""Output of ``asyncexec simulate --explain``: when and why a task of a recorded run got a backup or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asyncexec.cli.simulating.tables import time_text

if TYPE_CHECKING:
    from asyncexec.simulation.explanation import Considered, TaskExplanation


def print_explanation(console: Console, explained: TaskExplanation) -> None:
    """Print the attempts of the task as they were, and the answers of the rule while they ran."""
    console.print(
        f"[bold]{escape(explained.stage)}:{explained.task}[/bold] under the rule {explained.rule}; times since the run "
        f"started\n\nin the run",
        soft_wrap=True,
    )
    attempts = _table("attempt", "worker", "started", "took", "ended")
    for each in explained.recorded:
        number = f"{each.number}{', a backup' if each.backup else ''}"
        times = (time_text(each.started), time_text(each.seconds))
        attempts.add_row(number, escape(each.worker), *times, each.status)
    console.print(attempts if explained.recorded else "  no attempt of it started")
    console.print("\nreplayed: when a backup of it was considered")
    if not explained.considered:
        console.print("  never: the rule was not asked while it ran")
        _print_slow_workers(console, explained)
        return
    # The answers are sentences, and the same few of them: below the table, by letters.
    answers = {f"{each.verdict}; {each.ground}": "" for each in explained.considered}
    answers = {answer: chr(ord("a") + place % 26) for place, answer in enumerate(answers)}
    table = _table("at", "checks", "age", "slow from", "left", "a copy", "attempts", "backups", "answer")  # fmt: skip
    for moment in explained.considered:
        table.add_row(*_figures(moment), answers[f"{moment.verdict}; {moment.ground}"])
    console.print(table)
    for answer, letter in answers.items():
        console.print(f"  {letter}: {answer}", soft_wrap=True)
    _print_slow_workers(console, explained)
    console.print(f"\n{_difference(explained)}", soft_wrap=True)


def _print_slow_workers(console: Console, explained: TaskExplanation) -> None:
    if explained.slow_workers:
        console.print("\nworkers that were found slow")
    for each in explained.slow_workers:
        rested = ", ".join(time_text(at) for at in each.rested)
        dealt = f"left idle from {rested} on" if rested else "worked on, as it gained nothing else"
        console.print(
            f"  {escape(each.worker)}: {each.ratio:.1f} times as long as others, found at {time_text(each.found)}; "
            f"{dealt}",
            soft_wrap=True,
        )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _figures(each: Considered) -> tuple[str, ...]:
    slow, left, copy = (
        "-" if seconds is None else time_text(seconds)
        for seconds in (each.slow_age_seconds, each.remaining_seconds, each.copy_seconds)
    )
    return (
        time_text(each.at),
        f"{each.checks:,}",
        time_text(each.age_seconds),
        slow,
        left,
        copy,
        f"{each.attempts} of {each.copies}",
        f"{each.running_backups} of {each.backups}",
    )


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
