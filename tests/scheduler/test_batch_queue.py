"""Batches wait in a queue, or are given to whoever takes them at once."""

import pytest

from asyncexec.backends.contract import AttemptSpec, Batch
from asyncexec.scheduler.batch_queue import BatchQueue


def batch(attempt):
    return Batch(None, [AttemptSpec(attempt, 0, (), 1)], frozenset())


async def test_batches_are_given_in_order_with_those_that_waited_first():
    queue, given = BatchQueue(), []
    queue.put(batch(1))
    queue.put(batch(2))
    queue.give_to(given.append)
    queue.put(batch(3))
    assert [b.jobs[0].attempt for b in given] == [1, 2, 3]
    assert queue.withdraw([1, 2, 3]) == set()


async def test_batches_wait_again_after_the_taker_has_gone():
    queue, given = BatchQueue(), []
    queue.give_to(given.append)
    queue.give_to(None)
    queue.put(batch(1))
    queue.put(batch(2))
    assert (given, queue.withdraw([1])) == ([], {1})
    queue.close()
    assert [b.jobs[0].attempt async for b in queue] == [2]
    with pytest.raises(StopAsyncIteration):
        await anext(queue)
