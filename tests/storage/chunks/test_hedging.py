"""Slow reads are asked again: which, how many, and what becomes of the answers."""

import asyncio
import random

import pytest

from asyncexec.storage.chunks.hedging import (
    BUDGET,
    LEAST_SAMPLES,
    LEAST_SECONDS,
    HedgeRule,
    hedged,
)
from asyncexec.testing.virtual_time import run


def learnt(times):
    rule = HedgeRule()
    for seconds in times:
        rule.begin()
        rule.end(seconds)
    return rule


def test_nothing_is_slow_before_enough_answers_are_known():
    assert learnt([0.01] * (LEAST_SAMPLES - 1)).delay() is None
    assert learnt([0.01] * LEAST_SAMPLES).delay() == 0.01


def test_the_slowest_hundredth_is_slow():
    times = [0.001 * number for number in range(10, 1010)]
    random.Random(7).shuffle(times)
    assert learnt(times).delay() == pytest.approx(1.0, abs=0.01)


def test_no_request_is_slow_at_once():
    assert learnt([1e-5] * 200).delay() == LEAST_SECONDS


def test_no_more_are_asked_again_than_the_budget_has():
    rule = learnt([0.01] * 1000)
    assert sum(rule.ask_again() for _ in range(500)) == BUDGET * 1000
    assert rule.asked_again == 20


def test_old_answers_are_forgotten():
    rule = learnt([1.0] * 1000)
    for _ in range(1000):
        rule.begin()
        rule.end(0.01)
    assert rule.delay() == 0.01


async def takes(seconds, value, log):
    log.append(value)
    await asyncio.sleep(seconds)
    if isinstance(value, Exception):
        raise value
    return value


async def answer(rule, first, again):
    """Return what comes of two requests, each (seconds, value), how long it took, and which were made."""
    log, loop = [], asyncio.get_running_loop()
    began = loop.time()
    found = await hedged(lambda: takes(*first, log), lambda: takes(*again, log), rule)
    return found, round(loop.time() - began, 6), log


@pytest.mark.parametrize(
    "first, again, expected",
    [
        ((0.005, "first"), (0.005, "again"), ("first", 0.005, ["first"])),
        ((9.0, "first"), (0.01, "again"), ("again", 0.02, ["first", "again"])),
        ((0.015, "first"), (9.0, "again"), ("first", 0.015, ["first", "again"])),
        ((0.05, "first"), (0.01, OSError()), ("first", 0.05, ["first", "again"])),
    ],
    ids=["quick", "slow", "slow-but-first", "again-fails"],
)
def test_a_slow_read_is_asked_again_and_the_quicker_answer_taken(first, again, expected):
    found, seconds, log = run(answer(learnt([0.01] * 200), first, again))
    if isinstance(again[1], Exception):
        log[1] = "again"
    assert (found, seconds, log) == expected


def test_a_read_that_fails_quickly_is_not_asked_again():
    log = []

    async def main():
        with pytest.raises(OSError, match="no"):
            await hedged(
                lambda: takes(0.001, OSError("no"), log),
                lambda: takes(0, "again", log),
                learnt([0.01] * 200),
            )

    run(main())
    assert len(log) == 1


def test_where_all_are_slow_only_the_budget_is_asked_again():
    rule = learnt([0.01] * 200)

    async def main():
        for _ in range(400):
            await answer(rule, (1.0, "first"), (1.0, "again"))

    run(main())
    assert rule.asked_again <= BUDGET * rule.requests == BUDGET * 600


def test_the_loser_is_cancelled():
    ended = []

    async def loses():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def main():
        async def wins():
            return "again"

        assert await hedged(loses, wins, learnt([0.01] * 200)) == "again"
        await asyncio.sleep(0)

    run(main())
    assert ended == [True]
