"""Rounds of faults: the chance that each is given, what it counts, and the table of all."""

import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

KEY = "faults"
DEFAULT_ROUNDS = 4
RIGHT, ERROR = "right result", "clear error"
COLUMNS = ("kind", "executor", "rounds", "faults", RIGHT, ERROR, "made again", "at most", "left")


@dataclass(slots=True)
class Round:
    """One round: its random numbers, which the seed repeats, and what came of it."""

    kind: str
    executor: str
    number: int
    chance: random.Random = field(repr=False)
    counts: dict[str, Any] = field(default_factory=dict)

    def count(self, what: str, more: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + more


def seed() -> int:
    return int(os.environ["SEED"])


def rounds(share: float) -> int:
    return max(1, round(int(os.environ.get("ROUNDS") or DEFAULT_ROUNDS) * share))


def begin(kind: str, executor: str, number: int) -> Round:
    chance = random.Random(f"{seed()} {kind} {executor} {number}")
    return Round(kind=kind, executor=executor, number=number, chance=chance)


def as_property(it: Round) -> tuple[str, dict[str, Any]]:
    """Return the round as a property of its test's report, which also comes from other processes."""
    plain = asdict(it)
    del plain["chance"]
    return KEY, plain | {"counts": it.counts}


def table(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table: a row for each kind and executor, and their sums."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for one in found:
        row = rows.setdefault((one["kind"], one["executor"]), dict.fromkeys(COLUMNS[2:], 0))
        row["rounds"] += 1
        for name, number in one["counts"].items():
            row[name] += number
    cells = [[*key, *map(str, row.values())] for key, row in sorted(rows.items())]
    sums = [sum(row[name] for row in rows.values()) for name in COLUMNS[2:]]
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *cells, ["all", "", *map(str, sums)]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(COLUMNS))]
    return [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
