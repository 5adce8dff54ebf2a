"""Faults around kernels: copies of the process, and workers that die."""

import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

import asyncexec as ax


def drawn(seed, share):
    """Return whether this attempt is hit, and a number for how: the same in each process for a seed."""
    context = ax.get_run_context()
    words = f"{seed} {context.stage} {context.task} {context.attempt}"
    number = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8])
    return number % 1000 < share * 1000, number // 1000


@dataclass(frozen=True, kw_only=True)
class Forking:
    """A kernel that makes a copy of its process now and then, which ends in one way or another, or not at all."""

    kernel: Any
    seed: int
    ways: int = 5
    share: float = 0.2

    def __call__(self, block):
        hit, how = drawn(self.seed, self.share)
        if not hit:
            return self.kernel(block)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            copy_ends(how % self.ways)
            return block * 0 - 1
        done = self.kernel(block)
        if how % self.ways < 3:
            os.waitpid(child, 0)
        return done


def copy_ends(how):
    """Have a copy raise, exit, go on for a long time, or leave a daemon; or return as if it were the task."""
    if how == 1:
        raise ValueError("in the copy")
    if how == 2:
        sys.exit(3)
    if how == 3:
        time.sleep(600)
    if how == 4:
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep(600)


@dataclass(frozen=True, kw_only=True)
class Dying:
    """A kernel, before or after which the worker is killed now and then, in one way or another."""

    kernel: Any
    seed: int
    share: float = 0.08

    def __call__(self, block):
        hit, how = drawn(self.seed, self.share)
        if not hit:
            return self.kernel(block)
        if how & 1:
            self.kernel(block)
        if how & 2:
            os._exit(9)
        return os.kill(os.getpid(), signal.SIGSEGV if how & 4 else signal.SIGKILL)


def forks(seed):
    return lambda kernel: Forking(kernel=kernel, seed=seed)


def forks_for_a_while(seed):
    return lambda kernel: Forking(kernel=kernel, seed=seed, ways=3)


def dies(seed):
    return lambda kernel: Dying(kernel=kernel, seed=seed)
