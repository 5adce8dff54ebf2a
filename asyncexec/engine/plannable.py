"""Things that can be executed: plans, and whatever has one."""

from __future__ import annotations

from asyncexec.errors import OptionError
from asyncexec.plan.plan import Plan, Plannable


def as_plan(plan: Plan | Plannable) -> Plan:
    """Return the plan of what is to be executed.

    Raises
    ------
    OptionError
        If it is nothing that has one.
    """
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, Plannable):
        planned = plan.to_plan()
        if isinstance(planned, Plan):
            return planned
        raise OptionError(
            f"to_plan() of {type(plan).__name__} must return a Plan, not {type(planned).__name__}"
        )
    raise not_plannable(plan)


def not_plannable(plan: object) -> OptionError:
    """Return the error of what has no plan."""
    return OptionError(
        f"{type(plan).__name__} is nothing to execute: give a Plan, or an object with to_plan() such as an array"
    )
