"""However many arrays a plan makes, no turn of the event loop does more than a little; calls are counted, not time."""

import sys
from asyncio import events
from contextlib import contextmanager

import pytest

import asyncexec as ax
import asyncexec.array as xp

MOST_CALLS = 25_000
"""Some three milliseconds: as many as a slice of reports takes, whatever there is to open."""


@contextmanager
def counted_turns(monkeypatch):
    """Yield a list, to which the calls of every callback of the event loop are added, those of built-ins too."""
    turns, run = [], events.Handle._run

    def counted(handle):
        calls = 0

        def note(_frame, event, _argument):
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            run(handle)
        finally:
            sys.setprofile(None)
            turns.append(calls)

    with monkeypatch.context() as patched:
        patched.setattr(events.Handle, "_run", counted)
        yield turns


@pytest.mark.parametrize("targets", [100, pytest.param(300, marks=pytest.mark.slow)])
async def test_a_plan_with_many_targets_is_opened_and_run_in_short_turns(
    targets, tmp_path, monkeypatch
):
    arrays = [xp.ones((4,), chunks=(2,)) * float(n) for n in range(targets)]
    stored = xp.store(arrays, [tmp_path / f"{n}.zarr" for n in range(targets)])
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        await engine.execute(xp.ones((3,)) + 1)  # what is done once in a process
        with counted_turns(monkeypatch) as turns:
            result = await engine.execute(stored)
    assert result.tasks == 2 * targets
    assert max(turns) <= MOST_CALLS, sorted(turns)[-5:]
