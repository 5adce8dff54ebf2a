"""The counts of the matrix: what came of each cell, a row for each store and fault."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.object_stores.matrix.cells import FAULTS, MOMENTS, SENSELESS, STORES

KEY = "matrix"
CAME = ("right result", "clear error", "failed", "left")


def lines(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table; a cell of it has the counts of first, retry and backup together."""
    counts: dict[tuple[str, str, str], Counter] = {}
    longest: dict[tuple[str, str], float] = {}
    for one in found:
        counts.setdefault((one["store"], one["fault"], one["moment"]), Counter())[one["came"]] += 1
        row = one["store"], one["fault"]
        longest[row] = max(longest.get(row, 0.0), one.get("seconds", 0.0))
    cells = [["store", "fault", *MOMENTS, "longest"], ["---"] * (len(MOMENTS) + 3)]
    cells += [
        [*row, *(_shown(counts.get((*row, moment))) for moment in MOMENTS), f"{longest[row]:.0f} s"]
        for row in ((store, fault) for store in STORES for fault in FAULTS)
        if row in longest
    ]
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]
    table = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    sums = sum(counts.values(), Counter())
    total = ", ".join(f"{sums[came]} {came}" for came in CAME)
    return [*table, f"{sum(sums.values())} cells: {total}; {len(SENSELESS)} make no sense"]


def _shown(counted: Counter | None) -> str:
    if counted is None:
        return "-"
    return ", ".join(f"{counted[came]} {came.split()[0]}" for came in CAME if counted[came])
