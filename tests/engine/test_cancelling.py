"""Cancelling a run, at any moment and however often: the caller goes on soon, and nothing is made afterwards."""

import asyncio
import dataclasses
import threading

import asyncexec as ax


class Slowly:
    """A workspace whose opening makes one thing after another for as long as it may."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.made: list[int] = []

    def open(self, stages, opening):
        try:
            while True:
                opening.stop()
                self.made.append(len(self.made))
                self.began.set()
        except BaseException:
            self.made.clear()
            raise


def in_workspace(workspace):
    return dataclasses.replace(ax.Plan.map(abs, [-1]), workspace=workspace)


async def test_an_opening_is_stopped_when_its_run_is_cancelled():
    workspace = Slowly()
    async with ax.Engine("serial") as engine:
        execution = engine.start(in_workspace(workspace))
        await asyncio.to_thread(workspace.began.wait)
        execution.cancel()
        await asyncio.gather(execution, return_exceptions=True)
        assert not execution.failed
        assert workspace.made == []
