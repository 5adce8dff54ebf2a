"""Heartbeats tell a loop that is held from one that is not."""

import asyncio
import time

import pytest

from asyncexec.errors import UsageError
from tests.loopwatch import Heartbeat


async def test_a_free_loop_beats():
    async with Heartbeat() as beats:
        while len(beats.late_seconds) < 20:
            await asyncio.sleep(0.005)
    assert (
        0 <= beats.lateness_seconds(0) <= beats.lateness_seconds(0.5) <= beats.lateness_seconds(1)
    )


async def test_a_held_loop_beats_late():
    async with Heartbeat() as beats:
        await asyncio.sleep(0.005)
        time.sleep(0.1)  # noqa: ASYNC251 - holding the loop is what is tested
        await asyncio.sleep(0.005)
    assert beats.lateness_seconds(1) > 0.08


async def test_a_loop_held_to_the_end_counts():
    async with Heartbeat() as beats:
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - the same
    assert beats.lateness_seconds(1) > 0.04


async def test_no_beat_is_no_figure():
    async with Heartbeat(every_seconds=3600) as beats:
        await asyncio.sleep(0)
    with pytest.raises(UsageError):
        beats.lateness_seconds(0.5)
