"""Windows that slide over a block, on workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class ShowWindows:
    """The step that shows a block as windows; ``access`` is what is needed of them."""

    axes: tuple[int, ...]
    lengths: tuple[int, ...]
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        block = np.asarray(values[0])
        counts = self.access.counts(index)
        if not all(counts):
            return np.empty(counts, block.dtype)
        windows = np.lib.stride_tricks.sliding_window_view(block, self.lengths, self.axes)
        ndim = block.ndim
        slid = {a for a, w in zip(self.axes, self.lengths, strict=True) if w > 1}
        parts: list[slice] = []
        for p, along in enumerate(self.access.axes):
            if p < ndim and p not in slid:
                parts.append(slice(None))
                continue
            numbers = along.numbers(index)
            if p < ndim:
                # A block is in ascending order, and begins with the first element of its first window.
                least = min(numbers[0], numbers[-1])
                numbers = range(
                    numbers[0] - least, numbers[-1] - least + numbers.step, numbers.step
                )
            parts.append(_as_slice(numbers))
        return windows[tuple(parts)]


def _as_slice(numbers: Any) -> slice:
    stop = numbers[-1] + (1 if numbers.step > 0 else -1)
    return slice(numbers[0], stop if stop >= 0 else None, numbers.step)
