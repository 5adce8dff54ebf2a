"""Retry, timeout, poison tasks, circuit breaker: pure decisions, without IO and without a clock of their own."""

from asyncexec.policies.circuit import CircuitBreaker, CircuitOptions
from asyncexec.policies.classification import FailureKind, classify
from asyncexec.policies.poison import PoisonWatch
from asyncexec.policies.retry import Retry, as_retry
from asyncexec.policies.timeout import Timeout, as_timeout

__all__ = [
    "CircuitBreaker",
    "CircuitOptions",
    "FailureKind",
    "PoisonWatch",
    "Retry",
    "Timeout",
    "as_retry",
    "as_timeout",
    "classify",
]
