"""Ranks of durations: right where attempts still run, whatever the distribution, and along a drift."""

import heapq

import numpy as np
import pytest

from asyncexec.straggler.duration_ranks import MOST_KEPT, DurationRanks


def shares(durations, *, workers, factors=None, tasks=None):
    """Run tasks on workers, each as soon as one is free; return the share of longer attempts of each, by worker."""
    running, found = {}, {}
    ranks = DurationRanks(
        lambda now: sorted(((now - s, str(w)) for w, s in running.items()), reverse=True)
    )
    left = iter(durations)
    ends = []

    def begin(worker, now):
        seconds = next(left, None)
        if seconds is not None:
            running[worker] = now
            heapq.heappush(ends, (now + seconds * (factors or {}).get(worker, 1.0), worker))

    for worker in range(workers):
        begin(worker, 0.0)
    while ends:
        now, worker = heapq.heappop(ends)
        seconds = now - running.pop(worker)
        if ranks.known >= 8:
            found.setdefault(worker, []).append(ranks.longer_share(str(worker), seconds, now=now))
        ranks.add(str(worker), seconds, now=now)
        begin(worker, now)
    return found


@pytest.mark.parametrize("sigma", [0.1, 0.6, 1.5])
@pytest.mark.parametrize("workers", [4, 50])
def test_where_workers_are_alike_shares_are_no_smaller_than_they_should_be(sigma, workers):
    seed = 7
    print("seed", seed)
    durations = np.random.default_rng(seed).lognormal(2.0, sigma, 60 * workers)
    every = np.concatenate(list(shares(durations, workers=workers).values()))
    count = len(every)
    for bound in (0.02, 0.1, 0.3):
        allowed = bound * count + 3 * np.sqrt(bound * count)
        assert np.sum(every <= bound) <= allowed, f"{bound} of {count}"


def test_the_first_reports_which_are_of_the_shortest_tasks_make_no_later_one_look_long():
    seed = 3
    print("seed", seed)
    durations = np.random.default_rng(seed).lognormal(2.0, 0.6, 400)
    first = [each[0] for each in shares(durations, workers=400).values()]
    assert np.mean(np.array(first) <= 0.1) <= 0.15


def test_a_slow_worker_is_compared_with_the_others_and_not_with_itself():
    found = shares([10.0 + n % 7 / 10 for n in range(400)], workers=4, factors={2: 3.0})
    assert max(found[2][5:]) < 0.05
    assert min(found[0]) > 0.05


@pytest.mark.parametrize("growth", [np.linspace(1, 10, 600), np.exp(np.linspace(0, 3, 600))])
def test_tasks_that_get_longer_along_the_stage_do_not_all_look_long(growth):
    seed = 5
    print("seed", seed)
    noise = np.random.default_rng(seed).lognormal(0.0, 0.1, 600)
    found = shares(growth * noise, workers=8)
    late = np.concatenate([each[30:] for each in found.values()])
    assert np.mean(late <= 0.05) <= 0.15


def test_an_attempt_that_was_stopped_counts_as_one_that_takes_longer():
    ranks = DurationRanks()
    for number in range(40):
        stopped = number % 4 == 0
        ranks.add(f"w{number % 8}", 12.0 if stopped else 10.0, now=0.0, ended=not stopped)
    assert ranks.longer_share("w9", 30.0, now=0.0) > 0.2


def test_no_more_durations_are_kept_than_it_says():
    ranks = DurationRanks()
    for number in range(3 * MOST_KEPT):
        ranks.add(f"w{number % 2000}", 10.0, now=0.0)
    assert ranks.known <= MOST_KEPT
