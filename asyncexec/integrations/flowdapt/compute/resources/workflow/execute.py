"""The Python entry, under the name that Flowdapt has for it."""

from asyncexec.integrations.flowdapt.execution import execute_workflow

__all__ = ["execute_workflow"]
