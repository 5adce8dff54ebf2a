"""What policies a run follows, resolved stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from asyncexec.errors import OptionError
from asyncexec.policies.retry import Retry, as_retry
from asyncexec.policies.timeout import Timeout, as_timeout
from asyncexec.straggler.names import as_rule
from asyncexec.straggler.rule import Rule

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage

_COERCIONS = {"retry": as_retry, "timeout": as_timeout, "straggler": as_rule}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Policies of one run (or, resolved by :meth:`for_stage`, of one stage)."""

    retry: Retry
    timeout: Timeout
    straggler: Rule
    barriers: bool = False
    resume: bool = False

    @classmethod
    def of(cls, *, barriers: bool = False, resume: bool = False, **policies: Any) -> Self:
        """Return settings from values as users write them (``retry=6``, ``timeout=30.0``, ``straggler="off"``)."""
        return cls(**{name: as_policy(policies.get(name)) for name, as_policy in _COERCIONS.items()},
                   barriers=barriers, resume=resume)

    def with_(self, **changes: Any) -> Self:
        """Return these settings with what is not None in ``changes`` instead."""
        return replace(self, **{
            name: _COERCIONS[name](value) if name in _COERCIONS else value
            for name, value in changes.items() if value is not None
        })

    def for_stage(self, stage: Stage) -> Self:
        """Return what holds for ``stage``, its own overrides first."""
        overrides: Mapping[str, Any] = stage.overrides
        unknown = overrides.keys() - _COERCIONS.keys()
        if unknown:
            raise OptionError(f"stage {stage.name!r} overrides {sorted(unknown)}; known: {', '.join(_COERCIONS)}")
        return self.with_(**overrides) if overrides else self
