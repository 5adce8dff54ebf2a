"""Acting at most so often, catching up, and now and then when nothing happens."""

import asyncio
from itertools import pairwise

from asyncexec.observers.ticker import Ticker
from asyncexec.testing.virtual_time import virtual_time


class Times(list):
    """When the action was called, by the loop's clock."""

    def ticker(self) -> Ticker:
        return Ticker(self.note, least_seconds=0.1, most_seconds=1.0)

    def note(self):
        self.append(round(asyncio.get_running_loop().time(), 6))


@virtual_time
async def test_the_first_note_is_acted_upon_at_once_and_later_ones_are_caught_up_with():
    times = Times()
    ticker = times.ticker()
    for _ in range(5):
        ticker.note()
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    assert times == [0.0, 0.1]
    ticker.stop()


@virtual_time
async def test_however_often_it_is_noted_it_acts_no_more_often_than_asked():
    times = Times()
    ticker = times.ticker()
    for _ in range(10_000):
        ticker.note()
        await asyncio.sleep(0.001)
    ticker.stop()
    assert 90 <= len(times) <= 101
    assert min(b - a for a, b in pairwise(times)) >= 0.0999


@virtual_time
async def test_it_acts_now_and_then_when_nothing_is_noted():
    times = Times()
    ticker = times.ticker()
    ticker.note()
    await asyncio.sleep(3.5)
    assert times == [0.0, 1.0, 2.0, 3.0]
    ticker.stop()


@virtual_time
async def test_a_stopped_ticker_is_quiet_and_can_be_used_again():
    times = Times()
    ticker = times.ticker()
    ticker.note()
    ticker.note()
    ticker.stop()
    await asyncio.sleep(10)
    assert times == [0.0]
    ticker.note()
    assert times == [0.0, 10.0]
    ticker.stop()


def test_without_a_loop_it_acts_when_noted():
    calls = []
    ticker = Ticker(lambda: calls.append(1), least_seconds=3600.0, most_seconds=7200.0)
    for _ in range(5):
        ticker.note()
    assert calls == [1]
    ticker.stop()
    ticker.note()
    assert calls == [1, 1]
