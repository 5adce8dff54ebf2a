"""The public face of running things: an engine on a backend, the executions on it, and their results."""

from asyncexec.engine.engine import Engine
from asyncexec.engine.execution import Execution, Progress
from asyncexec.engine.result import Result
from asyncexec.events.stage_result import StageResult

__all__ = ["Engine", "Execution", "Progress", "Result", "StageResult"]
