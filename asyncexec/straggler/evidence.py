"""Evidence that grows with every report, for a hypothesis that is looked at after each of them.

A p-value is the probability that chance alone produces what was seen, if one looks once. The scheduler looks after
every report and at every worker, and would find what it looks for in the end. So the evidence here is an *e-process*:
the capital that results from bets against "this worker is like the others", at odds that are fair if it is. Whatever
the bets, and whenever one looks, the capital exceeds 1/a with a probability of at most a (J. Ville, "Étude critique de
la notion de collectif", 1939), as the likelihood ratio of A. Wald's sequential test ("Sequential tests of statistical
hypotheses", 1945) does. For an introduction see A. Ramdas, P. Grünwald, V. Vovk, G. Shafer, "Game-theoretic statistics
and safe anytime-valid inference", 2023.

The bets are on the p-value p of each attempt, its rank among those of others, in several ways at once. Of a stake,
k p**(k - 1) comes back, for a k from 0 to 1; or a half, and 1/(2 q) if p is at most q (both are calibrators, V. Vovk,
R. Wang, "E-values: calibration, combination and applications", 2021). A small q is for workers all of whose attempts
are longer than nearly any other; a great k for those that are so often only, as durations spread widely. So the spread
decides by itself how many attempts it takes.

A worker may become slow late. So the bets do not begin once, but again before each attempt, the n-th time with a share
of 1/(n (n + 1)) of the capital, which adds up to all of it: what was lost before, while the worker was well, does not
count against what is won later (J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
change detection", 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXPONENTS = (0.3, 0.6)
_QUANTILES = (0.1, 0.03, 0.01, 0.003)
_WAYS = len(_EXPONENTS) + len(_QUANTILES)
_MOST = 1e30


class Evidence:
    """The capital of bets against the hypothesis that a worker is like the others; O(1) for each attempt.

    >>> from asyncexec.straggler.evidence import Evidence
    >>> evidence = Evidence()
    >>> for _ in range(4):
    ...     evidence.add(0.01)
    >>> evidence.amount > 1000
    True

    Parameters
    ----------
    head_start : float
        Capital that is there from the start, where the hypothesis was rejected before.

    Attributes
    ----------
    amount : float
        The capital; it exceeds 1/a with a probability of at most a if the hypothesis is true.
    """

    __slots__ = ("_bets", "_seen", "amount")

    def __init__(self, head_start: float = 0.0) -> None:
        self._bets = [head_start] * _WAYS
        self._seen = 0
        self.amount = head_start

    def add(self, p: float) -> None:
        """Add an attempt by its p-value, above 0."""
        self._seen += 1
        self._bets = _grown(self._bets, _returns(p), self._seen)
        self.amount = sum(self._bets) / _WAYS

    def with_running(self, shares: Iterable[float]) -> float:
        """Return the amount with attempts that run, by the share of others that take longer than their ages.

        Each counts for what its end is expected to bring if the hypothesis is true: a bet that is evened out while it
        is open stays fair.
        """
        bets, seen = self._bets, self._seen
        for share in shares:
            seen += 1
            returns = [share ** (k - 1.0) for k in _EXPONENTS]
            returns += [0.5 + 0.5 / max(share, q) for q in _QUANTILES]
            bets = _grown(bets, returns, seen)
        return sum(bets) / _WAYS


def _returns(p: float) -> list[float]:
    """Return what comes back of a stake on an attempt that has ended, for each way to bet."""
    returns = [k * p ** (k - 1.0) for k in _EXPONENTS]
    return returns + [0.5 + 0.5 / q if p <= q else 0.5 for q in _QUANTILES]


def _grown(bets: list[float], returns: list[float], seen: int) -> list[float]:
    begun = 1.0 / (seen * (seen + 1))
    return [min((bet + begun) * r, _MOST) for bet, r in zip(bets, returns, strict=True)]
