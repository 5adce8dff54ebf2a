"""Workflows: user functions as stages, wired by the names of their parameters.

>>> from asyncexec.workflow import Workflow, stage
>>> @stage
... def numbers(n: int) -> list[int]:
...     return list(range(n))
>>> @stage(map_on="numbers")
... async def squared(number: int) -> int:
...     return number**2
>>> @stage
... def total(squared: list[int]) -> int:
...     return sum(squared)
>>> flow = Workflow("squares", [numbers, squared, total])
>>> async with ax.Engine() as engine:
...     result = await engine.execute(flow(n=4))
>>> result.value
14

Names are imported when first used: a worker loads users' modules, which need :func:`stage` and nothing else of this.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.workflow.declaration import stage as stage
    from asyncexec.workflow.stage_spec import StageSpec as StageSpec
    from asyncexec.workflow.workflow import Workflow as Workflow, WorkflowCall as WorkflowCall
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "StageSpec": "stage_spec",
            "Workflow": "workflow",
            "WorkflowCall": "workflow",
            "stage": "declaration",
        },
    )
