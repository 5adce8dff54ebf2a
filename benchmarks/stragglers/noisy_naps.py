"""Tasks that sleep, with several kinds of noise: in a module of its own, as workers import it."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass

KINDS = ("none", "attempts", "workers", "cold starts", "by nature", "growing", "tiny")
TASKS, SECONDS = 64, 0.4

_LOCAL = threading.local()


@dataclass(frozen=True)
class Nap:
    """Sleeps, with a kind of noise; `folder` is of one run, and numbers its workers."""

    kind: str
    folder: str

    def __call__(self, item: int) -> int:
        time.sleep(self.seconds(item))
        return item

    def seconds(self, item: int) -> float:
        number, first = self.worker()
        if self.kind == "tiny":
            return 0.002
        # The same for every attempt of a task, and in every run.
        natural = random.Random(item * 7919).random()
        chance = random.SystemRandom().random()
        factors = {
            "attempts": 8.0 if chance < 0.08 else 1.0,
            "workers": 4.0 if number == 0 else 1.0,
            "by nature": 6.0 if natural < 0.1 else 1.0,
            "growing": 0.25 + 1.5 * item / TASKS,
        }
        warm_up = 1.5 if first and self.kind == "cold starts" else 0.0
        return SECONDS * factors.get(self.kind, 1.0) + warm_up

    def worker(self) -> tuple[int, bool]:
        """The number of this thread or process among those of the run, and whether this is its first task."""
        known: dict[str, int] = _LOCAL.__dict__.setdefault("numbers", {})
        if self.folder in known:
            return known[self.folder], False
        for number in range(10_000):
            try:
                os.close(os.open(f"{self.folder}/{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            known[self.folder] = number
            return number, True
        raise RuntimeError("there are too many workers")
