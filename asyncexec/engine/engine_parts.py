"""The parts of an engine that its runs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.backends.contract import Backend
    from asyncexec.engine.intermediates import Intermediates
    from asyncexec.engine.run_memory import EngineMemory
    from asyncexec.engine.run_scope import ScopeEntry
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.straggler.duration_history import DurationHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """The parts of an engine that its runs share.

    Attributes
    ----------
    backend : Backend
    slots : callable
        Returns the number of batches that the backend runs at once, now.
    budget : AdmissionBudget
    intermediates : Intermediates
    history : DurationHistory
    memory : EngineMemory
    scope_entries : mapping of str to callable
    """

    backend: Backend
    slots: Callable[[], int]
    budget: AdmissionBudget
    intermediates: Intermediates
    history: DurationHistory
    memory: EngineMemory
    scope_entries: Mapping[str, ScopeEntry]
