"""Progress bars in a terminal, lines elsewhere; nothing left behind on the screen or in the loop."""

import asyncio
import io
import re
import sys
import threading

import pytest
from rich.console import Console

from asyncexec.errors import MissingExtraError, OptionError
from asyncexec.events.records import TaskProgressed
from asyncexec.events.tally import Tally
from asyncexec.observers import Progress
from asyncexec.observers.bars import Bars
from asyncexec.observers.lines import Lines
from asyncexec.testing.virtual_time import virtual_time
from tests.observers import scripted

SHOW_CURSOR = "\x1b[?25h"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal(**options) -> Console:
    # An explicit color system and TERM: the machine's own terminal has no say.
    environment = {"TERM": "xterm-256color"}
    return Console(
        file=io.StringIO(), force_terminal=True, width=120, _environ=environment, **options
    )


def plain(**options) -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=120, _environ={}, **options)


def shown(console: Console) -> str:
    return ANSI.sub("", console.file.getvalue())


def last_screen(console: Console) -> list[str]:
    """The lines of the last redraw."""
    return shown(console).replace("\r", "\n").strip("\n").split("\n")[-12:]


def test_a_terminal_shows_a_bar_for_the_run_and_for_each_stage():
    console = terminal()
    progress = Progress(console=console)
    for batch in scripted.whole_run():
        progress.observe(batch)
    screen = "\n".join(last_screen(console))
    assert re.search(r"climate-1 .*5/5", screen)
    assert re.search(r"  load .*4/4 .*1 retry, 1 backup", screen)
    assert re.search(r"  mean .*1/1", screen)


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_the_terminal_is_given_back_however_the_run_ends(status):
    console = terminal()
    stdout, stderr = sys.stdout, sys.stderr
    progress = Progress(console=console)
    for batch in scripted.whole_run(status=status):
        progress.observe(batch)
    assert console.file.getvalue().rstrip("\n").endswith(SHOW_CURSOR)
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    assert status == "succeeded" or f"climate-1 {status}" in shown(console)


def test_a_plan_of_one_stage_has_one_bar():
    console = terminal()
    progress = Progress(console=console)
    progress.observe([scripted.started(stages=(("load", 4),)), scripted.stage_started()])
    progress.observe([scripted.end("cancelled")])
    assert "load" not in shown(console)


def test_the_latest_words_of_a_task_are_shown_while_its_stage_runs():
    said = TaskProgressed(scripted.attempt(2), 0.4, "epoch 4", "w", scripted.START)
    console = terminal()
    progress = Progress(console=console)
    progress.observe([scripted.started(), scripted.stage_started(), said])
    progress.observe([scripted.end("cancelled")])
    assert re.search(r"  load .*task 2: 40% epoch 4", shown(console))
    times = iter([0.0, 20.0])
    lines = Lines(plain(), every_seconds=10.0, clock=lambda: next(times))
    run = Tally.of(scripted.started())
    for event in (scripted.stage_started(), said):
        run.add(event)
    lines.show([run])
    lines.show([run])
    assert shown(lines._console).endswith("running: load (task 2: 40% epoch 4)\n")


def test_no_more_than_a_few_of_many_stages_are_shown():
    console = terminal()
    names = [f"stage-{n:03}" for n in range(200)]
    progress = Progress(console=console)
    progress.observe([scripted.started(stages=tuple((name, 1) for name in names))])
    for n, name in enumerate(names):
        progress.observe([scripted.stage_started(name)])
        progress.observe(scripted.succeeded(scripted.attempt(0, stage=name)))
        progress.observe([scripted.stage_completed(name, at=scripted.START + n)])
    progress.observe([scripted.end(at=scripted.START + 300)])
    assert set(re.findall(r"stage-\d+", "\n".join(last_screen(console)))) == set(names[-8:])


def test_names_are_not_taken_for_markup():
    console = terminal()
    progress = Progress(console=console)
    stages = (("[red]a[/red]", 1), ("b", 1))
    progress.observe([scripted.started(stages=stages), scripted.stage_started("[red]a[/red]")])
    progress.observe([scripted.end()])
    assert "[red]a[/red]" in shown(console)


@virtual_time
async def test_it_is_redrawn_ten_times_a_second_at_most_and_catches_up():
    console = terminal()
    progress = Progress(console=console)
    draws = []
    show = progress._display.show
    progress._display.show = lambda runs: (
        draws.append(runs[0].stages["load"].completed),
        show(runs),
    )
    progress.observe([scripted.started(stages=(("load", 5_000),)), scripted.stage_started()])
    for task in range(5_000):
        progress.observe(scripted.succeeded(scripted.attempt(task)))
        await asyncio.sleep(0.0005)
    assert 24 <= len(draws) <= 27
    await asyncio.sleep(0.2)
    assert draws[-1] == 5_000
    progress.observe([scripted.end()])


@virtual_time
async def test_nothing_stays_in_the_event_loop_after_the_end():
    loop, threads = asyncio.get_running_loop(), set(threading.enumerate())
    progress = Progress(console=terminal())
    for batch in scripted.whole_run():
        progress.observe(batch)
        assert set(threading.enumerate()) == threads
    assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


def test_several_runs_share_the_screen_until_the_last_ends():
    console = terminal()
    progress = Progress(console=console)
    progress.observe([scripted.started("a-1")])
    progress.observe([scripted.started("b-2")])
    progress.observe([scripted.end(execution="a-1")])
    assert not console.file.getvalue().endswith(SHOW_CURSOR)
    progress.observe([scripted.end(execution="b-2")])
    assert console.file.getvalue().rstrip("\n").endswith(SHOW_CURSOR)
    screen = "\n".join(last_screen(console))
    assert "a-1" in screen
    assert "b-2" in screen


def test_one_object_watches_one_run_after_the_other():
    console = terminal()
    progress = Progress(console=console)
    for execution in ("a-1", "b-2"):
        for batch in scripted.whole_run(execution):
            progress.observe(batch)
    assert console.file.getvalue().count(SHOW_CURSOR) == 2


def test_a_failure_to_draw_gives_the_terminal_back_and_is_logged_once(caplog):
    console = terminal()
    progress = Progress(console=console)
    progress.observe([scripted.started()])
    progress._display.show = lambda runs: 1 / 0
    progress._ticker.stop()
    for batch in list(scripted.whole_run())[1:]:
        progress.observe(batch)
    assert console.file.getvalue().rstrip("\n").endswith(SHOW_CURSOR)
    assert [record.getMessage() for record in caplog.records] == [
        "the progress display failed and is closed; the run goes on"
    ]


def test_events_that_cannot_be_taken_give_the_terminal_back_and_are_raised():
    """The engine then drops the observer."""
    console = terminal()
    progress = Progress(console=console)
    progress.observe([scripted.started()])
    with pytest.raises(KeyError):
        progress.observe([scripted.stage_started("unheard of")])
    assert console.file.getvalue().rstrip("\n").endswith(SHOW_CURSOR)


@virtual_time
async def test_a_failure_on_a_timer_is_logged_and_ends_the_display():
    console = terminal()
    progress = Progress(console=console)
    progress.observe([scripted.started()])
    progress._display.show = lambda runs: 1 / 0
    await asyncio.sleep(5)
    assert console.file.getvalue().rstrip("\n").endswith(SHOW_CURSOR)


@pytest.mark.parametrize(
    "console, kind",
    [
        (terminal(), Bars),
        (plain(), Lines),
        (Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}), Lines),
    ],
    ids=["terminal", "file", "dumb"],
)
def test_bars_are_for_terminals(console, kind):
    assert type(Progress(console=console)._display) is kind


@pytest.mark.parametrize("installed, kind", [(True, Bars), (False, Lines)])
def test_bars_are_for_notebooks_that_can_redraw(monkeypatch, installed, kind):
    """Without ipywidgets, rich shows nothing in a notebook but a warning."""
    found = object() if installed else None
    monkeypatch.setattr("asyncexec.observers.progress.find_spec", lambda name: found)
    assert type(Progress(console=plain(force_jupyter=True))._display) is kind


@virtual_time
async def test_without_a_terminal_a_line_comes_now_and_then_and_one_at_the_end():
    console, loop = plain(), asyncio.get_running_loop()
    progress = Progress(console=console, line_seconds=10.0)
    progress._display = Lines(console, every_seconds=10.0, clock=loop.time)
    progress.observe([scripted.started(stages=(("load", 100),)), scripted.stage_started()])
    for task in range(50):
        await asyncio.sleep(0.5)
        progress.observe(scripted.succeeded(scripted.attempt(task)))
    progress.observe(scripted.failed(scripted.attempt(50)))
    progress.observe([scripted.end("failed", at=scripted.START + 25)])
    lines = shown(console).splitlines()
    assert len(lines) == 3
    for line in lines[:2]:
        assert re.fullmatch(
            r"climate-1: \d+ of 100 tasks \(\d+%\), 2.0/s, about .* left; running: load", line
        )
    assert lines[2] == "climate-1: failed after 25.0 s, 50 of 100 tasks, 1 retry, it broke"


def test_lines_name_no_more_than_three_stages():
    times = iter([0.0, 20.0])
    console = plain()
    lines = Lines(console, every_seconds=10.0, clock=lambda: next(times))
    run = Tally.of(scripted.started(stages=tuple((name, 1) for name in "abcde")))
    for name in "abcde":
        run.add(scripted.stage_started(name))
    lines.show([run])
    lines.show([run])
    assert shown(console).endswith("0 of 5 tasks (0%), 0.0/min; running: a, b, c…\n")


def test_without_rich_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(MissingExtraError, match=re.escape('pip install "asyncexec[cli]"')):
        Progress()


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "1", None, True, 1j])
def test_lines_come_at_some_interval(seconds):
    with pytest.raises(OptionError, match="line_seconds"):
        Progress(console=plain(), line_seconds=seconds)


@pytest.mark.parametrize("console", [3, "stderr", object()])
def test_what_is_no_console_is_refused(console):
    with pytest.raises(OptionError, match="progress: console must be a Console of rich"):
        Progress(console=console)
