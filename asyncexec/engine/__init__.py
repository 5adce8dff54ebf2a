"""Engines, the executions on them, and their results."""

from asyncexec.engine.engine import Engine
from asyncexec.engine.execution import Execution, ExecutionProgress
from asyncexec.engine.result import Result
from asyncexec.events.stage_result import StageResult

# The old name, which is also that of the observer `asyncexec.Progress`.
Progress = ExecutionProgress

__all__ = ["Engine", "Execution", "ExecutionProgress", "Result", "StageResult"]
