"""Tasks that save their output and have a value besides: a receipt of what was written."""

from dataclasses import dataclass

import pytest

import asyncexec as ax
from asyncexec.plan import Plan, Stage


@dataclass(frozen=True)
class Receipts:
    """Saves nothing, and returns what the kernel returned as the receipt."""

    def load(self, index):
        return (), 0

    def save(self, index, result):
        return 8, ("receipt", index, result)


@dataclass(frozen=True)
class ReceiptWorkspace:
    """Gives every stage the same input and output."""

    notes = ()

    def open(self, stages, opening):
        return self

    def io(self, stage):
        return Receipts()

    def releases(self, stage):
        return False

    def passes_on(self, stage):
        return False

    def collect(self, values):
        return values

    def close(self, *, succeeded):
        pass


def number(index):
    return 10 * index[0]


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
async def test_the_receipt_of_what_was_saved_is_the_value_of_the_task(executor):
    stage = Stage(name="save", kernel=number, shape=(3,))
    async with ax.Engine(executor=executor) as engine:
        result = await engine.execute(Plan([stage], workspace=ReceiptWorkspace()))
    assert result.value == {"save": [("receipt", (i,), 10 * i) for i in range(3)]}
    assert result.stages[0].written_bytes == 24
